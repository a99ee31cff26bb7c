"""twin audit anomalies, twin audit review, twin audit mark."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.audit_anomalies import anomalies, anomaly_sheet, mark_of, review
from gateway.break_glass import Broken, queue
from gateway.cli.orders import utc
from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.home import Home, now
from gateway.reports.writing import check_form, write_sheet
from gateway.settings import load_settings
from security.audit import read_event
from security.errors import Misuse

__all__ = ["anomalies_", "mark_", "review_"]

_JUDGED = timedelta(days=30)


def anomalies_(
    *,
    since: datetime | None = None,
    deaths: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    options: Options = Options(),
) -> None:
    """List what in the audit log somebody should look at, and say of each why: numbers, thresholds, event numbers.

    Unusual volume and hours, refusals, records opened while nobody cares for the patient, marked twins, namesakes,
    emergency access without review, use after erasure or death. Asking is recorded. See docs/audit.md.

    Parameters
    ----------
    since
        From when on; without it the last 30 days. What was before says what is usual.
    deaths
        Open every twin that was used, to see whether its patient had died; it takes longer.
    out
        Write it to this file: .html, .pdf or .csv.
    """
    check_form(out)
    moment = now()
    begin = utc(since) or moment - _JUDGED
    with Home.open(load_settings(options.home), create=False) as home:
        found, read = anomalies(home, begin, moment, deaths=deaths)
        sheet = anomaly_sheet(home, found, begin, moment, read)
    if out is not None:
        write_sheet(sheet, out, moment)
        note(f"Written to {out}, readable by you only.")
    if options.json:
        print_json({"since": begin, "events": read, "anomalies": [asdict(each) for each in found]})
    elif out is None and found:
        print_table(f"{sheet.title}: {len(found)}", [column.heading for column in sheet.columns], sheet.rows)
        say("twin audit show NUMBER opens an event; twin audit review NUMBER --found justified says what came out.")
    elif out is None:
        say(f"{sheet.empty} {read:,} events were read.")


def review_(
    event: int | None = None,
    /,
    *,
    found: Literal["justified", "breach", "unclear"] | None = None,
    options: Options = Options(),
) -> None:
    """Say that you looked into an event of the audit log, and what came out; without one, list what waits for that.

    What waits are records that were opened past their consents (break-glass): who, when, why, and how much they saw.
    What you say is recorded, and ends the reminder.

    Parameters
    ----------
    event
        Its number in the log.
    found
        justified, breach or unclear.
    """
    if event is None or found is None:
        if event is not None or found is not None:
            raise Misuse("Which event, and what came out?", hint="twin audit review NUMBER --found justified")
        _waiting(options)
        return
    with Home.open(load_settings(options.home), create=False) as home:
        twin = review(home, event, found)
    if options.json:
        print_json({"event": event, "found": found, "twin": twin})
    else:
        say(f"It is recorded that event {event} was reviewed: {found}.")


def _waiting(options: Options) -> None:
    with Home.open(load_settings(options.home), create=False) as home:
        waiting = queue(home, now())
    if options.json:
        print_json({"waiting": [{"event": w.event, **_told(w)} for w in waiting]})
        return
    if not waiting:
        say("No emergency access waits for a review.")
        return
    print_table(
        f"Emergency access to review: {len(waiting)}",
        [">Event", "When (UTC)", "Until", "Account", "Client", "Twin", "Reason", "In words", ">Events", ">Resources"],
        (
            (
                w.event,
                f"{w.glass.since:%Y-%m-%d %H:%M}",
                f"{w.glass.until:%H:%M}",
                w.glass.user,
                w.glass.client,
                w.glass.twin[:8],
                w.glass.reason,
                w.glass.text,
                w.events,
                w.resources,
            )
            for w in waiting
        ),
    )
    say("twin audit show NUMBER opens an event; twin audit review NUMBER --found justified says what came out.")


def _told(waiting: Broken) -> dict[str, object]:
    glass = waiting.glass
    return {
        "id": glass.id,
        "twin": glass.twin,
        "user": glass.user,
        "client": glass.client,
        "reason": glass.reason,
        "text": glass.text,
        "since": glass.since,
        "until": glass.until,
        "events": waiting.events,
        "resources": waiting.resources,
    }


def mark_(twin: str, /, *, options: Options = Options()) -> None:
    """Write how a twin is marked in twin.toml, so that `twin audit anomalies` tells any use of it.

    The mark is a keyed hash: who reads twin.toml alone cannot tell whom it means.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        whole = home.store.find_twin(twin)
        home.store.append_audit([read_event(home.access(patient=whole, what=("Basic/mark",)))])
        mark = mark_of(home, whole)
    if options.json:
        print_json({"twin": whole, "mark": mark})
        return
    say("Add it to the list in twin.toml:")
    say("[audit]")
    say(f'vip = ["{mark}"]')

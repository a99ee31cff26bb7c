"""twin audit list, twin audit verify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import log_event

__all__ = ["list_", "verify_"]


def list_(*, limit: int = 30, options: Options = Options()) -> None:
    """List the newest events: who did what to which twin, when, why, with which outcome. Reading it is recorded too.

    Parameters
    ----------
    limit
        How many events, newest first.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([log_event(home.access())])
        entries = home.store.audit_events(limit)
        if options.json:
            print_json({"events": [{"sequence": entry.sequence, "event": entry.event} for entry in entries]})
            return
        print_table(
            f"The newest {len(entries)} events",
            [">No", "Recorded", "What", "Who", "Why", "Twin", "Other side", "Outcome"],
            (_row(entry.sequence, entry.event) for entry in entries),
        )


def verify_(*, options: Options = Options()) -> int:
    """Verify the whole log with its public key: every event, its number, and every signed checkpoint.

    Exit status 1 where anything was changed, dropped, moved or added; the first such event is named.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        verdict = home.store.verify_audit()
        if options.json:
            print_json(
                {"verified": verdict.ok, "events": verdict.size, "first_bad": verdict.first_bad, "what": verdict.what}
            )
        elif verdict.ok:
            say(
                f"The audit log is whole: {verdict.size} events, signed by {home.store.audit_public_key.split('+')[0]}."
            )
        else:
            where = f"Event {verdict.first_bad}: " if verdict.first_bad else ""
            say(f"The audit log is NOT whole. {where}{verdict.what}")
            say("Keep this store as evidence, restore a backup beside it, and compare the two.")
        return 0 if verdict.ok else 1


def _row(sequence: int, event: Mapping[str, Any]) -> tuple[object, ...]:
    users = [agent for agent in event["agent"] if agent.get("requestor")]
    others = [agent["who"].get("display") or agent["who"]["identifier"]["value"] for agent in event["agent"][1:-1]]
    twins = [e["what"]["reference"] for e in event["entity"] if e.get("what", {}).get("type") == "Patient"]
    subtype = event["subtype"][0]["code"] if event.get("subtype") else event["type"]["code"]
    return (
        sequence,
        event["recorded"],
        subtype,
        ", ".join(agent["who"]["identifier"]["value"] for agent in users),
        ", ".join(c["code"] for purpose in event.get("purposeOfEvent", ()) for c in purpose["coding"]),
        ", ".join(t.removeprefix("Patient/")[:8] for t in twins),
        ", ".join(others),
        "ok" if event["outcome"] == "0" else f"{event['outcome']} {event.get('outcomeDesc', '')}",
    )

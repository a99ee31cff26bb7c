"""twin certificates list, twin certificates show."""

from __future__ import annotations

from typing import Any

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home
from gateway.pull.page import STOPS, Asked, Certificate
from gateway.settings import load_settings
from gateway.store import Pull
from security.audit import read_event
from security.errors import Misuse, UnknownName

__all__ = ["list_", "show_"]


def list_(source: str | None = None, /, *, limit: int = 30, options: Options = Options()) -> None:
    """List what each finished pull proved: whether all came, and how much was refused or retracted. Counts only.

    Parameters
    ----------
    source
        Only of this source.
    limit
        How many to list at most, newest first; 0 lists all.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/certificates",)))])
        found = _certified(home, source)
    shown = found[:limit] if limit else found
    if options.json:
        print_json({"certificates": [_summary(pull, certificate) for pull, certificate in shown]})
        return
    if not found:
        say("No pull has ended yet. Run: twin pull")
        return
    print_table(
        counted(len(found), "certificate") + (f", the newest {len(shown)}" if len(shown) < len(found) else ""),
        ["Pull", "Source", "Ended (UTC)", "Verdict", ">Came", ">Refused", ">Retracted", "Short or stopped"],
        (
            (
                pull.id[:8],
                pull.source,
                f"{pull.finished:%Y-%m-%d %H:%M}" if pull.finished else "",
                certificate.verdict,
                certificate.seen,
                certificate.refused,
                certificate.retracted,
                ", ".join(asked.what for asked in certificate.asked if asked.verdict == "incomplete"),
            )
            for pull, certificate in shown
        ),
    )


def show_(pull: str, /, *, options: Options = Options()) -> None:
    """Show one certificate: each question, what the source said it had, what came, and what speaks against it.

    It may name resources that a list left out, which is patient data: reading it is recorded.

    Parameters
    ----------
    pull
        The pull's id, or the beginning of it; twin certificates list tells it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/certificates",)))])
        found = _certified(home, None)
    chosen = [each for each in found if pull and each[0].id.startswith(pull.lower())]
    if not chosen:
        raise UnknownName("pull", pull, [each.id[:8] for each, _ in found[:10]])
    if len(chosen) > 1:
        raise Misuse("Several pulls have an id that starts like this.", hint="Give more digits of it.")
    [(one, certificate)] = chosen
    if options.json:
        told = {**_summary(one, certificate), "asked": [_asked(asked) for asked in certificate.asked]}
        print_json(told | {"until": dict(certificate.until), "after": certificate.after})
        return
    say(f"Pull {one.id} of {one.source}, {one.finished:%Y-%m-%d %H:%M} UTC: {certificate.verdict}")
    say(
        f"  {certificate.seen} different resources came, {certificate.refused} were refused; "
        f"{certificate.retracted} were retracted."
    )
    if certificate.note:
        say(f"  {certificate.note}")
    print_table(
        "Questions",
        ["Question", "Since", ">Said", ">Came", ">Pages", "Verdict", "Signs"],
        (
            (
                asked.what,
                asked.since,
                "" if asked.said is None else asked.said,
                asked.came,
                asked.pages,
                asked.verdict,
                ", ".join(filter(None, (asked.stopped, *asked.signs))),
            )
            for asked in certificate.asked
        ),
    )
    for stopped in dict.fromkeys(asked.stopped for asked in certificate.asked if asked.stopped):
        say(f"  {stopped}: {STOPS.get(stopped, '')}")
    for asked in certificate.asked:
        if asked.missing:
            say(f"  {asked.what} left out: {', '.join(asked.missing)}")


def _certified(home: Home, source: str | None) -> list[tuple[Pull, Certificate]]:
    pulls = home.store.pulls(source)
    if source is not None and not pulls:
        raise UnknownName("source", source, sorted({pull.source for pull in home.store.pulls()}))
    return [(pull, pull.certificate) for pull in pulls if pull.certificate is not None and pull.state == "done"]


def _summary(pull: Pull, certificate: Certificate) -> dict[str, Any]:
    return {
        "pull": pull.id,
        "source": pull.source,
        "started": pull.started,
        "finished": pull.finished,
        "fhir_version": certificate.fhir_version,
        "way": certificate.way,
        "verdict": certificate.verdict,
        "seen": certificate.seen,
        "refused": certificate.refused,
        "retracted": certificate.retracted,
        "control": certificate.control.unknown if certificate.control else None,
        "note": certificate.note,
    }


def _asked(asked: Asked) -> dict[str, Any]:
    names = ("what", "type", "since", "said", "came", "pages", "stopped", "self_link")
    told = {name: getattr(asked, name) for name in names}
    return told | {"signs": list(asked.signs), "missing": list(asked.missing), "verdict": asked.verdict}

"""twin warnings check, list, ack and silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.cli.orders import utc
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.deliver.warning import Delivered, deliver_warnings
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.warnings import Assessed, acknowledge, assess, kept_warnings, rehearse, silence
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.forecast import STALE
from twin_engine.watch import Standing

__all__ = ["ack_", "check_", "list_", "silence_"]


def check_(twin: str, /, *, model: str = "glucose", at: datetime | None = None, options: Options = Options()) -> int:
    """Forecast a twin, raise what has become likely, and deliver it where [warnings] says.

    Run it after each pull, or from a timer. Old readings raise nothing. Exit status 3 where something could not be
    delivered yet: run it again.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    model
        The model whose forecast is watched.
    at
        Tell what would be raised if it were this time (UTC where no zone is told). Nothing is kept or delivered.
    """
    delivered: list[Delivered] = []
    moment = utc(at) or now()
    with Home.open(load_settings(options.home), create=False) as home:
        if at is not None:
            found = rehearse(home, open_twin(home, twin), model, moment)
        else:
            found = assess(home, twin, model)
            if not isinstance(found, Missing):
                delivered = asyncio.run(deliver_warnings(home, found.twin))
    if isinstance(found, Missing):
        if options.json:
            print_json({"result": msgspec.to_builtins(found, builtin_types=(datetime,))})
        else:
            show_missing(found)
        return 5
    if options.json:
        print_json(_as_json(found, delivered, moment))
    else:
        _show(found, moment, supposed=at is not None)
        for each in delivered:
            say(f"{each.kind} {each.rule} to {each.to}: {each.fault or 'delivered'}")
    return 3 if any(each.fault for each in delivered) else 0


def list_(twin: str = "", /, *, past: bool = False, options: Options = Options()) -> int:
    """List the warnings that stand, of one twin or of all, and who has seen them.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it; without it all twins.
    past
        List those that are over, too.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        kept = kept_warnings(home, twin)
        at = now()
    told = [
        (owner, model, one)
        for owner, model, each in kept
        for one in (*each.watch.standing, *(reversed(each.watch.past) if past else ()))
    ]
    silent = [
        (watched.silent_until, {"twin": owner, "model": model, "rule": watched.rule.name})
        for owner, model, each in kept
        for watched in each.watch.rules
        if watched.silent_until and watched.silent_until > at
    ]
    if options.json:
        print_json(
            {
                "warnings": [{"twin": owner, "model": model, **_warning(one)} for owner, model, one in told],
                "silent": [{**which, "until": until} for until, which in silent],
                "waiting": sum(len(each.pending) for _, _, each in kept),
            }
        )
        return 0
    if told:
        _table("Warnings; simulated, not measured", told)
    else:
        say("No warning stands.")
    for until, which in silent:
        say(f"{which['twin'][:8]}: {which['rule']} ({which['model']}) is silent until {until:%Y-%m-%d %H:%M} UTC.")
    if waiting := sum(len(each.pending) for _, _, each in kept):
        note(f"{waiting} changes are not delivered yet; twin warnings check tries again.")
    return 0


def ack_(twin: str, number: int, /, *, model: str = "glucose", options: Options = Options()) -> int:
    """Say that you have seen a warning. It stands on until the danger has passed, and does not escalate.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    number
        The warning's number, from twin warnings list.
    model
        The model that raised it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        seen = acknowledge(home, twin, model, number)
    if options.json:
        print_json(_warning(seen))
    else:
        say(f"Warning {number}, {seen.rule.title}: seen by {seen.seen_by}.")
    return 0


def silence_(
    twin: str, rule: str, /, *, minutes: int = 60, model: str = "glucose", options: Options = Options()
) -> int:
    """Keep one rule of a twin from raising for a while. What stands stays, and what still holds is raised afterwards.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    rule
        The rule's name, from twin warnings check.
    minutes
        For how long, up to a day; 0 ends a silence.
    model
        The model whose forecast is watched.
    """
    if not 0 <= minutes <= 1440:
        raise Misuse("A silence lasts from 0 to 1440 minutes.", hint="Say --minutes.")
    with Home.open(load_settings(options.home), create=False) as home:
        until = now() + timedelta(minutes=minutes)
        silence(home, twin, model, rule, until)
    if options.json:
        print_json({"rule": rule, "until": until})
    else:
        say(f"{rule} is silent until {until:%Y-%m-%d %H:%M} UTC." if minutes else f"{rule} is silent no more.")
    return 0


def _show(found: Assessed, moment: datetime, *, supposed: bool) -> None:
    last = found.forecast.last
    say(f"{found.forecast.title}; simulated, not measured; last reading {last:%Y-%m-%d %H:%M} UTC")
    if moment - last > STALE:
        say("The readings are too old to raise or to end a warning.")
    if found.standing:
        shown = ((found.twin, found.model, one) for one in found.standing)
        _table("Would be raised" if supposed else "Standing", shown)
    else:
        say("No warning stands.")
    for change in found.changes:
        if change.kind != "raised":
            say(f"{change.kind}: {change.warning.rule.title}, within {change.warning.rule.minutes} minutes")
    print_table(
        "How the rules would have done on this twin's own past",
        ["Rule", ">Raised from", ">Days", ">Events", ">Foreseen", ">Minutes ahead", ">False alarms", ">A day"],
        (
            (
                name,
                f"{e.threshold:.0%}",
                f"{e.days:.1f}",
                e.events,
                e.foreseen,
                "" if e.lead_minutes is None else f"{e.lead_minutes:.0f}",
                e.false_alarms,
                f"{e.false_alarms_a_day:.2f}",
            )
            for name, e in found.evidence.items()
        ),
    )


def _table(title: str, warnings: Iterable[tuple[str, str, Standing]]) -> None:
    print_table(
        title,
        ["Twin", "Model", ">No.", "Warning", ">Within", ">Probability", ">Expected in", "Raised", "State"],
        (
            (
                owner[:8],
                model,
                one.number,
                one.rule.title,
                f"{one.rule.minutes} min",
                f"{one.probability:.0%}",
                ""
                if one.lead_minutes is None
                else "now, measured"
                if not one.lead_minutes
                else f"{one.lead_minutes:.0f} min",
                f"{one.raised:%Y-%m-%d %H:%M} UTC",
                _state(one),
            )
            for owner, model, one in warnings
        ),
    )


def _state(one: Standing) -> str:
    if one.cleared:
        return f"over since {one.cleared:%H:%M}"
    if one.seen:
        return f"seen by {one.seen_by}"
    return ("not seen", "escalated once", "escalated twice")[min(one.level, 2)]


def _warning(one: Standing) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(one, builtin_types=(datetime,))
    return {**told, "simulated": one.lead_minutes != 0.0}


def _as_json(found: Assessed, delivered: list[Delivered], moment: datetime) -> dict[str, Any]:
    return {
        "twin": found.twin,
        "model": found.model,
        "run": found.run or None,
        "last": found.forecast.last,
        "stale": moment - found.forecast.last > STALE,
        "changes": [{"kind": change.kind, **_warning(change.warning)} for change in found.changes],
        "standing": [_warning(one) for one in found.standing],
        "rules": {
            name: {**msgspec.to_builtins(e), "false_alarms_a_day": round(e.false_alarms_a_day, 3)}
            for name, e in found.evidence.items()
        },
        "delivered": [
            {
                "to": each.to,
                "kind": each.kind,
                "rule": each.rule,
                "resources": each.resources,
                "fault": each.fault.code if each.fault else None,
            }
            for each in delivered
        ],
    }

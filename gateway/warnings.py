"""The warnings of a stored twin: raised from its newest forecast, kept sealed with it, seen and silenced by people.

What has changed is kept in the same write as the warning itself, until it has been delivered: a process that is killed
in between delivers it when it runs again, under the same ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.calibration import Calibrated, current, dynamic_model, dynamic_models, go_on
from gateway.home import Home, now
from gateway.outlook import keep, look_ahead
from gateway.simulation import open_twin
from gateway.store import TwinRecord
from security.audit import read_event, run_event
from security.errors import Misuse, UnknownName, Unreachable
from twin_engine import Missing
from twin_engine.alert import Evidence, rules_of
from twin_engine.forecast import Forecast
from twin_engine.watch import Change, Standing, Watch

__all__ = [
    "Assessed",
    "Kept",
    "Pending",
    "acknowledge",
    "assess",
    "attend",
    "follow",
    "kept_warnings",
    "rehearse",
    "settle",
    "silence",
    "watched_models",
]

_TRIES = 3
_FURTHEST_MINUTES = 60


class Pending(msgspec.Struct, frozen=True):
    """A change that is not delivered yet: the run that it stands on, and where it still has to go."""

    change: Change
    run: str
    to: tuple[str, ...]


class Kept(msgspec.Struct):
    """What is kept of one twin and model: its watch, and what is still to be delivered."""

    watch: Watch
    pending: list[Pending] = []


@dataclass(frozen=True)
class Assessed:
    """What the newest forecast changed, and what stands now; `run` is the forecast's, where something changed.

    `evidence` tells for each rule what its threshold would have done on the twin's past.
    """

    twin: str
    model: str
    forecast: Forecast
    changes: tuple[Change, ...]
    standing: tuple[Standing, ...]
    evidence: dict[str, Evidence]
    run: str = ""


def assess(home: Home, twin: str, model: str) -> Assessed | Missing:
    """Bring a twin's calibration up to now, forecast, and raise, escalate and clear its warnings.

    Raises `Unreachable` where others keep changing them at the same time.
    """
    chosen = dynamic_model(home, model)
    found = current(home, open_twin(home, twin), chosen)
    return found if isinstance(found, Missing) else attend(home, found)


def follow(home: Home, twin: str, model: str) -> Assessed | None:
    """Do the same where it takes a step only; `None` where all of the past is needed, and nothing is kept then.

    `twin` is a whole id. It is all one transaction, with the record of who read. Where it raises, nothing is recorded:
    `assess` has to be asked then, which records first and meets the same.
    """
    with home.store.transaction() as work:
        found = go_on(home, twin, dynamic_model(home, model))
        if found is None:
            return None
        work.record([read_event(home.access(patient=twin))])
        return attend(home, found)


def attend(home: Home, found: Calibrated) -> Assessed:
    """Do the same with a calibration that is up to date. Raises `Unreachable` as `assess` does."""
    forecast = look_ahead(found, minutes=_FURTHEST_MINUTES)
    to = home.settings.warnings.deliver
    changes: list[Change] = []
    run = ""

    def take(kept: Kept) -> bool:
        nonlocal changes, run
        before = msgspec.msgpack.encode(kept)
        changes = kept.watch.attend(
            forecast, found.skill.trials, now=now(), allowed=home.settings.warnings.false_alarms_a_day
        )
        run = run or (keep(home, found, forecast) if changes else "")
        kept.pending += [Pending(change, run, goals) for change in changes if (goals := _goals(change, to))]
        return msgspec.msgpack.encode(kept) != before

    kept = _change(home, found.twin, found.model.name, found.twin_version, take)
    return _assessed(home, found, forecast, tuple(changes), kept.watch, run)


def rehearse(home: Home, record: TwinRecord, model: str, at: datetime) -> Assessed | Missing:
    """Tell what would be raised if it were a past time; nothing is kept."""
    chosen = dynamic_model(home, model)
    found = current(home, record, chosen, at=at)
    if isinstance(found, Missing):
        return found
    forecast = look_ahead(found, minutes=_FURTHEST_MINUTES)
    watch = Watch()
    changes = watch.attend(forecast, found.skill.trials, now=at, allowed=home.settings.warnings.false_alarms_a_day)
    return _assessed(home, found, forecast, tuple(changes), watch, "")


def kept_warnings(home: Home, twin: str = "") -> list[tuple[str, str, Kept]]:
    """Open what is kept, of one twin (its id or the start of it) or of all, and record who read it."""
    chosen = home.store.find_twin(twin) if twin else ""
    found = []
    for owner, model in home.store.states("warnings"):
        state = home.store.state(owner, model, "warnings") if not chosen or owner == chosen else None
        if state is not None:
            found.append((owner, model, msgspec.msgpack.decode(state.content, type=Kept)))
    owners = [*dict.fromkeys(owner for owner, _, _ in found)] or ([chosen] if chosen else [])
    read = [home.access(patient=owner) for owner in owners] or [home.access(what=("Basic/warnings",))]
    home.store.append_audit([read_event(each) for each in read])
    return found


def acknowledge(home: Home, twin: str, model: str, number: int) -> Standing:
    """Note that the person at the terminal has seen a warning. Raises `Misuse` where none of that number stands."""
    chosen = home.store.find_twin(twin)
    seen: list[Standing] = []

    def see(kept: Kept) -> bool:
        try:
            seen[:] = [kept.watch.see(number, home.actor, now())]
        except LookupError:
            known = ", ".join(str(one.number) for one in kept.watch.standing) or "none"
            raise Misuse(
                "No warning of this number stands.", hint=f"Standing of {model}: {known}. See twin warnings list."
            ) from None
        return True

    _change(home, chosen, model, home.store.twin_version(chosen), see)
    return seen[0]


def silence(home: Home, twin: str, model: str, rule: str, until: datetime) -> None:
    """Keep a rule of one twin from raising until a time; what stands stays. Raises `UnknownName`."""
    chosen = home.store.find_twin(twin)
    rules = {each.name: each for each in rules_of(dynamic_model(home, model))}
    if rule not in rules:
        raise UnknownName("rule", rule, rules)

    def still(kept: Kept) -> bool:
        kept.watch.follow(tuple(rules.values()))
        kept.watch.silence(rule, until)
        return True

    _change(home, chosen, model, home.store.twin_version(chosen), still)


def settle(home: Home, twin: str, model: str, done: Pending, to: str) -> None:
    """Note that a change has reached one of its goals."""

    def forget(kept: Kept) -> bool:
        left = []
        for each in kept.pending:
            same = each.run == done.run and each.change == done.change
            rest = tuple(goal for goal in each.to if goal != to) if same else each.to
            if rest:
                left.append(msgspec.structs.replace(each, to=rest))
        kept.pending = left
        return True

    _change(home, twin, model, home.store.twin_version(twin), forget)


def _goals(change: Change, to: tuple[str, ...]) -> tuple[str, ...]:
    """Tell an EHR what was raised only: there it is a finding of its moment, or a Flag that ends by itself."""
    return tuple(goal for goal in to if goal != "fhir" or change.kind == "raised")


def _change(home: Home, twin: str, model: str, version: int, act: Callable[[Kept], bool]) -> Kept:
    """Read, change and keep the warnings of a twin; once more where somebody else was faster."""
    for _ in range(_TRIES):
        state = home.store.state(twin, model, "warnings")
        kept = msgspec.msgpack.decode(state.content, type=Kept) if state else Kept(Watch())
        if not act(kept):
            return kept
        event = run_event(home.access(patient=twin), run="warnings", model=model)
        content = msgspec.msgpack.encode(kept)
        revision = state.revision if state else 0
        if home.store.save_state(
            twin, model, "warnings", content, after=revision, twin_version=version, now=now(), events=[event]
        ):
            return kept
    raise Unreachable("The warnings of this twin are being changed by somebody else.", hint="Run it again.")


def _assessed(
    home: Home, found: Calibrated, forecast: Forecast, changes: tuple[Change, ...], watch: Watch, run: str
) -> Assessed:
    allowed = home.settings.warnings.false_alarms_a_day
    evidence = {trial.rule.name: trial.choose(allowed) for trial in found.skill.trials}
    return Assessed(found.twin, found.model.name, forecast, changes, tuple(watch.standing), evidence, run)


def watched_models(home: Home) -> list[str]:
    """List the models whose forecasts are watched."""
    return [name for name, model in dynamic_models(home).items() if rules_of(model)]

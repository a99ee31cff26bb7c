"""What of a twin's past a new value has to be seen beside: the last hours, and the facts that answer a model's needs.

A track goes on from a checkpoint, so a value that has just come need not be weighed against years. What is kept here is
a part of the facts from which everything comes out as from all of them: the same readings are believed from `start` on,
the same doses act, the same answers are found. Where that is not certain there is no answer, and all is gone through.

Why it is certain (`twin_engine.belief`): a new reading may show that the sensor has stood still, for two hours and a
gap of twenty minutes; what is left out then may judge others within two hours before it (a compression low), and these
others within twenty minutes (a jump). That is less than `MARGIN`. And what is judged after a reading that is believed
depends on nothing before it. So the past may be cut at a believed reading, and whatever is new has to lie `MARGIN`
behind the cut, and behind the checkpoint. A rule of `belief` that looks back further needs a larger one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec

from mappers.facts import Fact
from twin_engine.backtest import Skill
from twin_engine.checkpoint import Track, floor
from twin_engine.dynamic import DynamicModel, streamed_of
from twin_engine.measurement import FORMULAS
from twin_engine.series import Series, fact_name, series_of

__all__ = ["MARGIN", "Recent", "TakenIn", "is_followed", "recent_of", "take_in"]

MARGIN = timedelta(hours=5)  # over which a value has a say in what is believed, and more
_KEPT = timedelta(hours=9)  # of readings, before the last one: there is a checkpoint between both
_LONGEST = timedelta(hours=11)  # after which the cut moves on
_DOSES = timedelta(hours=27)  # of doses: an hour longer than any acts
_AT_ONCE = 8  # readings that are caught up with one by one; more of them are a past that is gone through
_JUDGED = frozenset({"conflict", "stuck", "compression-low", "jump"})  # by readings before or after
_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)


class Recent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a twin's facts that is as good as all of them from `start` on, for one model. It is patient data.

    `seen` is the time that they were looked at from: later facts were known and not used. `facts` are of the model's
    channels and plan, `grounds` those that its needs, and a death, can be answered from; both in the order they came.
    """

    start: datetime
    seen: datetime
    facts: tuple[Fact, ...]
    grounds: tuple[Fact, ...]


class TakenIn(NamedTuple):
    """The recent past with what is new in it: its series, and since when a track has to be compared with it."""

    recent: Recent
    series: Series
    since: datetime


def recent_of(model: DynamicModel, facts: Sequence[Fact], series: Series, seen: datetime) -> Recent | None:
    """Cut off what is not needed of all facts of a twin; `None` where the model, or what is on record, forbids it.

    `series` is made of these facts, up to `seen`.
    """
    streamed = streamed_of(model)
    if not series.readings or streamed & _grounds(model):
        return None
    start = _cut(model, series)
    mine = [fact for fact in facts if fact.name in streamed]
    if any(_reaches(fact, start) for fact in mine):
        return None
    grounds = tuple(fact for fact in facts if fact.name not in streamed and _is_ground(model, fact))
    return Recent(start, seen, _kept(model, mine, series, start), grounds)


def take_in(model: DynamicModel, recent: Recent, new: Iterable[Fact], track: Track, until: datetime) -> TakenIn | None:
    """Add new facts to what is kept; `None` where they, or the time, reach back further than is kept.

    `new` are facts of resources that are all new: nothing that was known before has changed or gone.
    """
    streamed, came = streamed_of(model), list(new)
    mine = [fact for fact in came if fact.name in streamed]
    later = [fact for fact in recent.facts if fact.when is not None and fact.when.earliest > recent.seen]
    if until < recent.seen or any(isinstance(fact.value, tuple) for fact in mine):
        return None
    since = _since(track, recent.start, [fact.when.earliest for fact in (*mine, *later) if fact.when is not None])
    if since is None:
        return None
    facts = (*recent.facts, *mine)
    series = series_of(model, facts, until)
    if not series.readings:
        return None
    start = recent.start
    if series.readings[-1].when - start > _LONGEST:
        start = max(start, _cut(model, series))
    grounds = [fact for fact in came if fact.name not in streamed and _is_ground(model, fact)]
    kept = Recent(start, until, _kept(model, facts, series, start), (*recent.grounds, *grounds))
    return TakenIn(kept, series, since)


def is_followed(skill: Skill, model: DynamicModel, series: Series, start: datetime) -> bool:
    """Say whether a skill can be moved on by a part of the past that begins at `start`, reading by reading."""
    if skill.at is None or skill.at < start:
        return False
    fresh = Skill.begin(model, series.doses)
    same = [trial.rule for trial in fresh.trials] == [trial.rule for trial in skill.trials]
    new = sum(reading.channel == skill.channel and reading.when > skill.at for reading in series.readings)
    return same and fresh.with_ensemble == skill.with_ensemble and new <= _AT_ONCE


def _since(track: Track, start: datetime, times: Sequence[datetime]) -> datetime | None:
    """Choose the last checkpoint that no new fact reaches back to; without new facts, the track as it is."""
    if not times:
        return track.at
    first = min(times)
    if first < start + MARGIN:
        return None
    return max((each.at for each in track.checkpoints if start <= each.at <= first - MARGIN), default=None)


def _cut(model: DynamicModel, series: Series) -> datetime:
    """Find the latest minute, hours before the last reading, from which on all is judged as if nothing was before."""
    limit = series.readings[-1].when - _KEPT
    name = model.channels[0].name
    for reading in reversed(series.readings):
        start = floor(reading.when)
        if reading.channel == name and start <= limit and _stands_alone(model, series, start):
            return start
    return _ALWAYS


def _stands_alone(model: DynamicModel, series: Series, start: datetime) -> bool:
    """Say whether in each channel a believed reading comes before any that others judged."""
    names = {channel.name for channel in model.channels}
    judged = [
        (one.name, when)
        for one in series.unbelieved
        if one.reason in _JUDGED and one.name in names and (when := datetime.fromisoformat(one.when)) >= start
    ]
    for name in {name for name, _ in judged}:
        first = next((r.when for r in series.readings if r.channel == name and r.when >= start), None)
        if first is None or any(when < first for known, when in judged if known == name):
            return False
    return True


def _kept(model: DynamicModel, facts: Sequence[Fact], series: Series, start: datetime) -> tuple[Fact, ...]:
    """Keep what is later than the cut, doses a while longer, and one dose that shows that doses are logged at all."""
    logged = frozenset(name for each in model.plan for name in (*each.logged, *(drug for drug, _ in each.depots)))
    acting = min(start, series.readings[-1].when - _DOSES) if start > _ALWAYS else start
    counted = frozenset(each.name for each in model.plan if each.kind == "dose")
    witness = next((dose.fact for dose in reversed(series.doses) if dose.input in counted), "")
    return tuple(
        fact
        for fact in facts
        if fact.when is not None
        and (
            fact.when.latest >= start
            or (fact.name in logged and (fact.when.latest >= acting or (witness and fact_name(fact) == witness)))
        )
    )


def _reaches(fact: Fact, start: datetime) -> bool:
    """Say whether samples of a series reach into what is kept: it cannot be cut."""
    if not isinstance(fact.value, tuple) or fact.when is None:
        return False
    length = timedelta(milliseconds=float(fact.period_ms or 0)) * len(fact.value)
    return max(fact.when.latest, fact.when.earliest + length) >= start


@lru_cache(maxsize=64)
def _grounds(model: DynamicModel) -> frozenset[str]:
    """Name the facts that answer a model's needs, also by way of a formula, or come near."""
    asked = [name for need in model.needs for name in (*need.names, *need.near)]
    parts = [name for known in asked if known in FORMULAS for name, _ in FORMULAS[known].of]
    return frozenset((*asked, *parts))


def _is_ground(model: DynamicModel, fact: Fact) -> bool:
    """Say whether a fact may have a say in the answer to a need, or whether the patient lives. Too many do no harm."""
    kinds = {need.kind for need in model.needs}
    match fact.kind:
        case "demographic":
            return True
        case "condition":
            return "problem" in kinds or fact.name in _grounds(model)
        case "medication":
            return "medication" in kinds or fact.name in _grounds(model)
        case _:
            return fact.name in _grounds(model)

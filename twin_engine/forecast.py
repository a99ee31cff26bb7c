"""A forecast: what is expected to be measured, how sure that is, and how right earlier forecasts for this twin were.

The ensemble of a track is followed under a plan; what it has been wrong about on this twin's own past is corrected for
an hour ahead (`twin_engine.residual`), and the width of the interval is the one that has held. Where nothing is logged
that the model answers to, "nothing changes" takes the place of the ensemble.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np

from twin_engine.backtest import HORIZONS, Skill
from twin_engine.checkpoint import moment_of
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.plan import Plan, inputs_over, inputs_under
from twin_engine.reach import kept_within, said_of_ends
from twin_engine.refusal import refuse_lost
from twin_engine.residual import POINTS, SPACING, Outlook
from twin_engine.run import Input
from twin_engine.scoring import INSIDE, Score
from twin_engine.series import Dose, Series
from twin_engine.track import Track, begin, plan_ahead, predict, walk

__all__ = ["STALE", "Course", "Forecast", "Score", "forecast", "learn", "renew"]

STALE = timedelta(minutes=15)  # policy: an older last reading is said, and the interval is that of the longer way
_ACTS = timedelta(hours=26)  # doses older than that act no more (a long-acting insulin acts for a day)
_TESTED = HORIZONS[-1]  # minutes
_CAUGHT_UP = 12  # so many readings at once are caught up with; after more, the past is gone through again
_FIRST = timedelta(days=1)
_SILENCE = timedelta(days=14)  # policy: as long as a track looks back; behind it the ensemble is the priors' again


class Course(msgspec.Struct, frozen=True, omit_defaults=True):
    """One channel over time: the median and the middle 90 % at each of `minutes` after the start.

    `sd` is the standard deviation of the predictive distribution of a measurement, which is normal.
    """

    name: str
    title: str
    unit: str
    minutes: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    sd: tuple[float, ...] = ()


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True, tag="forecast"):
    """What a calibrated model expects under a plan, from `at` on. Simulated, never measured.

    `last` is the last reading's time; `method` tells in words how it was made; `scores` how right such forecasts were
    over all of the twin's past, `days` day by day.
    """

    model: str
    title: str
    version: str
    settings: dict[str, str]
    at: datetime
    last: datetime
    plan: Plan
    method: str
    courses: tuple[Course, ...]
    scores: tuple[Score, ...]
    days: dict[str, tuple[Score, ...]]
    inputs: tuple[Input, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    seed: int
    members: int

    @property
    def untested(self) -> tuple[str, ...]:
        """The titles of the courses whose forecasts were not compared with readings: their intervals are promises."""
        tested = {score.channel for score in self.scores}
        return tuple(course.title for course in self.courses if course.name not in tested)


def learn(
    model: DynamicModel, inputs: Mapping[str, float], series: Series, *, members: int = 100, seed: int = 0
) -> Skill:
    """Go through a twin's past, reading by reading, with what was known at each: corrections, spread and scores.

    The first day, where there are two or more, only sets the rates that the patient is at rest under. `ValueError`
    where there is no reading.
    """
    skill = Skill.begin(model, series.doses)
    readings = [reading for reading in series.readings if reading.channel == skill.channel]
    if not skill.with_ensemble or not readings:
        for reading in readings:
            skill.take(reading)
            skill.look(model, (), np.full(POINTS, reading.value), _blind(model))
        return skill
    for stretch in _stretches(series):
        _learn_from(model, inputs, stretch, skill, members, seed)
    return skill


def _stretches(series: Series) -> Iterator[Series]:
    """Cut a past at its long silences, so that a reading of a clock that had lost its date costs no decades."""
    cuts = [i for i, (one, next_) in enumerate(pairwise(series.readings), 1) if next_.when - one.when > _SILENCE]
    for begin_, end in pairwise((0, *cuts, len(series.readings))):
        yield Series(series.readings[begin_:end], series.doses)


def _learn_from(
    model: DynamicModel, inputs: Mapping[str, float], series: Series, skill: Skill, members: int, seed: int
) -> None:
    """Go through a stretch of readings."""
    first = moment_of(series.readings[0])
    known = first + _FIRST if series.readings[-1].when - first > 2 * _FIRST else first
    track = begin(model, inputs, series, members=members, seed=seed, until=known)
    waiting = {moment_of(reading): reading for reading in series.readings if reading.channel == skill.channel}
    times = [dose.when for dose in series.doses]
    for when, state in walk(model, track, series):
        met = waiting.get(when)
        if met is None:
            continue
        skill.take(met)
        low, high = bisect_right(times, when - _ACTS), bisect_right(times, met.when)
        doses = series.doses[low:high]
        laid = inputs_over(model, doses, when, POINTS * SPACING, resting=track.resting)
        seen = model.trace(state, laid, SPACING)[1]
        refuse_lost(model, seen, SPACING, when, laid)
        if when >= known:
            skill.look(model, doses, *_summary(model, seen[:, :, 0]))


def renew(model: DynamicModel, inputs: Mapping[str, float], track: Track, skill: Skill, series: Series) -> Skill:
    """Move a skill on by what came since; the track is up to date already.

    After a few readings at once, only the last gives a new forecast to be tested; after many, all of the past is gone
    through again. A reading that came late is not learnt from: no forecast was made with it.
    """
    new = [r for r in series.readings if r.channel == skill.channel and (skill.at is None or r.when > skill.at)]
    fresh = Skill.begin(model, series.doses)
    same = fresh.with_ensemble == skill.with_ensemble and [t.rule for t in fresh.trials] == [
        t.rule for t in skill.trials
    ]
    if len(new) > _CAUGHT_UP or not same:
        return learn(model, inputs, series, members=track.members, seed=track.seed)
    for reading in new:
        skill.take(reading)
    if new:
        _look(model, track, skill, _recent(series.doses, track.at), wait=True)
    return skill


def forecast(
    model: DynamicModel,
    track: Track,
    series: Series,
    plan: Plan,
    *,
    minutes: int,
    at: datetime,
    skill: Skill,
    grounds: tuple[Input, ...] = (),
    assumptions: tuple[str, ...] = (),
) -> Forecast:
    """Forecast the model's channels from `at` on, which is not before the last reading.

    Raises `Diverged` where a member is no number any more, and `ValueError` for a time before the track's.
    """
    if at < track.at or minutes < 1:
        raise ValueError("a forecast looks ahead of the last reading")
    every = model.every_minutes
    lead = int((at - track.at).total_seconds() // 60)
    total = -(-(lead + minutes) // every) * every
    later = [dose for dose in series.doses if moment_of(dose) > track.at]  # one of this very minute is not yet felt
    laid = inputs_under(model, plan, (*track.running, *later), track.at, total, resting=track.resting)
    seen = predict(model, track, laid, every)
    refuse_lost(model, seen, every, track.at, laid)
    points: Array = np.arange(1, total // every + 1, dtype=np.float64) * every
    shown = points > lead
    courses: list[Course] = []
    touched: list[str] = []
    for index, channel in enumerate(model.channels):
        mean, sd = seen[:, :, index].mean(axis=1), np.hypot(seen[:, :, index].std(axis=1, ddof=1), channel.sd)
        if channel.name == skill.channel:
            mean, sd = _corrected(model, track, skill, series, mean, sd, points)
        elif not skill.with_ensemble:
            continue  # without what moves it, the ensemble says nothing that was tested
        sd = np.maximum.accumulate(sd)  # later is never surer, though the members of the ensemble draw together
        ends = (mean, np.maximum(mean - INSIDE * sd, 0.0), mean + INSIDE * sd)
        median, low, high = (tuple(kept_within(channel, each)[shown].tolist()) for each in ends)
        touched += said_of_ends(channel, min(low), max(high))
        courses.append(
            Course(
                channel.name,
                channel.title,
                channel.unit,
                tuple((points - lead)[shown].tolist()),
                median,
                low,
                high,
                tuple(sd[shown].tolist()),
            )
        )
    last = next((r.when for r in reversed(series.readings) if moment_of(r) <= at), track.at)
    notes = [*assumptions, *touched]
    if at - last > STALE:
        notes.append(f"The last reading is {int((at - last).total_seconds() // 60)} minutes older than this forecast.")
    if lead + minutes > _TESTED:
        notes.append(f"Further than {_TESTED} minutes from the last reading no forecast was tested.")
    return Forecast(
        model=model.name,
        title=model.title,
        version=model.version,
        settings=model.settings,
        at=at,
        last=last,
        plan=plan,
        method=_method(track, skill),
        courses=tuple(courses),
        scores=skill.scores(),
        days=dict(skill.scores_by_day()),
        inputs=grounds,
        assumptions=tuple(notes),
        limits=model.card.limits,
        citation=model.citation,
        seed=track.seed,
        members=track.members,
    )


def _corrected(
    model: DynamicModel, track: Track, skill: Skill, series: Series, mean: Array, sd: Array, points: Array
) -> tuple[Array, Array]:
    """Correct a course by what was learnt, which fades after the hour in which it was tested."""
    if not skill.recent:
        return mean, sd
    outlook = _look(model, track, skill, _recent(series.doses, track.at), wait=False)
    tested = np.arange(1, POINTS + 1) * float(SPACING)
    off = np.asarray(outlook.mean) - np.asarray(outlook.base)
    ratio = np.asarray(outlook.sd) / np.asarray(outlook.shape)
    fading = np.exp(-np.maximum(points - tested[-1], 0.0) / tested[-1])
    base = mean if skill.with_ensemble else np.full(len(points), outlook.value)
    if skill.with_ensemble:
        width = sd * np.interp(points, tested, ratio)
    else:
        width = np.interp(points, tested, outlook.sd) * np.sqrt(np.maximum(points / tested[-1], 1.0))
    return base + np.interp(points, tested, off) * fading, width


def _look(model: DynamicModel, track: Track, skill: Skill, doses: tuple[Dose, ...], *, wait: bool) -> Outlook:
    """Forecast an hour from the track's last reading with nothing new: what is kept to be tested."""
    laid = plan_ahead(model, track, doses, POINTS * SPACING)
    if skill.with_ensemble:
        seen = predict(model, track, laid, SPACING)
        refuse_lost(model, seen, SPACING, track.at, laid)
        expected, shape = _summary(model, seen[:, :, 0])
    else:
        expected, shape = np.full(POINTS, skill.recent[-1][1]), _blind(model)
    return skill.look(model, doses, expected, shape, wait=wait)


def _summary(model: DynamicModel, seen: Array) -> tuple[Array, Array]:
    """Tell mean and standard deviation of a measurement at each point, from (points, members)."""
    return seen.mean(axis=1), np.hypot(seen.std(axis=1, ddof=1), model.channels[0].sd)


def _blind(model: DynamicModel) -> Array:
    """Tell how far a measurement strays where nothing but its device is known: a start, until the past has told."""
    return model.channels[0].sd * np.sqrt(1.0 + np.arange(1, POINTS + 1) * SPACING / 10.0)


def _recent(doses: Iterable[Dose], at: datetime) -> tuple[Dose, ...]:
    return tuple(dose for dose in doses if at - _ACTS < dose.when <= at + timedelta(minutes=1))


def _method(track: Track, skill: Skill) -> str:
    if not skill.with_ensemble:
        return "ridge regression on this twin's last readings; nothing that moves the model is logged"
    pairs = f"{skill.ridge.pairs} past forecasts" if skill.ridge.solved else "too few past forecasts to learn from yet"
    return f"ensemble of {track.members} members, corrected by ridge regression on {pairs}"

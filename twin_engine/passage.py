"""The way of an ensemble through time: from a checkpoint, over doses and readings, hour by hour."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from twin_engine.assimilate import advance, chance, update
from twin_engine.checkpoint import MODULUS, Checkpoint, Track, digest_of, floor, hour_of, moment_of
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.plan import inputs_over
from twin_engine.refusal import refuse_lost
from twin_engine.series import Dose, Reading

__all__ = ["Passage", "Trial", "minutes_between", "running_at", "usual_rates"]

WINDOW = 36  # readings over which surprise is averaged: three hours of a sensor
LEAST_RATED = 12  # forecasts by which two ensembles are compared
SURE = 3.0  # standard errors; forecasts of neighbouring hours share their errors
CAPPED = 25.0  # of a single reading: one wild value is the sensor's
_HOUR = timedelta(hours=1)


class Passage:
    """An ensemble under way. `follow` moves it; what it is now stands in `at`, `state` and the others."""

    def __init__(self, model: DynamicModel, track: Track, base: Checkpoint) -> None:
        """Start from a checkpoint of a track, or from the track as it is (`track.now`)."""
        self._model = model
        self._seed, self._resting = track.seed, track.resting
        self._known = list(base.running)
        self._sum = int.from_bytes(base.digest)
        self._start, self._laid = base.at, np.empty((0, len(model.plan)))
        self.at = base.at
        kept = np.frombuffer(base.state, dtype=np.float32).astype(np.float64)
        self.state: Array = kept.reshape(track.members, track.width) if base.state else track.ensemble
        self.readings = base.readings
        self.surprise = base.surprise

    @property
    def digest(self) -> bytes:
        """The digest of all that was used."""
        return self._sum.to_bytes(16)

    @property
    def running(self) -> tuple[Dose, ...]:
        """The doses that still act."""
        return running_at(self._model, self._known, self.at)

    def follow(self, facts: Sequence[Reading | Dose], until: datetime | None = None) -> Iterator[Checkpoint | datetime]:
        """Go through facts in order of time, up to the last reading: a checkpoint at each hour, a time at each reading.

        Doses later than the last reading are left for later, unless `until` is. An hour that ends with a reading gives
        both.
        """
        readings = [fact for fact in facts if isinstance(fact, Reading)]
        doses = [fact for fact in facts if isinstance(fact, Dose)]
        end = until or (moment_of(readings[-1]) if readings else self.at)
        self._start = self.at
        span = minutes_between(self.at, end)
        self._laid = inputs_over(self._model, (*self._known, *doses), self.at, span, resting=self._resting)
        counted = 0
        for stop in _stops(self.at, end, readings):
            minute = int(stop.timestamp()) // 60
            rng = chance(self._seed, minute)
            self.state = advance(self._model, self.state, self.plan_until(stop), minute, rng)
            first = counted
            while counted < len(facts) and moment_of(facts[counted]) <= stop:
                counted += 1
            self.at = stop
            seen = self._use(facts[first:counted], minute, rng)
            if stop.minute == 0:
                yield self._checkpoint()
            if seen:
                yield stop

    def plan_until(self, when: datetime) -> Array:
        """Return what is given from now until a time within what is followed, (minutes, plan inputs)."""
        return self._laid[minutes_between(self._start, self.at) : minutes_between(self._start, when)]

    def _use(self, facts: Sequence[Reading | Dose], minute: int, rng: np.random.Generator) -> bool:
        """Take in the facts of one step, and say whether there were readings."""
        self._known += [fact for fact in facts if isinstance(fact, Dose)]
        seen = [fact for fact in facts if isinstance(fact, Reading)]
        if seen:
            self.state, surprises = update(self._model, self.state, seen, minute, rng)
            for surprise in surprises:
                self.surprise += (min(surprise, CAPPED) - self.surprise) / WINDOW
            self.readings += len(seen)
        self._sum = (self._sum + digest_of(self._seed, facts)) % MODULUS
        return bool(seen)

    def _checkpoint(self) -> Checkpoint:
        """Round the ensemble, go on from what was kept, and keep it."""
        rounded = self.state.astype(np.float32)
        self.state = rounded.astype(np.float64)
        self._known = list(self.running)
        return Checkpoint(self.at, rounded.tobytes(), self.digest, tuple(self._known), self.readings, self.surprise)


class Trial:
    """How well an ensemble forecasts readings over a model's horizon: logarithmic score, the less the better.

    Forecasts know the doses that were given since, which is the same for all that are compared.
    """

    def __init__(self, model: DynamicModel, readings: Sequence[Reading], start: datetime) -> None:
        """Rate forecasts made from `start` on, two in each horizon of the model."""
        self._model = model
        self._readings = [reading for reading in readings if not reading.edge]
        self._moments = [moment_of(reading) for reading in self._readings]
        self._start, self._turn = start, -1
        self._ahead = timedelta(minutes=model.horizon_minutes)
        self.scores: dict[datetime, float] = {}

    def rate(self, passage: Passage) -> None:
        """Forecast the first reading a horizon later, if it is time for a forecast and such a reading came.

        Raises `Diverged` where a member is no number any more.
        """
        turn = int(passage.at.timestamp() // (30 * self._model.horizon_minutes))
        if passage.at < self._start or turn == self._turn:
            return
        self._turn = turn
        place = bisect_left(self._moments, passage.at + self._ahead)
        if place == len(self._readings) or self._moments[place] > passage.at + 2 * self._ahead:
            return
        reading, plan = self._readings[place], passage.plan_until(self._moments[place])
        names = [channel.names for channel in self._model.channels]
        column = next(i for i, known in enumerate(names) if reading.channel in known)
        seen = self._model.trace(passage.state, plan, len(plan))[1]
        refuse_lost(self._model, seen, len(plan), passage.at, plan)
        expected = seen[0, :, column]
        variance = float(expected.var(ddof=1)) + reading.sd**2
        off = reading.value - float(expected.mean())
        self.scores[self._moments[place]] = 0.5 * math.log(variance) + 0.5 * off * off / variance

    def gain(self, other: Trial) -> tuple[float, bool]:
        """Return by how much the other is better on average, and whether that is more than chance would make it."""
        both = self.scores.keys() & other.scores.keys()
        if len(both) < LEAST_RATED:
            return 0.0, False
        better = np.array([self.scores[when] - other.scores[when] for when in sorted(both)])
        return float(better.mean()), bool(better.mean() > SURE * better.std(ddof=1) / math.sqrt(len(better)))


def _stops(start: datetime, end: datetime, readings: Iterable[Reading]) -> list[datetime]:
    """List where an ensemble pauses: at each reading, at each full hour, at the end."""
    found = {end, *map(moment_of, readings)}
    hour = hour_of(start) + _HOUR
    while hour <= end:
        found.add(hour)
        hour += _HOUR
    return sorted(stop for stop in found if start < stop <= end)


def running_at(model: DynamicModel, doses: Iterable[Dose], at: datetime) -> tuple[Dose, ...]:
    """Choose the doses given until a time that act after it: rates in force, and what is not yet given or felt."""
    kept: list[Dose] = []
    given = sorted(dose for dose in doses if moment_of(dose) <= at)
    for each in model.plan:
        delay = timedelta(minutes=each.delay)
        mine = [(floor(dose.when) + delay, dose) for dose in given if dose.input == each.name]
        if each.kind == "rate":
            lasting = [number for number, (first, dose) in enumerate(mine) if first <= at and not dose.minutes]
            mine = mine[lasting[-1] if lasting else 0 :]
        for first, dose in mine:
            minutes = max(round(dose.minutes), 0 if each.kind == "rate" else 1)
            holds = each.kind == "rate" and not dose.minutes
            if holds or first > at or first + timedelta(minutes=minutes) > at:
                kept.append(dose)
    return tuple(kept)


def usual_rates(
    model: DynamicModel, inputs: Mapping[str, float], doses: Sequence[Dose], start: datetime, end: datetime
) -> dict[str, float]:
    """Return the mean of each rate since it is on record, at most from `start`: what a patient is at rest under."""
    found: dict[str, float] = {}
    for column, each in enumerate(model.plan):
        mine = sorted(dose for dose in doses if dose.input == each.name)
        if each.kind != "rate" or not mine:
            continue
        first = max(start, floor(mine[0].when) + timedelta(minutes=each.delay))
        span = minutes_between(first, end)
        laid = inputs_over(model, mine, first, max(span, 1), resting=inputs)[:, column]
        found[each.name] = float(laid.mean()) if span > 0 else mine[0].amount
    return found


def minutes_between(start: datetime, end: datetime) -> int:
    """Count whole minutes."""
    return int((end - start).total_seconds()) // 60

"""The twin's own past as the test of its forecasts: each was made with what was known then, and met what came.

`Skill` is all that is kept beside a track: the corrections that were learnt, the forecasts that still wait for their
readings, and the scores, over all and day by day, so that one sees whether the twin grew more accurate as data came.
A reading moves it on by one step; a history is the same steps one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from twin_engine.alert import Trial, likelihood, rules_of
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.residual import LAGS, POINTS, SPACING, Outlook, Ridge, faded, features
from twin_engine.scoring import Score, Tally
from twin_engine.series import Dose, Reading

__all__ = ["HORIZONS", "Day", "Skill"]

HORIZONS = (30, 60)
_AHEAD = tuple(float(SPACING * (point + 1)) for point in range(POINTS))
_GAP = 16.0  # minutes: a longer gap is not bridged
_NEAR = SPACING / 2.0  # how near to a point a reading has to come to be its reading
_LAST_DAYS = 30
_USUAL = 0.2  # of the largest single amount: a usual one


class Day(msgspec.Struct):
    """The forecasts made on one UTC day, for each of `HORIZONS`."""

    day: str
    tallies: list[Tally]


class Skill(msgspec.Struct):
    """What was learnt of one channel of one twin. It changes in place; write it with msgspec to keep it.

    `with_ensemble` tells whether the ensemble's expectation is the base of a forecast (where meals, doses or the like
    are logged), else "nothing changes" is.
    """

    channel: str
    with_ensemble: bool
    ridge: Ridge
    tallies: list[Tally]
    days: list[Day] = []
    waiting: list[Outlook] = []
    recent: list[tuple[datetime, float]] = []
    at: datetime | None = None
    trials: list[Trial] = []

    @classmethod
    def begin(cls, model: DynamicModel, doses: Sequence[Dose]) -> Skill:
        """Begin without a past."""
        counted = frozenset(each.name for each in model.plan if each.kind == "dose")
        logged = any(dose.input in counted for dose in doses)
        width = 1 + LAGS + 4 + (5 + 2 * len(counted) if logged else 0)
        trials = [Trial.begin(rule) for rule in rules_of(model)]
        return cls(model.channels[0].name, logged, Ridge.empty(width), [Tally() for _ in HORIZONS], trials=trials)

    def take(self, reading: Reading) -> None:
        """Meet a reading: score the forecasts that waited for it, and learn from those that are whole."""
        self.at = reading.when
        for trial in self.trials:
            trial.take(reading.when, reading.value)
        self.recent = [one for one in self.recent if reading.when - one[0] <= timedelta(minutes=SPACING * (LAGS + 3))]
        self.recent.append((reading.when, reading.value))
        still = []
        for outlook in self.waiting:
            ahead = (reading.when - outlook.at).total_seconds() / 60.0
            index = round(ahead / SPACING) - 1
            if 0 <= index < POINTS and abs(ahead - SPACING * (index + 1)) <= _NEAR and outlook.told[index] is None:
                outlook.told[index] = reading.value
                self.ridge.rate(index, outlook, reading.value)
                self._score(index, outlook, reading.value)
            if ahead < SPACING * POINTS - _NEAR:
                still.append(outlook)
            elif outlook.is_whole:
                self.ridge.learn(outlook)
        self.waiting = still

    def look(
        self, model: DynamicModel, doses: Sequence[Dose], expected: Array, shape: Array, *, wait: bool = True
    ) -> Outlook:
        """Forecast an hour from the last reading, with the ensemble's mean and standard deviation at the points.

        `doses` are those given in the last hours. With `wait` the forecast is kept until its readings have come.
        """
        at, value = self.recent[-1]
        known = self._features(model, doses, expected)
        base = expected if self.with_ensemble else np.full(POINTS, value)
        mean = base if known is None else base + self.ridge.correct(known)
        outlook = Outlook(
            at,
            value,
            base.tolist(),
            mean.tolist(),
            self.ridge.widths(shape).tolist(),
            shape.tolist(),
            b"" if known is None else known.tobytes(),
            [None] * POINTS,
        )
        if wait:
            self.waiting.append(outlook)
            for trial in self.trials:
                trial.look(at, likelihood(trial.rule, _AHEAD, outlook.mean, outlook.sd)[0])
        return outlook

    def scores(self) -> tuple[Score, ...]:
        """Tell how right the forecasts were, over all of the past."""
        told = (tally.score(self.channel, minutes) for tally, minutes in zip(self.tallies, HORIZONS, strict=True))
        return tuple(score for score in told if score is not None)

    def scores_by_day(self) -> Mapping[str, tuple[Score, ...]]:
        """Tell it for each UTC day on which forecasts were made."""
        return {
            day.day: tuple(
                score
                for tally, minutes in zip(day.tallies, HORIZONS, strict=True)
                if (score := tally.score(self.channel, minutes)) is not None
            )
            for day in self.days
        }

    def _score(self, index: int, outlook: Outlook, value: float) -> None:
        minutes = SPACING * (index + 1)
        if minutes not in HORIZONS:
            return
        which = HORIZONS.index(minutes)
        name = outlook.at.astimezone(UTC).date().isoformat()
        if not self.days or self.days[-1].day < name:
            self.days = [*self.days[-_LAST_DAYS + 1 :], Day(name, [Tally() for _ in HORIZONS])]
        day = next((day for day in self.days if day.day == name), self.days[-1])
        for tally in (self.tallies[which], day.tallies[which]):
            tally.add(outlook.at, outlook.mean[index], outlook.sd[index], outlook.value, value)

    def _features(self, model: DynamicModel, doses: Sequence[Dose], expected: Array) -> Array | None:
        """Gather what is known now; `None` where a gap in the last hour leaves too little."""
        at = self.recent[-1][0]
        ago = np.asarray([(at - when).total_seconds() / 60.0 for when, _ in reversed(self.recent)])
        wanted = np.arange(LAGS) * float(SPACING)
        if ago[-1] < wanted[-1] - _NEAR or np.any(np.diff(ago[ago <= wanted[-1] + SPACING]) > _GAP):
            return None
        lags = np.interp(wanted, ago, [value for _, value in reversed(self.recent)])
        minute = at.hour * 60.0 + at.minute
        if not self.with_ensemble:
            return features(lags, None, (), minute, 0)
        counted = [each for each in model.plan if each.kind == "dose"]
        given = [
            faded(
                [((at - d.when).total_seconds() / 60.0, d.amount) for d in doses if d.input == e.name and d.when <= at],
                _USUAL * e.bounds[1],
            )
            for e in counted
        ]
        return features(lags, expected, given, minute, len(counted))

"""Rules that turn a forecast into a warning, and how each would have done on the twin's own past.

A rule asks how likely it is that a measurement crosses a limit within a horizon. What is raised stays until it has
become unlikely for a while (hysteresis), so that a probability about the threshold does not ring again and again. The
threshold is not chosen by us: it is the lowest that gives no more false alarms a day than the operator allows, counted
on this twin's past, forecast by forecast, as they were made then.

An event is what the consensus calls one: readings past the limit for 15 minutes or longer, ended by 15 minutes back
where glucose belongs, which for level 2 is behind the limit of level 1 (Battelino T, et al. Clinical targets for
continuous glucose monitoring data interpretation. Diabetes Care 2019;42:1593-1603, and Danne T, et al. International
consensus on use of continuous glucose monitoring. Diabetes Care 2017;40:1631-1640).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from twin_engine.dynamic import DynamicModel

__all__ = ["THRESHOLDS", "Evidence", "Hold", "Rule", "Trial", "likelihood", "rules_of"]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_USUAL = 0.5  # the threshold where no past tells
_CLEARS = 0.5  # of the threshold: below that, a warning begins to end
_CALM = timedelta(minutes=10)  # that all forecasts have to be below: three of them, of a sensor of five minutes
_LASTS = timedelta(minutes=15)  # an event, and its end (consensus)
_BRIDGED = timedelta(minutes=16)  # between readings; over a longer gap nothing is known
_LEAST_DAYS = 1.0  # of readings before they choose a threshold


class Rule(msgspec.Struct, frozen=True):
    """One question to a forecast: is `channel` going to be `side` the `limit` within `minutes`?

    `severity` is FHIR's detectedissue-severity. The limit itself is not past it for "below", and is not for "above".
    `back` is where an event is over, by default the limit.
    """

    name: str
    title: str
    channel: str
    unit: str
    side: Literal["below", "above"]
    limit: float
    minutes: int
    severity: Literal["high", "moderate", "low"]
    back: float | None = None

    def is_past(self, value: float) -> bool:
        """Say whether a measurement is past the limit."""
        return value < self.limit if self.side == "below" else value > self.limit

    def is_back(self, value: float) -> bool:
        """Say whether a measurement is where an event ends."""
        limit = self.limit if self.back is None else self.back
        return value >= limit if self.side == "below" else value <= limit


def rules_of(model: DynamicModel) -> tuple[Rule, ...]:
    """List what is watched in a model's forecasts: levels 1 and 2 of hypo- and hyperglycaemia, for a CGM in mg/dL."""
    channel = model.channels[0]
    if channel.name != "interstitial-glucose" or channel.unit != "mg/dL":
        return ()
    return tuple(
        Rule(f"{name}-{minutes}", title, channel.name, channel.unit, side, limit, minutes, severity, back)
        for name, title, side, limit, severity, back in _GLUCOSE
        for minutes in (30, 60)
    )


_GLUCOSE: tuple[tuple[str, str, Literal["below", "above"], float, Literal["high", "moderate", "low"], float], ...] = (
    ("hypoglycaemia-level-2", "Glucose below 54 mg/dL", "below", 54.0, "high", 70.0),
    ("hypoglycaemia-level-1", "Glucose below 70 mg/dL", "below", 70.0, "moderate", 70.0),
    ("hyperglycaemia-level-2", "Glucose above 250 mg/dL", "above", 250.0, "moderate", 180.0),
    ("hyperglycaemia-level-1", "Glucose above 180 mg/dL", "above", 180.0, "low", 180.0),
)


def likelihood(
    rule: Rule, minutes: Sequence[float], mean: Sequence[float], sd: Sequence[float]
) -> tuple[float, float | None]:
    """Return the probability of a crossing within the rule's horizon, and in how many minutes it is expected.

    The probability is the greatest of those at the single points of a normal forecast: the least that "at some time
    within the horizon" can be. The lead time is that of the first point where a crossing is more likely than not,
    `None` where there is none. A forecast that is no number has no probability: `ValueError`.
    """
    most, lead = 0.0, None
    for minute, middle, width in zip(minutes, mean, sd, strict=True):
        if minute > rule.minutes:
            break
        off = (rule.limit - middle) / (width * math.sqrt(2.0)) if width > 0.0 else math.nan
        if not math.isfinite(off):
            raise ValueError("a forecast has a finite mean and a positive spread")
        share = 0.5 * math.erfc(-off if rule.side == "below" else off)
        most = max(most, share)
        if lead is None and share >= _USUAL:
            lead = minute
    return most, lead


class Hold(msgspec.Struct):
    """Whether a warning stands, with hysteresis. It changes in place."""

    stands: bool = False
    calm_since: datetime | None = None

    def feel(self, at: datetime, probability: float, threshold: float) -> Literal["raised", "cleared", ""]:
        """Take the probability that a forecast from `at` gave, and say what changed."""
        if not self.stands:
            self.stands, self.calm_since = probability >= threshold, None
            return "raised" if self.stands else ""
        self.calm_since = (self.calm_since or at) if probability < _CLEARS * threshold else None
        if self.calm_since is None or at - self.calm_since < _CALM:
            return ""
        self.stands = False
        return "cleared"


class Evidence(msgspec.Struct, frozen=True):
    """How a rule would have done on a twin's past with one threshold.

    `events` were there to be foreseen, `foreseen` had a warning before, on average `lead_minutes` ahead; `alarms` were
    raised while the limit was not crossed, `false_alarms` of them were followed by no event within the horizon.
    """

    threshold: float
    days: float
    events: int
    foreseen: int
    alarms: int
    false_alarms: int
    lead_minutes: float | None

    @property
    def false_alarms_a_day(self) -> float:
        """How often it rings for nothing."""
        return self.false_alarms / self.days if self.days else 0.0


class _Count(msgspec.Struct):
    """One threshold of `Trial`: what it raised and waits for, and what came of it."""

    hold: Hold
    waiting: list[datetime]
    alarms: int = 0
    false: int = 0
    foreseen: int = 0
    lead: float = 0.0


class Trial(msgspec.Struct):
    """One rule on one twin's past, with all `THRESHOLDS` side by side. It changes in place, reading by reading."""

    rule: Rule
    counts: list[_Count]
    events: int = 0
    minutes: float = 0.0  # that the readings cover
    since: datetime | None = None  # readings are past the limit from here on
    back: datetime | None = None  # an event goes on, and readings are back from here on
    happening: bool = False
    last: datetime | None = None

    @classmethod
    def begin(cls, rule: Rule) -> Trial:
        """Begin without a past."""
        return cls(rule, [_Count(Hold(), []) for _ in THRESHOLDS])

    def look(self, at: datetime, probability: float) -> None:
        """Take the probability that a forecast at a reading's time gave."""
        for count, threshold in zip(self.counts, THRESHOLDS, strict=True):
            if count.hold.feel(at, probability, threshold) == "raised" and self.since is None and not self.happening:
                count.alarms += 1
                count.waiting.append(at)

    def take(self, at: datetime, value: float) -> None:
        """Take a reading: an event begins or ends, and alarms turn out right or false."""
        if self.last is not None and at - self.last > _BRIDGED:
            self._forget()
        elif self.last is not None:
            self.minutes += (at - self.last).total_seconds() / 60.0
        self.last = at
        if self.rule.is_past(value):
            self.since, self.back = self.since or at, None
            if not self.happening and at - self.since >= _LASTS:
                self.happening = True
                self._began(self.since)
        else:
            self.since = None
            self.back = (self.back or at) if self.rule.is_back(value) else None
            self.happening = self.happening and (self.back is None or at - self.back < _LASTS)
        # an event that begins at the end of the horizon is known as one only when it has lasted
        latest = at - timedelta(minutes=self.rule.minutes) - _LASTS
        for count in self.counts:
            late = [raised for raised in count.waiting if raised < latest]
            if late:
                count.false += len(late)
                count.waiting = [raised for raised in count.waiting if raised >= latest]

    def evidence(self, threshold: float) -> Evidence:
        """Tell how the rule would have done with one of `THRESHOLDS`."""
        count = self.counts[THRESHOLDS.index(threshold)]
        return Evidence(
            threshold,
            self.minutes / 1440.0,
            self.events,
            count.foreseen,
            count.alarms,
            count.false,
            count.lead / count.foreseen if count.foreseen else None,
        )

    def choose(self, false_alarms_a_day: float) -> Evidence:
        """Choose the lowest threshold with no more false alarms than allowed; the highest where each has more.

        With less than a day of readings it is the usual one, more likely than not.
        """
        if self.minutes < _LEAST_DAYS * 1440.0:
            return self.evidence(_USUAL)
        told = [self.evidence(threshold) for threshold in THRESHOLDS]
        return next((one for one in told if one.false_alarms_a_day <= false_alarms_a_day), told[-1])

    def _began(self, onset: datetime) -> None:
        self.events += 1
        for count in self.counts:
            # its own end is counted from the onset, not from when it was known to last
            right = [raised for raised in count.waiting if onset - raised <= timedelta(minutes=self.rule.minutes)]
            if right:
                count.foreseen += 1
                count.lead += (onset - right[0]).total_seconds() / 60.0
            count.false += len(count.waiting) - len(right)
            count.waiting = []

    def _forget(self) -> None:
        """Over a gap nobody knows what happened: what waited is neither right nor false, and what stood stands not."""
        self.since, self.back, self.happening = None, None, False
        for count in self.counts:
            count.alarms -= len(count.waiting)
            count.waiting, count.hold = [], Hold()

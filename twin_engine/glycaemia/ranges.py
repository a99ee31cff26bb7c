"""Time in ranges, the targets for it, and whether enough was measured to judge.

Sources: Battelino T, et al. Clinical targets for continuous glucose monitoring data interpretation. Diabetes Care
2019;42:1593-1603; and Continuous glucose monitoring and metrics for clinical trials. Lancet Diabetes Endocrinol
2023;11:42-57 (time in tight range).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from security.errors import Misuse, UnknownName
from twin_engine.glycaemia.trace import DAY, Numbers, Trace, glucose_of

__all__ = ["TARGETS", "Judged", "Target", "TimesInRanges", "Wear", "judge", "percent_within", "times_in_ranges", "wear"]


class TimesInRanges(msgspec.Struct, frozen=True):
    """Shares of the readings in the ranges of the consensus, in percent; the five from `tbr2` to `tar2` add up to 100.

    tbr2 below 54; tbr1 from 54 to below 70; tir 70 to 180, both inclusive; tar1 above 180 to 250; tar2 above 250; titr
    70 to 140, both inclusive (mg/dL).
    """

    tbr2: float
    tbr1: float
    tir: float
    tar1: float
    tar2: float
    titr: float

    @property
    def below(self) -> float:
        """The share below 70 mg/dL."""
        return self.tbr1 + self.tbr2

    @property
    def above(self) -> float:
        """The share above 180 mg/dL."""
        return self.tar1 + self.tar2


class Wear(msgspec.Struct, frozen=True):
    """How much was measured in the last days: `days` from first to last reading, `active` in percent of the window.

    `sufficient` where `active` is at least `required` percent.
    """

    days: float
    window: float
    active: float
    required: float
    sufficient: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One target: the share of readings between two values (mg/dL, both inclusive) against a limit in percent."""

    name: str
    low: float
    high: float
    compare: Literal["<", ">", ">=", "<="]
    limit: float

    def met(self, percent: float) -> bool:
        """Whether a share meets it."""
        match self.compare:
            case "<":
                return percent < self.limit
            case ">":
                return percent > self.limit
            case "<=":
                return percent <= self.limit
            case ">=":
                return percent >= self.limit


class Judged(msgspec.Struct, frozen=True):
    """A target, what was measured (percent), and whether it is met."""

    name: str
    percent: float
    compare: str
    limit: float
    met: bool


_COVERS = 15.0  # minutes that a reading stands for at most: the spacing of the slowest sensors
_INF = float("inf")
_UNDER = np.nextafter  # the largest value below a bound, for shares that exclude it
_BELOW_54 = ("below 54 mg/dL", 0.0, float(_UNDER(54.0, 0.0)))
_BELOW_70 = ("below 70 mg/dL", 0.0, float(_UNDER(70.0, 0.0)))
_ABOVE_180 = ("above 180 mg/dL", float(_UNDER(180.0, _INF)), _INF)
_ABOVE_250 = ("above 250 mg/dL", float(_UNDER(250.0, _INF)), _INF)

# By population (Battelino 2019, figure 1). For type 2 and gestational diabetes in pregnancy the consensus gives the
# range and no shares, so that there is nothing to judge by.
TARGETS: Mapping[str, tuple[Target, ...]] = {
    "type-1-and-2": (
        Target("70 to 180 mg/dL", 70.0, 180.0, ">=", 70.0),
        Target(*_BELOW_70, "<", 4.0),
        Target(*_BELOW_54, "<", 1.0),
        Target(*_ABOVE_180, "<", 25.0),
        Target(*_ABOVE_250, "<", 5.0),
    ),
    "older-or-high-risk": (
        Target("70 to 180 mg/dL", 70.0, 180.0, ">", 50.0),
        Target(*_BELOW_70, "<", 1.0),
        Target(*_ABOVE_250, "<", 10.0),
    ),
    "pregnancy-type-1": (
        Target("63 to 140 mg/dL", 63.0, 140.0, ">", 70.0),
        Target("below 63 mg/dL", 0.0, float(_UNDER(63.0, 0.0)), "<", 4.0),
        Target(*_BELOW_54, "<", 1.0),
        Target("above 140 mg/dL", float(_UNDER(140.0, _INF)), _INF, "<", 25.0),
    ),
}


def percent_within(mg_dl: Numbers, low: float, high: float) -> float:
    """Return the share of readings from `low` to `high` mg/dL, both inclusive, in percent."""
    values = glucose_of(mg_dl)
    return 100.0 * float(np.mean((values >= low) & (values <= high)))


def times_in_ranges(mg_dl: Numbers) -> TimesInRanges:
    """Return the shares of readings in the ranges of the consensus, in percent of the readings.

    A value of exactly 70 or 180 mg/dL is in range, as the consensus has it (some programs leave 70 out).
    """
    values = glucose_of(mg_dl)
    return TimesInRanges(
        tbr2=100.0 * float(np.mean(values < 54.0)),
        tbr1=100.0 * float(np.mean((values >= 54.0) & (values < 70.0))),
        tir=percent_within(values, 70.0, 180.0),
        tar1=100.0 * float(np.mean((values > 180.0) & (values <= 250.0))),
        tar2=100.0 * float(np.mean(values > 250.0)),
        titr=percent_within(values, 70.0, 140.0),
    )


def judge(mg_dl: Numbers, population: str = "type-1-and-2") -> tuple[Judged, ...]:
    """Hold readings against the targets of a population. Raises `UnknownName` for one that is not in `TARGETS`."""
    if population not in TARGETS:
        raise UnknownName("population with targets", population, TARGETS)
    values = glucose_of(mg_dl)
    told = ((target, percent_within(values, target.low, target.high)) for target in TARGETS[population])
    return tuple(Judged(t.name, share, t.compare, t.limit, t.met(share)) for t, share in told)


def wear(trace: Trace, days: float = 14.0, required: float = 70.0) -> Wear:
    """Tell how much of the last days was measured: the consensus asks for 70 % of 14 days.

    A reading covers the time to the next one, one spacing or 15 minutes at most: what is told more often is not counted
    twice, and a few fingersticks a day are no sensor. Time before the first reading counts as not measured.
    """
    if not days > 0.0:
        raise Misuse("The days to look back on are more than 0.", detail=days)
    end = trace.minutes[-1] + trace.spacing
    recent = trace.since(end - days * DAY)
    covered = float(np.minimum(recent.held, min(trace.spacing, _COVERS)).sum())
    active = min(100.0, 100.0 * covered / (days * DAY))
    span = (float(end - recent.minutes[0])) / DAY
    return Wear(span, days, active, required, active >= required)

"""The numbers of a glucose report, each with unit, code and definition, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from twin_engine.glycaemia import excursions, risk, variability
from twin_engine.glycaemia.ranges import times_in_ranges
from twin_engine.glycaemia.trace import Trace, Untold

__all__ = ["NAMES", "Number", "UntoldNumber", "numbers_of"]


class Number(msgspec.Struct, frozen=True):
    """One number: its title, unit (UCUM), LOINC code ("" where there is none), and how it is defined."""

    name: str
    title: str
    value: float
    unit: str
    loinc: str
    definition: str


class UntoldNumber(msgspec.Struct, frozen=True):
    """A number of the report that is not given, and why."""

    name: str
    title: str
    why: str
    say: str


class _Line(NamedTuple):
    name: str
    title: str
    unit: str
    loinc: str
    definition: str
    of: Callable[[Trace], float | Untold]


def _mage(trace: Trace) -> float | Untold:
    found = excursions.mage(trace)
    return found if isinstance(found, Untold) else found.mage


_OF_READINGS = "of the readings"
_LINES: tuple[_Line, ...] = (
    _Line("mean", "Mean glucose", "mg/dL", "97507-8", "Mean of the readings.", lambda t: variability.mean(t.mg_dl)),
    _Line("median", "Median glucose", "mg/dL", "", "Median of the readings.", lambda t: variability.median(t.mg_dl)),
    _Line(
        "gmi",
        "Glucose management indicator",
        "%",
        "97506-0",
        "3.31 + 0.02392 mean (Bergenstal 2018); no laboratory's HbA1c.",
        lambda t: variability.gmi(t.mg_dl),
    ),
    _Line(
        "ea1c",
        "HbA1c that goes with the mean",
        "%",
        "",
        "(mean + 46.7) / 28.7 (ADAG, Nathan 2008); no laboratory's HbA1c.",
        lambda t: variability.ea1c(t.mg_dl),
    ),
    _Line(
        "titr",
        "Time in tight range",
        "%",
        "",
        f"70 to 140 mg/dL, both inclusive, {_OF_READINGS}.",
        lambda t: times_in_ranges(t.mg_dl).titr,
    ),
    _Line("sd", "Standard deviation", "mg/dL", "", "Of all readings, with n - 1.", lambda t: variability.sd(t.mg_dl)),
    _Line(
        "cv",
        "Coefficient of variation",
        "%",
        "104638-2",
        "100 SD / mean; up to 36 % is called stable (Monnier 2017).",
        lambda t: variability.cv(t.mg_dl),
    ),
    _Line("iqr", "Interquartile range", "mg/dL", "", "Third quartile minus first.", lambda t: variability.iqr(t.mg_dl)),
    _Line(
        "j-index", "J index", "1", "", "0.001 (mean + SD)^2 (Wójcicki 1995).", lambda t: variability.j_index(t.mg_dl)
    ),
    _Line("mage", "Mean amplitude of excursions (MAGE)", "mg/dL", "", excursions.DEFINITION, _mage),
    _Line(
        "modd",
        "Mean of daily differences (MODD)",
        "mg/dL",
        "",
        "Mean of |g(t) - g(t - 24 h)| over pairs that are 24 h apart (Molnar 1972).",
        variability.modd,
    ),
    *(
        _Line(
            f"conga-{hours}",
            f"CONGA over {hours} h",
            "mg/dL",
            "",
            f"SD of g(t) - g(t - {hours} h) over pairs that are so far apart (McDonnell 2005).",
            partial(variability.conga, hours=hours),
        )
        for hours in (1, 2, 4)
    ),
    _Line(
        "mag",
        "Mean absolute change",
        "mg/dL/h",
        "",
        "Changes from reading to reading over the time in which they came about (Hermanides 2010).",
        variability.mag,
    ),
    _Line(
        "lbgi",
        "Low blood glucose index",
        "1",
        "",
        "Mean risk of lows over all readings (Kovatchev 1998).",
        lambda t: risk.lbgi(t.mg_dl),
    ),
    _Line(
        "hbgi",
        "High blood glucose index",
        "1",
        "",
        "Mean risk of highs over all readings (Kovatchev 1998).",
        lambda t: risk.hbgi(t.mg_dl),
    ),
    _Line(
        "adrr",
        "Average daily risk range",
        "1",
        "",
        "Mean over days of the worst low plus the worst high of the day (Kovatchev 2006).",
        risk.adrr,
    ),
    _Line(
        "gri",
        "Glycaemia risk index",
        "1",
        "",
        "Of shares in percent: 3 below 54 + 2.4 54 to 69 + 1.6 above 250 + 0.8 181 to 250; 100 at most (Klonoff 2023).",
        lambda t: risk.gri(t.mg_dl),
    ),
    _Line(
        "m-value",
        "M value",
        "1",
        "",
        "Mean of |10 log10(g / 90 mg/dL)|^3 (Schlichtkrull 1965).",
        lambda t: risk.m_value(t.mg_dl),
    ),
    _Line(
        "grade",
        "GRADE score",
        "1",
        "",
        "Mean of 425 (log10(log10(mmol/L)) + 0.16)^2, each 50 at most (Hill 2007).",
        lambda t: risk.grade(t.mg_dl).score,
    ),
)


NAMES = tuple(line.name for line in _LINES)


def numbers_of(trace: Trace) -> tuple[tuple[Number, ...], tuple[UntoldNumber, ...]]:
    """Compute all numbers of a trace of at least two readings: those that there are, and why others are not."""
    numbers, untold = [], []
    for line in _LINES:
        value = line.of(trace)
        if isinstance(value, Untold):
            untold.append(UntoldNumber(line.name, line.title, value.why, value.say))
        else:
            numbers.append(Number(line.name, line.title, value, line.unit, line.loinc, line.definition))
    return tuple(numbers), tuple(untold)

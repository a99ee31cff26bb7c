"""Indices that weigh how dangerous glucose is, low and high. All are over all readings, whatever their level."""

from __future__ import annotations

import msgspec
import numpy as np

from twin_engine.glycaemia.ranges import times_in_ranges
from twin_engine.glycaemia.trace import Numbers, Trace, Untold, glucose_of
from twin_engine.model import Array

__all__ = ["Grade", "adrr", "grade", "gri", "hbgi", "lbgi", "m_value", "risk_of"]

_PER_MMOL = 18.0  # mg/dL in a mmol/L, as Hill 2007 has it
_MOST = 50.0  # the cap of GRADE


def risk_of(mg_dl: Numbers) -> tuple[Array, Array]:
    """Return the risk of each reading, (low, high), 10 f^2 on its own side of 112.5 mg/dL and 0 on the other.

    f(g) = 1.509 (ln(g)^1.084 - 5.381), for g in mg/dL.

    Source: Kovatchev BP, et al. Symmetrization of the blood glucose measurement scale and its applications. Diabetes
    Care 1997;20:1655-1658.
    """
    f = 1.509 * (np.log(glucose_of(mg_dl)) ** 1.084 - 5.381)
    return np.where(f < 0.0, 10.0 * f * f, 0.0), np.where(f > 0.0, 10.0 * f * f, 0.0)


def lbgi(mg_dl: Numbers) -> float:
    """Return the low blood glucose index: the mean risk of lows over all readings. Below 1.1 it is called low.

    A program that averages over the low readings only tells another number, and a larger one.

    Source: Kovatchev BP, et al. Assessment of risk for severe hypoglycemia among adults with IDDM. Diabetes Care
    1998;21:1870-1875.
    """
    return float(np.mean(risk_of(mg_dl)[0]))


def hbgi(mg_dl: Numbers) -> float:
    """Return the high blood glucose index: the mean risk of highs over all readings."""
    return float(np.mean(risk_of(mg_dl)[1]))


def adrr(trace: Trace, least: int = 3) -> float | Untold:
    """Return the average daily risk range: the mean over days of the worst low plus the worst high of the day.

    A day (from midnight to midnight) counts where it has at least `least` readings. Below 20 it is called low, above
    40 high.

    Source: Kovatchev BP, et al. Evaluation of a new measure of blood glucose variability in diabetes. Diabetes Care
    2006;29:2433-2438.
    """
    low, high = risk_of(trace.mg_dl)
    _, first, counts = np.unique(trace.days, return_index=True, return_counts=True)
    full = counts >= least
    if not full.any():
        return Untold("no-day", f"No day has {least} readings.")
    worst = np.maximum.reduceat(low, first) + np.maximum.reduceat(high, first)
    return float(np.mean(worst[full]))


def gri(mg_dl: Numbers) -> float:
    """Return the glycaemia risk index, 0 to 100: 3.0 tbr2 + 2.4 tbr1 + 1.6 tar2 + 0.8 tar1, of shares in percent.

    Source: Klonoff DC, et al. A glycemia risk index (GRI) of hypoglycemia and hyperglycemia for continuous glucose
    monitoring validated by clinician ratings. J Diabetes Sci Technol 2023;17:1226-1242.
    """
    times = times_in_ranges(mg_dl)
    return min(100.0, 3.0 * times.tbr2 + 2.4 * times.tbr1 + 1.6 * times.tar2 + 0.8 * times.tar1)


def m_value(mg_dl: Numbers, ideal: float = 90.0) -> float:
    """Return the M value, the mean of |10 log10(g / ideal)|^3, without the term for the range of few readings.

    `ideal` is in mg/dL; authors use 80 to 120, so that it has to be said.

    Source: Schlichtkrull J, Munck O, Jersild M. The M-value, an index of blood-sugar control in diabetics. Acta Med
    Scand 1965;177:95-102.
    """
    return float(np.mean(np.abs(10.0 * np.log10(glucose_of(mg_dl) / ideal)) ** 3))


class Grade(msgspec.Struct, frozen=True):
    """The GRADE score (0 to 50), and how much of it comes from below 70, from 70 to 140 and from above, in percent."""

    score: float
    low: float
    middle: float
    high: float


def grade(mg_dl: Numbers) -> Grade:
    """Return the score of clinicians for glucose, the mean of 425 (log10(log10(mmol/L)) + 0.16)^2, each 50 at most.

    Source: Hill NR, et al. A method for assessing quality of control from glucose profiles. Diabet Med 2007;24:753-758.
    """
    values = glucose_of(mg_dl)
    inner = np.log10(values / _PER_MMOL)
    # Towards 1 mmol/L the score grows without bound; it is 50 from there down.
    outer = np.log10(np.where(inner > 0.0, inner, 1.0))
    scores = np.where(inner > 0.0, np.minimum(_MOST, 425.0 * (outer + 0.16) ** 2), _MOST)
    total = float(scores.sum())
    shares = [100.0 * float(scores[of].sum()) / total for of in (values < 70.0, values > 140.0)]
    return Grade(total / len(values), shares[0], 100.0 - shares[0] - shares[1], shares[1])

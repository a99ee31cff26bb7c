"""The mean, how far glucose swings around it, and how fast. All are in mg/dL where nothing else is said."""

from __future__ import annotations

import numpy as np

from security.errors import Misuse
from twin_engine.glycaemia.a1c import a1c_of
from twin_engine.glycaemia.trace import Numbers, Trace, Untold, glucose_of
from twin_engine.model import Array

__all__ = ["conga", "cv", "ea1c", "gmi", "iqr", "j_index", "mag", "mean", "median", "modd", "sd"]

_HOUR = 60.0


def mean(mg_dl: Numbers) -> float:
    """Return the mean, mg/dL."""
    return float(np.mean(glucose_of(mg_dl)))


def median(mg_dl: Numbers) -> float:
    """Return the median, mg/dL."""
    return float(np.median(glucose_of(mg_dl)))


def sd(mg_dl: Numbers) -> float:
    """Return the standard deviation with n - 1, mg/dL."""
    return float(np.std(glucose_of(mg_dl, least=2), ddof=1))


def cv(mg_dl: Numbers) -> float:
    """Return the coefficient of variation, 100 SD / mean, in percent. Up to 36 % glucose is called stable.

    Source: Monnier L, et al. Toward defining the threshold between low and high glucose variability in diabetes.
    Diabetes Care 2017;40:832-838.
    """
    return 100.0 * sd(mg_dl) / mean(mg_dl)


def iqr(mg_dl: Numbers) -> float:
    """Return the distance from the first to the third quartile (linear between readings), mg/dL."""
    low, high = np.percentile(glucose_of(mg_dl), [25.0, 75.0])
    return float(high - low)


def gmi(mg_dl: Numbers) -> float:
    """Return the glucose management indicator, 3.31 + 0.02392 mean, in percent (NGSP). It is no laboratory's HbA1c.

    Source: Bergenstal RM, et al. Glucose management indicator (GMI). Diabetes Care 2018;41:2275-2280.
    """
    return 3.31 + 0.02392 * mean(mg_dl)


def ea1c(mg_dl: Numbers) -> float:
    """Return the HbA1c that goes with the mean glucose by ADAG, (mean + 46.7) / 28.7, in percent (NGSP).

    Source: Nathan DM, et al. Translating the A1C assay into estimated average glucose values. Diabetes Care
    2008;31:1473-1478.
    """
    return a1c_of(mean(mg_dl))


def j_index(mg_dl: Numbers) -> float:
    """Return the J index, 0.001 (mean + SD)^2, in (mg/dL)^2 / 1000.

    Source: Wójcicki JM. "J"-index. A new proposition of the assessment of current glucose control in diabetic patients.
    Horm Metab Res 1995;27:41-42.
    """
    return 1e-3 * (mean(mg_dl) + sd(mg_dl)) ** 2


def modd(trace: Trace, tolerance: float | None = None) -> float | Untold:
    """Return the mean of daily differences, |g(t) - g(t - 24 h)|, mg/dL, over pairs that truly are 24 h apart.

    `tolerance` is in minutes, by default half a spacing.

    Source: Molnar GD, Taylor WF, Ho MM. Day-to-day variation of continuously monitored glycaemia. Diabetologia
    1972;8:342-348.
    """
    differences = _differences(trace, 24.0, tolerance)
    if isinstance(differences, Untold):
        return differences
    return float(np.mean(np.abs(differences)))


def conga(trace: Trace, hours: float, tolerance: float | None = None) -> float | Untold:
    """Return CONGA-n, the SD (n - 1) of g(t) - g(t - n h), mg/dL. Programs differ in their n: it has to be said.

    Source: McDonnell CM, et al. A novel approach to continuous glucose analysis utilizing glycemic variation. Diabetes
    Technol Ther 2005;7:253-263.
    """
    differences = _differences(trace, hours, tolerance)
    if isinstance(differences, Untold):
        return differences
    return float(np.std(differences, ddof=1))


def mag(trace: Trace, minutes: float = 0.0) -> float | Untold:
    """Return the mean absolute change of glucose per hour, mg/dL/h.

    With `minutes` 0 it is the sum of all changes from reading to reading over the time in which they came about, gaps
    left out. With 60 only one reading an hour is looked at, as where glucose is measured by the hour: the noise of the
    sensor then counts twelve times less often, and the two are not to be compared.

    Source: Hermanides J, et al. Glucose variability is associated with intensive care unit mortality. Crit Care Med
    2010;38:838-842.
    """
    kept = np.arange(len(trace)) if minutes <= 0.0 else _every(trace, minutes)
    steps, changes = np.diff(trace.minutes[kept]), np.abs(np.diff(trace.mg_dl[kept]))
    known = steps <= (trace.bridge if minutes <= 0.0 else minutes + trace.spacing / 2.0)
    if not known.any():
        return Untold("no-pairs", "No two readings follow each other without a gap.")
    return float(changes[known].sum() / steps[known].sum() * _HOUR)


def _every(trace: Trace, minutes: float) -> Array:
    """Find the readings nearest to each full interval from the first one on, half a spacing off at most."""
    since = trace.minutes - trace.minutes[0]
    off = np.abs(since - minutes * np.round(since / minutes))
    near = np.flatnonzero(off <= trace.spacing / 2.0)
    slots = np.round(since[near] / minutes).astype(np.int64)
    order = np.lexsort((off[near], slots))
    _, first = np.unique(slots[order], return_index=True)
    return np.asarray(near[order][first])


def _differences(trace: Trace, hours: float, tolerance: float | None) -> Array | Untold:
    if not hours > 0.0:
        raise Misuse("Readings are compared over more than 0 hours.", detail=hours)
    later, earlier = trace.apart(hours * _HOUR, tolerance)
    if len(later) < 2:
        return Untold("no-pairs", f"There are not two pairs of readings that are {hours:g} h apart.")
    return np.asarray(trace.mg_dl[later] - trace.mg_dl[earlier])

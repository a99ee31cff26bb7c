"""HbA1c and glucose: what mean goes with what HbA1c, and what HbA1c a course of months leads to.

A mean of glucose and a laboratory's HbA1c differ from person to person, and stay different: the gap is an observation
of its own, and neither is bent to the other.

Sources: Nathan DM, et al. Translating the A1C assay into estimated average glucose values. Diabetes Care
2008;31:1473-1478 (ADAG); Hoelzel W, et al. Clin Chem 2004;50:166-174 (IFCC and NGSP); Tahara Y, Shima K. The response
of GHb to stepwise plasma glucose change over time in diabetic patients. Diabetes Care 1993;16:1313-1314 (weights).
"""

from __future__ import annotations

import numpy as np

from security.errors import Misuse
from twin_engine.glycaemia.trace import Numbers, Untold, glucose_of

__all__ = ["LIFE", "a1c_of", "eag_of", "expected_a1c", "ifcc_of", "percent_of"]

LIFE = 120.0  # days that a red cell lives
_LEAST = 0.7  # of the weight that has to be known (policy)


def a1c_of(mean_mg_dl: float) -> float:
    """Return the HbA1c (NGSP, %) that goes with a mean glucose (mg/dL): (mean + 46.7) / 28.7."""
    return (mean_mg_dl + 46.7) / 28.7


def eag_of(a1c: float) -> float:
    """Return the mean glucose (mg/dL) that goes with an HbA1c (NGSP, %): 28.7 HbA1c - 46.7."""
    return 28.7 * a1c - 46.7


def ifcc_of(a1c: float) -> float:
    """Turn HbA1c in percent (NGSP) into mmol/mol (IFCC): (HbA1c - 2.15) 10.929."""
    return (a1c - 2.15) * 10.929


def percent_of(ifcc: float) -> float:
    """Turn HbA1c in mmol/mol (IFCC) into percent (NGSP)."""
    return ifcc / 10.929 + 2.15


def expected_a1c(days_ago: Numbers, mean_mg_dl: Numbers) -> float | Untold:
    """Return the HbA1c (NGSP, %) that the means of single days lead to.

    The glucose of a day weighs less the longer ago it is, in a straight line down to nothing after 120 days: half of
    the weight lies on the last 35.

    Parameters
    ----------
    days_ago
        (n,) whole days, 0 for the last 24 hours; what is 120 or more days ago counts nothing.
    mean_mg_dl
        (n,) mean glucose of that day, mg/dL. A day without a mean is left out; where what is left carries less than
        70 % of the weight the reason is returned and no number.

    Raises
    ------
    Misuse
        Not as many days as means, a day twice or in the future, a mean that cannot be.
    """
    ago, means = np.floor(np.asarray(days_ago, dtype=np.float64)), glucose_of(mean_mg_dl)
    if ago.shape != means.shape or not (ago >= 0.0).all() or len(np.unique(ago)) != len(ago):
        raise Misuse("There is one mean for each day, and a day is 0 or more days ago.")
    weights = np.maximum(0.0, 1.0 - (ago + 0.5) / LIFE)
    known = float(weights.sum()) / (LIFE / 2.0)
    if known < _LEAST:
        return Untold(
            "too-little", f"The days that are known carry {100.0 * known:.0f} % of the weight; 70 % is asked."
        )
    return a1c_of(float(np.average(means, weights=weights)))

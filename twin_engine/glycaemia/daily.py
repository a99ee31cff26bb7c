"""The ambulatory glucose profile: all days laid over one another, and how glucose spreads at each time of the day.

Source: Bergenstal RM, et al. Recommendations for standardizing glucose reporting and analysis to optimize clinical
decision making in diabetes: the ambulatory glucose profile. J Diabetes Sci Technol 2013;7:562-578.
"""

from __future__ import annotations

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.glycaemia.trace import DAY, Trace

__all__ = ["Slot", "daily_profile"]

_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
LEAST_DAYS = 5  # of which a percentile is told (policy)


class Slot(msgspec.Struct, frozen=True):
    """The glucose (mg/dL) of all days at one time of the day: percentiles 5 to 95, over readings of so many days.

    `begin` and `end` are minutes after midnight.
    """

    begin: float
    end: float
    days: int
    readings: int
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


def daily_profile(trace: Trace, minutes: float = 60.0) -> tuple[Slot, ...]:
    """Lay the days over one another, in slots of so many minutes from midnight on.

    A slot with readings of fewer than five days is left out: a percentile of so few says nothing. Raises `Misuse` where
    the slots do not fill a day.
    """
    if not minutes > 0.0 or not (DAY / minutes).is_integer():
        raise Misuse("The slots of a daily profile fill a day evenly.", hint="Take 15, 30 or 60 minutes.")
    slots = np.floor((trace.minutes % DAY) / minutes).astype(np.int64)
    days, told = trace.days, []
    for slot in np.unique(slots):
        own = slots == slot
        count = len(np.unique(days[own]))
        if count >= LEAST_DAYS:
            spread = (float(p) for p in np.percentile(trace.mg_dl[own], _PERCENTILES))
            told.append(Slot(float(slot) * minutes, float(slot + 1) * minutes, count, int(own.sum()), *spread))
    return tuple(told)

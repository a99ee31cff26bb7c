"""Readings of a glucose sensor in order of time, with their gaps. A gap ends what is known; nothing is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from security.errors import Misuse
from twin_engine.model import Array

__all__ = ["DAY", "HIGHEST", "LOWEST", "Numbers", "Trace", "Untold", "glucose_of", "trace_of"]

Numbers = Sequence[float] | npt.NDArray[np.float64]

DAY = 1440.0  # minutes
# What no living person's glucose is, mg/dL; it also catches readings in mmol/L (policy).
LOWEST, HIGHEST = 10.0, 1000.0
_SHORTEST_GAP = 15.0  # minutes: an event has to hold so long, so that a longer silence could hide one
_GAP = 1.5  # spacings: with a sensor that tells every 15 minutes one late reading is no gap


class Untold(msgspec.Struct, frozen=True):
    """A number that is not given, and why: `why` is a stable word, `say` a sentence for a person."""

    why: str
    say: str


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Readings of one person in order of time. It is patient data.

    `minutes` (n,) count from a midnight where the patient lives, so that a day is `minutes // 1440`; `mg_dl` (n,) is
    glucose. `spacing` is the usual (median) time from one reading to the next, and two readings that are more than
    `bridge` apart have a gap between them; both in minutes.
    """

    minutes: Array
    mg_dl: Array
    spacing: float
    bridge: float

    def __len__(self) -> int:
        return len(self.minutes)

    @property
    def segments(self) -> tuple[slice, ...]:
        """The stretches of readings without a gap, in order."""
        cuts = np.flatnonzero(np.diff(self.minutes) > self.bridge) + 1
        bounds = [0, *(int(cut) for cut in cuts), len(self)]
        return tuple(slice(begin, end) for begin, end in pairwise(bounds))

    @property
    def held(self) -> Array:
        """The minutes (n,) that each reading stands for: up to the next one; one spacing before a gap or the end."""
        steps = np.append(np.diff(self.minutes), np.inf)
        return np.where(steps > self.bridge, self.spacing, steps)

    @property
    def days(self) -> npt.NDArray[np.int64]:
        """The number of the day (n,) on which each reading was taken."""
        return np.floor(self.minutes / DAY).astype(np.int64)

    def apart(self, minutes: float, tolerance: float | None = None) -> tuple[npt.NDArray[np.int64], ...]:
        """Find the pairs of readings that truly are so many minutes apart: their numbers (later, earlier).

        `tolerance` is how far off a pair may be, by default half a spacing; of several the nearest is taken. A reading
        whose counterpart fell into a gap is in no pair.
        """
        near = self.spacing / 2.0 if tolerance is None else tolerance
        wanted = self.minutes - minutes
        after = np.clip(np.searchsorted(self.minutes, wanted), 1, max(len(self) - 1, 1))
        before = after - 1
        after = np.minimum(after, len(self) - 1)
        nearer = np.abs(self.minutes[before] - wanted) <= np.abs(self.minutes[after] - wanted)
        earlier = np.where(nearer, before, after)
        later = np.flatnonzero((np.abs(self.minutes[earlier] - wanted) <= near) & (earlier < np.arange(len(self))))
        return later, earlier[later]

    def since(self, minute: float) -> Trace:
        """Return the readings from a minute on; spacing and bridge stay."""
        kept = self.minutes >= minute
        return Trace(self.minutes[kept], self.mg_dl[kept], self.spacing, self.bridge)


def glucose_of(mg_dl: Numbers, *, least: int = 1) -> Array:
    """Check glucose in mg/dL and return it as an array (n,).

    Raises
    ------
    Misuse
        Fewer than `least` values, one that is no number, or one outside 10 to 1000 mg/dL.
    """
    values = np.asarray(mg_dl, dtype=np.float64)
    if values.ndim != 1 or len(values) < least:
        raise Misuse(f"This needs at least {least} values of glucose in one row.", detail=values.shape)
    wrong = ~((values >= LOWEST) & (values <= HIGHEST))  # what is no number is outside, too
    if wrong.any():
        raise Misuse(
            f"Value {int(np.argmax(wrong))} of glucose is no number from {LOWEST:g} to {HIGHEST:g} mg/dL.",
            hint="Leave out what was not measured, and multiply mmol/L by 18.016.",
            detail=float(values[np.argmax(wrong)]),
        )
    return values


def trace_of(times: Numbers, mg_dl: Numbers, *, bridge: float | None = None) -> Trace:
    """Make a trace of readings; their order does not count.

    Parameters
    ----------
    times
        Minutes (n,) from a midnight where the patient lives.
    mg_dl
        Glucose (n,), mg/dL.
    bridge
        The longest time between two readings that is no gap, in minutes; by default 15, or 1.5 spacings where that is
        more (policy).

    Raises
    ------
    Misuse
        No readings; not as many times as values; a value or time that cannot be; two readings of one time.
    """
    values = glucose_of(mg_dl)
    minutes = np.asarray(times, dtype=np.float64)
    if minutes.shape != values.shape:
        raise Misuse("There are not as many times as values of glucose.", detail=(minutes.shape, values.shape))
    if not np.isfinite(minutes).all():
        raise Misuse("A time of a reading is no number.", hint="Leave out readings without a time.")
    order = np.argsort(minutes, kind="stable")
    minutes, values = minutes[order], values[order]
    steps = np.diff(minutes)
    if (steps <= 0.0).any():
        raise Misuse("Two readings are of one time.", hint="Decide first which one holds.", detail=int(steps.argmin()))
    spacing = float(np.median(steps)) if len(steps) else _SHORTEST_GAP
    longest = max(_SHORTEST_GAP, _GAP * spacing) if bridge is None else bridge
    if not longest >= 0.0:
        raise Misuse("The longest time between two readings that is no gap is 0 minutes or more.", detail=bridge)
    return Trace(minutes, values, spacing, longest)

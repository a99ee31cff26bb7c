"""Episodes of low and high glucose as the consensus counts them, from readings that may come irregularly.

An episode begins where glucose is beyond the threshold for at least 15 minutes, and ends where it is back for at least
15 minutes; a shorter return does not end it. A gap ends what is known: what goes on behind it is another episode, and
both say so.

Sources: Danne T, et al. International consensus on use of continuous glucose monitoring. Diabetes Care
2017;40:1631-1640; Battelino T, et al. Lancet Diabetes Endocrinol 2023;11:42-57.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from twin_engine.glycaemia.trace import DAY, Trace

__all__ = ["EXTENDED", "HOLD", "Episode", "Kind", "episodes_of", "known_days"]

Kind = Literal["hypo", "hyper"]
_Began = Literal["seen", "before"]
_Ended = Literal["recovery", "gap", "end"]

HOLD = 15.0  # minutes beyond a threshold that make an episode, and minutes back that end it
EXTENDED = 120.0  # minutes beyond the threshold that make an episode extended
# Kind, level, threshold, and the value from which on glucose is back (mg/dL).
_DEFINED: tuple[tuple[Kind, Literal[1, 2], float, float], ...] = (
    ("hypo", 1, 70.0, 70.0),
    ("hypo", 2, 54.0, 70.0),
    ("hyper", 1, 180.0, 180.0),
    ("hyper", 2, 250.0, 180.0),
)


class Episode(msgspec.Struct, frozen=True):
    """One episode; times in minutes as in the trace, glucose in mg/dL. It is patient data.

    Level 1 of "hypo" is below 70, level 2 below 54; of "hyper" above 180 and 250. An episode of level 2 lies in one of
    level 1 and is told beside it. `minutes` is from begin to end, `beyond` the part of it beyond the threshold, and
    `extended` whether that is 120 minutes or more. `extreme` is the lowest or highest reading. `began` is "before"
    where it was already so at the first reading or behind a gap; `ended` is "gap" or "end" where readings ended before
    it did: its length is then a lower bound.
    """

    kind: Kind
    level: Literal[1, 2]
    begin: float
    end: float
    minutes: float
    beyond: float
    extreme: float
    mean: float
    began: _Began
    ended: _Ended
    extended: bool


def episodes_of(trace: Trace) -> tuple[Episode, ...]:
    """Find all episodes of both kinds and levels, in order of time.

    A reading stands for the time to the next one, for one spacing before a gap: with a reading every 5 minutes three
    readings are 15 minutes. Where readings are further apart than 15 minutes a single one makes an episode.
    """
    held = trace.held
    found = []
    for kind, level, threshold, back in _DEFINED:
        sign = 1.0 if kind == "hyper" else -1.0
        beyond = sign * trace.mg_dl > sign * threshold
        recovered = sign * trace.mg_dl <= sign * back
        for number, part in enumerate(trace.segments):
            last = number == len(trace.segments) - 1
            for begin, end, ended in _spans(beyond[part], recovered[part], held[part]):
                own = slice(part.start + begin, part.start + end)
                values, minutes = trace.mg_dl[own], held[own]
                outside = float(minutes[beyond[own]].sum())
                start = float(trace.minutes[own.start])
                length = float(minutes.sum())
                found.append(
                    Episode(
                        kind=kind,
                        level=level,
                        begin=start,
                        end=start + length,
                        minutes=length,
                        beyond=outside,
                        extreme=float(sign * (sign * values).max()),
                        mean=float(values[beyond[own]].mean()),
                        began="before" if begin == 0 else "seen",
                        ended=ended if ended == "recovery" or not last else "end",
                        extended=outside >= EXTENDED,
                    )
                )
    return tuple(sorted(found, key=lambda e: (e.begin, e.kind, e.level)))


def known_days(trace: Trace) -> float:
    """Return the days in which episodes could have been seen: the time that readings stand for."""
    return float(trace.held.sum()) / DAY


def _spans(
    beyond: npt.NDArray[np.bool_], recovered: npt.NDArray[np.bool_], held: npt.NDArray[np.float64]
) -> Iterator[tuple[int, int, Literal["recovery", "gap"]]]:
    """Yield the episodes of one stretch as numbers of readings, (first, one behind the last), and how each ended."""
    runs = [run for run in _runs(beyond) if held[run].sum() >= HOLD]
    backs = [run.start for run in _runs(recovered) if held[run].sum() >= HOLD]
    until = 0
    for run in runs:
        if run.start < until:
            continue
        # Back for so long: counted from behind the run, since readings between threshold and "back" are neither.
        end = next((at for at in backs if at >= run.stop), None)
        until = len(beyond) if end is None else end
        yield run.start, until, "gap" if end is None else "recovery"


def _runs(flags: npt.NDArray[np.bool_]) -> list[slice]:
    """Find the stretches of readings of which something is so."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [slice(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]

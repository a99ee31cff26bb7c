"""Many hashes of 64 bits, in 8 bytes each: which of some are among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Hashes", "Run"]

_SAME = 4  # times as long: two runs of about one length become one

Run = npt.NDArray[np.int64]


class Hashes:
    """Sorted runs, longest first; their number grows with the logarithm of that of the hashes."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, fresh: Run) -> None:
        """Add hashes."""
        runs = [fresh]
        length = len(fresh)
        while self._runs and len(self._runs[-1]) < _SAME * length:
            length += len(self._runs[-1])
            runs.append(self._runs.pop())
        run = np.concatenate(runs)
        run.sort()  # in its place: a copy is as large as all of it
        self._runs.append(run)

    def has(self, asked: Run) -> npt.NDArray[np.bool_]:
        """Say of each whether it is there."""
        found = np.zeros(len(asked), dtype=np.bool_)
        for run in self._runs:
            if len(run):
                places = np.searchsorted(run, asked)
                places[places == len(run)] = 0
                found |= run[places] == asked
        return found

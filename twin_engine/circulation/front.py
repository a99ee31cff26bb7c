"""What nothing else beats in every respect: the non-dominated of several points (Pareto)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin_engine.model import Array

__all__ = ["non_dominated"]


def non_dominated(points: Array) -> NDArray[np.bool_]:
    """Say which points (points, criteria) no other is at least as good as in all criteria and better in one.

    Less is better. Of equal points all stay: a tie is no victory.
    """
    points = np.asarray(points, dtype=np.float64)
    no_worse = (points[:, None, :] <= points[None, :, :]).all(axis=2)  # [i, j]: i is at least as good as j
    better = (points[:, None, :] < points[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))

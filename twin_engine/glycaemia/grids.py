"""Error grids: what a wrong reading would have done to the treatment, in zones from A (nothing) to E (harm).

Sources: Clarke WL, et al. Evaluating clinical accuracy of systems for self-monitoring of blood glucose. Diabetes Care
1987;10:622-628. Parkes JL, et al. A new consensus error grid to evaluate the clinical significance of inaccuracies in
the measurement of blood glucose. Diabetes Care 2000;23:1143-1148, with the corners that Pfützner A, et al. give
(J Diabetes Sci Technol 2013;7:1275-1281).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from security.errors import Misuse
from twin_engine.glycaemia.trace import Numbers, glucose_of
from twin_engine.model import Array

__all__ = ["ZONES", "Grid", "clarke", "parkes"]

ZONES = ("A", "B", "C", "D", "E")

_Line = Sequence[tuple[float, float]]

# Corners (reference, measured) in mg/dL. Above an upper line, or below a lower one, begins its zone.
_TYPE_1: Mapping[str, tuple[_Line | None, _Line | None]] = {
    "B": (
        ((0, 50), (30, 50), (140, 170), (280, 380), (430, 550)),
        ((50, 0), (50, 30), (170, 145), (385, 300), (550, 450)),
    ),
    "C": (((0, 60), (30, 60), (50, 80), (70, 110), (260, 550)), ((120, 0), (120, 30), (260, 130), (550, 250))),
    "D": (((0, 100), (25, 100), (50, 125), (80, 215), (125, 550)), ((250, 0), (250, 40), (550, 150))),
    "E": (((0, 150), (35, 155), (50, 550)), None),
}
_TYPE_2: Mapping[str, tuple[_Line | None, _Line | None]] = {
    "B": (((0, 50), (30, 50), (230, 330), (440, 550)), ((50, 0), (50, 30), (90, 80), (330, 230), (550, 450))),
    "C": (((0, 60), (30, 60), (280, 550)), ((90, 0), (260, 130), (550, 250))),
    "D": (((0, 80), (25, 80), (35, 90), (125, 550)), ((250, 0), (250, 40), (410, 110), (550, 160))),
    "E": (((0, 200), (35, 200), (50, 550)), None),
}


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The zone (n,) of each pair, "A" to "E", and the share of each zone in percent."""

    zones: npt.NDArray[np.str_]

    @property
    def percent(self) -> Mapping[str, float]:
        """The share of the pairs in each zone, in percent; they add up to 100."""
        return {zone: 100.0 * float(np.mean(self.zones == zone)) for zone in ZONES}


def clarke(reference: Numbers, measured: Numbers) -> Grid:
    """Sort pairs (n,) of mg/dL into the zones of Clarke 1987.

    Zone A is within 20 % of the reference, inclusive, or both below 70. What is in A stays there; then E, D and C are
    asked in this order, and the rest is B. Raises `Misuse` on pairs that cannot be.
    """
    r, p = _pairs(reference, measured)
    a = (np.abs(p - r) <= 0.2 * r * (1.0 + 1e-12)) | ((r < 70.0) & (p < 70.0))
    e = ((r <= 70.0) & (p >= 180.0)) | ((r >= 180.0) & (p <= 70.0))
    d = ((r >= 240.0) | (r <= 70.0)) & (p >= 70.0) & (p <= 180.0)
    c = ((r >= 70.0) & (r <= 290.0) & (p >= r + 110.0)) | ((r >= 130.0) & (r <= 180.0) & (p <= 1.4 * r - 182.0))
    return Grid(np.select([a, e, d, c], ["A", "E", "D", "C"], "B"))


def parkes(reference: Numbers, measured: Numbers, kind: Literal[1, 2] = 1) -> Grid:
    """Sort pairs (n,) of mg/dL into the zones of the consensus grid for type 1 or type 2 diabetes.

    What lies on a line belongs to the milder zone. Beyond 550 mg/dL the last stretch of a line goes on. Raises `Misuse`
    on pairs that cannot be, or another kind.
    """
    if kind not in (1, 2):
        raise Misuse("The consensus grid is for type 1 or type 2 diabetes.", hint="Say 1 or 2.")
    r, p = _pairs(reference, measured)
    zone = np.zeros(len(r), dtype=np.int64)
    for worse, (upper, lower) in enumerate((_TYPE_1 if kind == 1 else _TYPE_2).values(), start=1):
        outside = np.zeros(len(r), dtype=bool)
        if upper:
            outside |= p > _along(upper, r)
        if lower:
            # A lower line rises from the axis at its first corner, or goes straight up there; left of it is nothing.
            steep = lower[0][0] == lower[1][0]
            outside |= (r > lower[0][0]) & (p < _along(lower[1:] if steep else lower, r))
        zone = np.where(outside, worse, zone)
    return Grid(np.array(ZONES)[zone])


def _pairs(reference: Numbers, measured: Numbers) -> tuple[Array, Array]:
    r, p = glucose_of(reference), glucose_of(measured)
    if len(r) != len(p):
        raise Misuse("There are not as many references as measurements.", detail=(len(r), len(p)))
    return r, p


def _along(line: _Line, r: Array) -> Array:
    """Return the height of a line over each reference; it goes on beyond its last corner."""
    x, y = np.array(line, dtype=np.float64).T
    beyond = y[-1] + (r - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.asarray(np.where(r > x[-1], beyond, np.interp(r, x, y)))

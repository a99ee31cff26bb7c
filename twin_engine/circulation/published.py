"""Published numbers that a circulation is held to: of what, between which bounds, and from which source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from twin_engine.circulation.heart import TOLD
from twin_engine.model import Array

__all__ = ["QUANTITIES", "Published", "Row", "Source", "quantities"]

_MEAN_ONLY = 0.20  # of a mean that is told without its spread
_POWER = 451.0  # mmHg L/min in a watt

QUANTITIES: Final[Mapping[str, str]] = {
    **TOLD,
    "pulse-pressure": "mm[Hg]",
    "cardiac-index": "L/min/m2",
    "stroke-index": "mL/m2",
    "total-stroke-index": "mL/m2",
    "end-diastolic-index": "mL/m2",
    "systemic-resistance": "dyn.s/cm5",
    "pulmonary-resistance": "mm[Hg].min/L",
    "cardiac-power-index": "W/m2",
    "mitral-regurgitant-fraction": "%",
    "wedge-less-venous": "mm[Hg]",
}
"""What a circulation may be held to, with its unit (UCUM): what the beats tell, and what follows from it."""


class Row(BaseModel):
    """A row of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Row):
    """Where numbers come from, and how far it was read."""

    cite: str
    read: Literal["table", "abstract", "secondary", "memory"]


class Published(Row):
    """One published number: a mean with its standard deviation, a mean alone, or a range, which may be open.

    `by` says of what: of the quantity, of its change, or of its change in percent of the state before.
    """

    quantity: str
    by: Literal["value", "change", "percent"] = "value"
    mean: float | None = None
    sd: float | None = None
    digit: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    source: str

    @field_validator("quantity")
    @classmethod
    def _known(cls, quantity: str) -> str:
        if quantity not in QUANTITIES:
            raise ValueError(f"no quantity is called {quantity}")
        return quantity

    @model_validator(mode="after")
    def _bounded(self) -> Published:
        ranged = bool(np.isfinite(self.low) or np.isfinite(self.high))
        if ranged == (self.mean is not None) or (self.mean is None and self.sd is not None) or self.low > self.high:
            raise ValueError(f"{self.quantity} has a mean or a range, low before high")
        return self

    @property
    def name(self) -> str:
        """Return what is published, by what, and by whom, as `fails` names it."""
        return " ".join(each for each in (self.quantity, self.by, self.source) if each != "value")

    @property
    def unit(self) -> str:
        """Return the unit of the bounds (UCUM)."""
        return "%" if self.by == "percent" else QUANTITIES[self.quantity]

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value that agree: mean ± standard deviation, or the range.

        Of a mean alone: ± 20 %, at least the digit that it was told to.
        """
        if self.mean is None:
            return self.low, self.high
        around = max(_MEAN_ONLY * abs(self.mean), self.digit) if self.sd is None else self.sd
        return self.mean - around, self.mean + around

    def holds(self, value: float) -> bool:
        """Return whether a value lies within the bounds; what is no number does not."""
        return self.bounds[0] <= value <= self.bounds[1]


def quantities(beats: Array, surface: float) -> dict[str, float]:
    """Return what beats (told,) tell of a body of so many m2, and what follows, by the names of `QUANTITIES`."""
    tells = dict(zip(TOLD, map(float, beats), strict=True))
    flow, mean, venous = tells["cardiac-output"], tells["mean-pressure"], tells["central-venous-pressure"]
    whole = tells["end-diastolic-volume"] - tells["end-systolic-volume"]
    return {
        **tells,
        "pulse-pressure": tells["systolic-pressure"] - tells["diastolic-pressure"],
        "cardiac-index": flow / surface,
        "stroke-index": tells["stroke-volume"] / surface,
        "total-stroke-index": whole / surface,
        "end-diastolic-index": tells["end-diastolic-volume"] / surface,
        "systemic-resistance": 80.0 * (mean - venous) / flow,
        "pulmonary-resistance": (tells["mean-pulmonary-pressure"] - tells["wedge-pressure"]) / flow,
        "cardiac-power-index": mean * flow / surface / _POWER,
        "mitral-regurgitant-fraction": 100.0 * tells["mitral-regurgitant-volume"] / whole,
        "wedge-less-venous": tells["wedge-pressure"] - venous,
    }

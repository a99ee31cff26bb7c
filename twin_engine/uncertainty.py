"""How sure a number is, from declared sources only: error of measuring, variation within a person, a population.

The table is `uncertainty.toml`, rows with citations. What nobody declared is unknown, and is said so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from twin_engine.model import Prior

__all__ = ["Part", "Uncertainty", "declared", "of_population", "uncertainty_of"]

Of = Literal["measuring", "person", "both", "population"]


class Part(msgspec.Struct, frozen=True):
    """One source of uncertainty: the standard deviation in the unit of the number, and who says so."""

    of: Of
    sd: float
    source: str


class Uncertainty(msgspec.Struct, frozen=True):
    """The standard deviation of a number about what it stands for: the patient's usual level.

    `sd` joins the parts that are declared, as independent. `unknown` names those that are not ("measuring", "person"):
    the number is then less sure than `sd` says.
    """

    sd: float
    parts: tuple[Part, ...]
    unknown: tuple[str, ...] = ()


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One declaration of the table: an `sd`, a `percent` of the value, or a limit to the error."""

    cite: str
    sd: float | None = None
    percent: float | None = None
    limit: float | None = None
    limit_percent: float | None = None

    def sd_at(self, value: float) -> float:
        """Return the standard deviation at a value; of a limit, limit / sqrt(3) (JCGM 100:2008, 4.3.7)."""
        if self.sd is not None:
            return self.sd
        if self.percent is not None:
            return abs(value) * self.percent / 100.0
        limit = max(self.limit or 0.0, abs(value) * (self.limit_percent or 0.0) / 100.0)
        return limit / math.sqrt(3.0)

    @property
    def source(self) -> str:
        """Name the source, and the rule where a limit stands for a standard deviation."""
        limited = self.limit is not None or self.limit_percent is not None
        return f"{self.cite}; as limit / sqrt(3) (JCGM 100:2008, 4.3.7)" if limited else self.cite


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is declared about one quantity in its canonical unit."""

    name: str
    unit: str
    measuring: Declared | None = None
    person: Declared | None = None
    both: Declared | None = None


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    quantity: tuple[Row, ...]


@cache
def declared() -> Mapping[str, Row]:
    """Read the table, by name of the quantity."""
    text = (files("twin_engine") / "uncertainty.toml").read_text("utf-8")
    return {row.name: row for row in msgspec.toml.decode(text, type=_Table).quantity}


def uncertainty_of(name: str, value: float, unit: str) -> Uncertainty | None:
    """Say how sure a measured value is; `None` where nothing is declared about it in this unit."""
    row = declared().get(name)
    if row is None or row.unit != unit:
        return None
    told: tuple[tuple[Of, Declared | None], ...] = (("both", row.both),)
    if row.both is None:
        told = (("measuring", row.measuring), ("person", row.person))
    parts = tuple(Part(of, each.sd_at(value), each.source) for of, each in told if each is not None)
    return Uncertainty(math.hypot(*(part.sd for part in parts)), parts, tuple(of for of, each in told if each is None))


def of_population(prior: Prior, source: str) -> Uncertainty:
    """Say how sure a number is that stands for a population: the prior's standard deviation, in natural units.

    Exact for the distributions of `Prior`; that a square root is never below zero is left out of account.
    """
    match prior.scale:
        case "linear":
            sd = prior.sd
        case "log":
            sd = prior.centre * math.sqrt(math.exp(prior.sd**2) * math.expm1(prior.sd**2))
        case "sqrt":
            sd = math.sqrt(2.0 * prior.sd**4 + 4.0 * prior.mean**2 * prior.sd**2)
    return Uncertainty(sd, (Part("population", sd, f"{source}; {prior}"),))

"""What has to be known of a person before a drug is compared for them, and what is not given together.

`tables/formulary.toml` holds it, each row with its source and how far that was read. It is no prescribing information:
it leaves out, and says why; what it lets through is a clinician's to judge.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.published import Row, Source
from twin_engine.circulation.rows import read_table

__all__ = ["ON_RECORD", "Apart", "Entry", "Formulary", "Kind", "Limit", "Scale", "formulary"]

Scale = Literal["hours", "weeks"]

ON_RECORD: Final = {"potassium": "mmol/L", "egfr": "mL/min/{1.73_m2}"}
"""Quantities of a limit that a person's record tells, with their unit (UCUM); the others are the ensemble's."""


class Limit(Row):
    """Between which ends, both included, a quantity has to be known to lie; why, and who says so."""

    quantity: str
    low: float | None = None
    high: float | None = None
    why: str
    source: str

    @field_validator("quantity")
    @classmethod
    def _known(cls, quantity: str) -> str:
        if quantity not in {*TOLD, *ON_RECORD, "cardiac-index"}:
            raise ValueError(f"no quantity is called {quantity}")
        return quantity

    @model_validator(mode="after")
    def _bounded(self) -> Limit:
        if self.low is None and self.high is None:
            raise ValueError(f"{self.quantity} has a lower or an upper end")
        return self

    @property
    def unit(self) -> str:
        """Return the unit of the ends (UCUM)."""
        return {**TOLD, **ON_RECORD, "cardiac-index": "L/min/m2"}[self.quantity]

    @property
    def said(self) -> str:
        """Say the limit in words."""
        ends = [f"at least {self.low:g}"] if self.low is not None else []
        ends += [f"at most {self.high:g}"] if self.high is not None else []
        return f"{self.quantity.replace('-', ' ')} {' and '.join(ends)} {self.unit}"


class Entry(Row):
    """One drug: its class, when its effect was measured, the doses that are tried, and what has to be known.

    `absent` names conditions that have to be known to be absent, each with its source.
    """

    drug: str
    title: str = ""
    class_: str = Field(alias="class")
    scale: Scale
    lasting: str = ""
    doses: tuple[float, ...] = ()
    limits: tuple[Limit, ...]
    absent: dict[str, str]


class Kind(Row):
    """What people are called in whom drugs were tested, and what has to be so besides."""

    title: str
    limits: tuple[Limit, ...]


class Apart(Row):
    """Two classes that are not combined; why, and who says so."""

    classes: tuple[str, str]
    why: str
    source: str


class Formulary(Row):
    """The whole table."""

    sources: dict[str, Source]
    kinds: dict[str, Kind]
    entry: tuple[Entry, ...]
    apart: tuple[Apart, ...]

    @model_validator(mode="after")
    def _sourced(self) -> Formulary:
        limits = [limit for entry in self.entry for limit in entry.limits]
        limits += [limit for kind in self.kinds.values() for limit in kind.limits]
        cited = {limit.source for limit in limits} | {row.source for row in self.apart}
        cited |= {source for entry in self.entry for source in (*entry.absent.values(), entry.lasting) if source}
        if cited != set(self.sources):
            raise ValueError(f"sources that nobody cites, or that are not told: {sorted(cited ^ set(self.sources))}")
        return self

    @property
    def classes(self) -> frozenset[str]:
        """Name the classes that drugs already taken can be told by."""
        return frozenset(entry.class_ for entry in self.entry) | {each for row in self.apart for each in row.classes}

    @property
    def conditions(self) -> frozenset[str]:
        """Name the conditions that are asked for, with those that say what a person has."""
        return frozenset(self.kinds) | {each for entry in self.entry for each in entry.absent}

    def cited(self, source: str) -> str:
        """Return a source as it is cited, with how far it was read; our own policy was not read anywhere."""
        row = self.sources[source]
        return row.cite if source == "policy" else f"{row.cite} ({row.read})"

    def why_apart(self, one: str, other: str) -> Apart | None:
        """Return why two classes are not combined; `None` where nothing says so."""
        return next((row for row in self.apart if {*row.classes} == {one, other}), None)


@cache
def formulary() -> Formulary:
    """Return the table, checked."""
    return Formulary.model_validate(read_table("formulary"))

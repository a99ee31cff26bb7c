"""The table of operations (`tables/operations.toml`): what each leaves behind, what is counted, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from twin_engine.circulation.published import Row, Source
from twin_engine.circulation.rows import read_table

__all__ = ["GRADES", "LEAKS", "LIMITS", "REPAIR", "RISKS", "SEGMENT", "SOURCES", "SPREAD", "Leak", "Risk"]


class Leak(Row):
    """Shares of patients with a mild leak and with more after an operation."""

    mild: float = Field(ge=0.0, le=1.0)
    more: float = Field(ge=0.0, le=1.0)
    source: str


class _Grade(Row):
    mild: tuple[float, float]
    more: tuple[float, float]
    source: str


class _Repair(Row):
    orifice: float
    sd: float
    source: str


class _Segment(Row):
    """How much a segment contributes by how it moves, %, and how often it moves better by a grade once perfused."""

    normal: float
    hypokinetic: float
    akinetic: float
    sd: float
    motion: str
    hypokinetic_recovers: float = Field(alias="recovers-hypokinetic")
    akinetic_recovers: float = Field(alias="recovers-akinetic")
    viable_recovers: float = Field(alias="recovers-viable")
    recovery: str
    alike: float = Field(ge=0.0, lt=1.0)


class Risk(Row):
    """What is counted over the members: its name, title and definition, and the quantity and bound where it is one."""

    name: str
    title: str
    definition: str
    quantity: str | None = None
    above: float | None = None
    least: float | None = Field(default=None, alias="at-least")
    below: float | None = None
    source: str | None = None


_TABLE: Final = read_table("operations")
SOURCES: Final[Mapping[str, Source]] = {name: Source(**row) for name, row in _TABLE["source"].items()}
LEAKS: Final[Mapping[Literal["surgical", "transcatheter", "repair"], Leak]] = {
    name: Leak(**row) for name, row in _TABLE["leak"].items()
}
GRADES: Final[Mapping[Literal["aortic", "mitral"], _Grade]] = {
    name: _Grade(**row) for name, row in _TABLE["grade"].items()
}
REPAIR: Final = _Repair(**_TABLE["repair"])
SPREAD: Final[float] = _TABLE["valve"]["spread"]
SEGMENT: Final = _Segment(**_TABLE["segment"])
LIMITS: Final[Mapping[str, tuple[float, float]]] = {name: (low, high) for name, (low, high) in _TABLE["limit"].items()}
RISKS: Final[Mapping[str, Risk]] = {row["name"]: Risk(**row) for row in _TABLE["risk"]}

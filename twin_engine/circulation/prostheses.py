"""Prosthetic valves: the effective orifice that a labelled size has in patients, and whether it suits a body.

`tables/prostheses.toml` holds published areas and gradients. A prosthesis too small for its patient (mismatch) leaves a
gradient behind: its effective orifice area over body surface says so before the operation (Pibarot P, Dumesnil JG.
J Am Coll Cardiol 2000;36:1131-1141; grades by VARC-3). What the table does not hold is refused, never interpolated: a
labelled size is no diameter, and two makes of one label differ by half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from security.errors import Misuse, UnknownName
from twin_engine.circulation.published import Row, Source
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.states import Change

__all__ = [
    "PROSTHESES",
    "SOURCES",
    "Grade",
    "Position",
    "Prosthesis",
    "Size",
    "Suits",
    "bounds_of_mismatch",
    "implanted",
    "prosthesis",
    "suits",
]

Position = Literal["aortic", "mitral"]
Grade = Literal["none", "moderate", "severe"]
_BODY: Final = (0.5, 3.0)  # m2 of body surface
_VALVE: Final[Mapping[Position, str]] = {"aortic": "av", "mitral": "mv"}


class Size(Row):
    """One labelled size, mm: effective orifice area, cm2, and mean gradient, mmHg, with their standard deviations.

    `misses` says that the circulation with this area does not have this gradient (see `report`).
    """

    size: int
    area: float = Field(gt=0.0, lt=6.0)
    sd: float | None = None
    gradient: float | None = None
    gradient_sd: float | None = Field(default=None, alias="gradient-sd")
    misses: bool = False


class Prosthesis(Row):
    """One model of a maker, for one position."""

    position: Position
    kind: Literal["bioprosthesis", "mechanical", "transcatheter"]
    make: str
    model: str
    source: str
    sizes: tuple[Size, ...]

    @property
    def name(self) -> str:
        """Return make and model, as they are asked for."""
        return f"{self.make} {self.model}"


class _Mismatch(Row):
    moderate: float
    severe: float
    source: str


@dataclass(frozen=True, slots=True)
class Suits:
    """How a prosthesis suits a body: its effective orifice, cm2 and over body surface, cm2/m2; mismatch; sources."""

    area: float
    indexed: float
    mismatch: Grade
    sources: tuple[str, ...]


_TABLE: Final = read_table("prostheses")
SOURCES: Final[Mapping[str, Source]] = {name: Source(**row) for name, row in _TABLE["source"].items()}
PROSTHESES: Final = tuple(Prosthesis(**row) for row in _TABLE["prosthesis"])
_MISMATCH: Final[Mapping[str, _Mismatch]] = {name: _Mismatch(**row) for name, row in _TABLE["mismatch"].items()}


def prosthesis(position: Position, name: str, size: int) -> tuple[Prosthesis, Size]:
    """Return a prosthesis and its labelled size, mm, by position and by make and model ("Edwards SAPIEN 3").

    Raises
    ------
    UnknownName
        No such prosthesis in this position.
    Misuse
        No published area for this size.
    """
    known = {each.name: each for each in PROSTHESES if each.position == position}
    if name not in known:
        raise UnknownName(f"{position} prosthesis", name, known)
    for each in known[name].sizes:
        if each.size == size:
            return known[name], each
    raise Misuse(
        f"No effective orifice area is published for {name} of {size} mm.",
        hint=f"Known sizes: {', '.join(str(each.size) for each in known[name].sizes)} mm.",
    )


def suits(position: Position, name: str, size: int, *, surface: float, obese: bool = False) -> Suits:
    """Return the effective orifice that a prosthesis gives a body of so many m2, and whether it is too small for it.

    Parameters
    ----------
    obese
        Body mass index of 30 kg/m2 or more: the body surface overstates what the heart must deliver.

    Raises
    ------
    UnknownName, Misuse
        As `prosthesis`; a body surface outside 0.5 to 3 m2; or no published grades (mitral, obese).
    """
    found, sized = prosthesis(position, name, size)
    if not _BODY[0] <= surface <= _BODY[1]:
        raise Misuse(
            f"A body surface lies between {_BODY[0]:g} and {_BODY[1]:g} m2.",
            hint="Is it in m2, or are weight and height exchanged?",
            detail=surface,
        )
    moderate, severe, source = bounds_of_mismatch(position, obese=obese)
    indexed = sized.area / surface
    grade: Grade = "severe" if indexed <= severe else "moderate" if indexed <= moderate else "none"
    return Suits(sized.area, indexed, grade, (found.source, source))


def bounds_of_mismatch(position: Position, *, obese: bool = False) -> tuple[float, float, str]:
    """Return the indexed orifices, cm2/m2, up to which mismatch is moderate and severe, and the source of both.

    Raises
    ------
    Misuse
        No published grades (mitral, obese).
    """
    grades = f"{position}-obese" if obese else position
    if grades not in _MISMATCH:
        raise Misuse(
            f"No grades of mismatch that we have read hold for {position} prostheses in obese patients.",
            hint="Ask without obesity, and take the grade as an upper bound.",
        )
    limits = _MISMATCH[grades]
    return limits.moderate, limits.severe, limits.source


def implanted(position: Position, name: str, size: int) -> tuple[Change, ...]:
    """Return what a replacement changes in a circulation: the orifice, and no leak.

    Raises
    ------
    UnknownName, Misuse
        As `prosthesis`.
    """
    found, sized = prosthesis(position, name, size)
    why = f"{found.name} {size} mm ({found.source})"
    return (
        Change(symbol=f"A_{_VALVE[position]}", value=sized.area, why=why),
        Change(symbol=f"EROA_{_VALVE[position]}", value=0.0, why=why),
    )

"""Operations and interventions as values: a new valve, a repair, a device and its setting, walls given blood again.

`operation_text` reads them, `operating` does them on a person's ensemble, `operated` is what comes of it. Each writes
itself (`words`) as it is read, so that a result says what was planned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from security.errors import Misuse
from twin_engine.circulation.prostheses import Position
from twin_engine.circulation.regions import Regions

__all__ = [
    "HEADS",
    "UNITS",
    "Device",
    "Gadget",
    "NewValve",
    "Operation",
    "Repair",
    "Revascularisation",
    "planned",
    "site",
]

Gadget = Literal["pump", "balloon", "pacing"]

HEADS: Final = (
    *("aortic valve", "mitral valve", "mitral repair", "pump", "balloon", "pacing"),
    *("revascularisation", "revascularization"),
)
"""What an operation begins with."""

UNITS: Final[dict[Gadget, str]] = {"pump": "/min", "balloon": "mL", "pacing": "/min"}


@dataclass(frozen=True, slots=True)
class NewValve:
    """A prosthesis in place of a valve: one of the table by name and size, mm, or an effective orifice that is told.

    Parameters
    ----------
    orifice
        Effective, cm2: told instead of a prosthesis, and taken as it is.
    leak
        Effective regurgitant orifice left behind, cm2; drawn where it is not told and a prosthesis is.
    """

    position: Position
    prosthesis: str = ""
    size: int = 0
    orifice: float | None = None
    leak: float | None = None

    @property
    def words(self) -> str:
        """Write it as it is read."""
        what = f"{self.prosthesis} {self.size} mm" if self.prosthesis else f"orifice {self.orifice:g} cm2"
        return f"{self.position} valve: {what}{_leak(self.leak)}"


@dataclass(frozen=True, slots=True)
class Repair:
    """A repaired mitral valve: effective orifice and leak, cm2, each drawn from what is published where not told."""

    orifice: float | None = None
    leak: float | None = None

    @property
    def words(self) -> str:
        """Write it as it is read."""
        told = [] if self.orifice is None else [f"orifice {self.orifice:g} cm2"]
        told += [] if self.leak is None else [f"leak {self.leak:g} cm2"]
        return f"mitral repair: {', '.join(told)}" if told else "mitral repair"


@dataclass(frozen=True, slots=True)
class Device:
    """A device and its setting: the speed of Simaan's pump, /min; a balloon, mL; a pacemaker on demand, /min.

    The speeds of the pump are those of that pump (Simaan 2009, 8,000 to 15,000 /min) and of no other: a HeartMate 3
    runs at 3,000 to 9,000 and a speed of one says nothing of another.
    """

    name: Gadget
    level: float

    @property
    def words(self) -> str:
        """Write it as it is read."""
        return f"{self.name} {self.level:g} {UNITS[self.name]}"


@dataclass(frozen=True, slots=True)
class Revascularisation:
    """Bypass or stents to some of the seventeen segments; which it is makes no difference here."""

    regions: Regions

    @property
    def words(self) -> str:
        """Write it as it is read."""
        return f"revascularisation: {self.regions.words}"


Operation = NewValve | Repair | Device | Revascularisation


def site(operation: Operation) -> str:
    """Say what an operation is done to: two on the same site are no plan."""
    if isinstance(operation, NewValve):
        return f"{operation.position} valve"
    if isinstance(operation, Repair):
        return "mitral valve"
    return operation.name if isinstance(operation, Device) else "coronary arteries"


def planned(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return operations as a plan. Raises `Misuse` where there is none, or where two are done to the same site."""
    plan = tuple(operations)
    if not plan:
        raise Misuse("The plan has no operation.", hint=f"Operations: {', '.join(HEADS[:-1])}.")
    sites = [site(each) for each in plan]
    for each in sites:
        if sites.count(each) > 1:
            raise Misuse(f"Two operations of the plan are done to the same: {each}.", hint="Compare them as two plans.")
    return plan


def _leak(leak: float | None) -> str:
    return "" if leak is None else f", leak {leak:g} cm2"

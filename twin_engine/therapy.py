"""Who decides on insulin along a simulated course: a person with a pump who counts, or a closed loop. Never for dosing.

A therapy is part of a plan. Where a plan has one, every member of the ensemble wears a sensor of its own, sees only
what that shows, and is given what the therapy then decides. Insulin on record after the start does not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from security.errors import Misuse

__all__ = ["BASAL", "BOLUS", "MEAL", "SENSOR", "Therapy", "read_therapy", "write_therapy"]

MEAL, BOLUS, BASAL, SENSOR = "carbohydrate", "insulin-bolus", "insulin-basal", "interstitial-glucose"
"""The plan inputs that a therapy hears of and decides on, and the channel that it sees."""

_UNITS: Final = {"basal": "[iU]/h", "carb_ratio": "g/[iU]", "correction": "mg/dL/[iU]", "target": "mg/dL"}
_HINT: Final = (
    'Write it like "closed-loop, basal 0.9 [iU]/h, carb_ratio 10 g/[iU], correction 40 mg/dL/[iU]"; '
    "target (mg/dL) and pump may follow."
)
_PART: Final = re.compile(r"(?P<name>[a-z_]+)\s+(?P<told>\S.*)")


class Therapy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who decides, with the settings that this patient's team would have chosen; none of them has a default.

    `basal` is in [iU]/h, `carb_ratio` in g/[iU], `correction` in mg/dL for each [iU], `target` in mg/dL (that of the
    kind where it is `None`), and `pump` a name in `twin_engine.glycaemia.PUMPS`.
    """

    by: Literal["basal-bolus", "closed-loop"]
    basal: float
    carb_ratio: float
    correction: float
    target: float | None = None
    pump: str = "insulet"

    def __str__(self) -> str:
        each = f"1 [iU] for {self.carb_ratio:g} g and for {self.correction:g} mg/dL"
        return f"{self.by}, basal {self.basal:g} [iU]/h, {each}"


def read_therapy(told: str | Mapping[str, object]) -> Therapy:
    """Read a therapy from a line, or from the table `[therapy]` of a plan. Every number is written with its unit.

    Raises `Misuse` where a part is unknown, missing, or has no unit or another one.
    """
    parts = _parts(told) if isinstance(told, str) else {str(name): value for name, value in told.items()}
    missing = [name for name in ("by", "basal", "carb_ratio", "correction") if name not in parts]
    unknown = sorted(set(parts) - set(_UNITS) - {"by", "pump"})
    if missing or unknown:
        lacks = f"lacks {', '.join(missing)}" if missing else "has parts that nobody knows"
        raise Misuse(f"The therapy {lacks}.", hint=_HINT, detail=unknown)
    if parts["by"] not in ("basal-bolus", "closed-loop"):
        raise Misuse("A therapy is basal-bolus or closed-loop.", hint=_HINT, detail=parts["by"])
    numbers = {name: _number(name, parts[name]) for name in _UNITS if name in parts}
    therapy = {"by": parts["by"], **numbers} | ({"pump": parts["pump"]} if "pump" in parts else {})
    return msgspec.convert(therapy, Therapy)


def write_therapy(therapy: Therapy) -> dict[str, str]:
    """Write it as the table that `read_therapy` reads."""
    numbers = {name: getattr(therapy, name) for name in _UNITS}
    told = {name: f"{value!r} {_UNITS[name]}" for name, value in numbers.items() if value is not None}
    return {"by": therapy.by, **told, "pump": therapy.pump}


def _parts(line: str) -> dict[str, object]:
    first, *rest = (" ".join(part.split()) for part in line.split(","))
    parts: dict[str, object] = {"by": first}
    for part in rest:
        found = _PART.fullmatch(part)
        if found is None or found["name"] in parts:
            raise Misuse("A part of the therapy cannot be read.", hint=_HINT, detail=part)
        parts[found["name"]] = found["told"]
    return parts


def _number(name: str, told: object) -> float:
    value, _, unit = str(told).partition(" ")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0.0 < number < float("inf") or unit != _UNITS[name]:
        raise Misuse(
            f"The therapy's {name} is no number above zero with its unit.",
            hint=f'Write it like "{name} 10 {_UNITS[name]}".',
            detail=told,
        )
    return number

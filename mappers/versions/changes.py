"""How a value changes on its way into R4 shape: what each `how` of the tables does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any, Final

from mappers.codes import SYSTEM, codings, current_system
from mappers.elements import Json, items, number, objects, text
from mappers.units import UNITS, find_unit, step_between

__all__ = ["HOW", "LEAVING", "Move"]


@dataclass(frozen=True, slots=True)
class Move:
    """One row: where an element stood, where R4 has it, and how its value changes on the way."""

    to: str
    how: str
    source: str = ""
    within: str = ""  # "name" for "name.family": the move happens in each object there
    system: str = ""
    only: str = ""
    url: str = ""
    value: Any = None
    codes: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)  # the move is made only where these elements say this


def _same(value: Any, _: Move) -> Any:
    """Keep the value."""
    return value


def _list(value: Any, _: Move) -> Any:
    """Put one value into a list."""
    return items(value)


def _join(value: Any, _: Move) -> Any:
    """Join the parts of a list by spaces."""
    return " ".join(filter(None, map(text, items(value))))


def _inner(value: Any, move: Move) -> Any:
    """Take one element (`only`) of what stands there."""
    found = objects(value)
    return found[0].get(move.only) if found else None


def _annotation(value: Any, _: Move) -> Any:
    """Make annotations of texts."""
    return [item if isinstance(item, dict) else {"text": item} for item in items(value)]


def _related(value: Any, move: Move) -> Any:
    """Take the targets of one type (`only`) of Observation.related."""
    return [found["target"] for found in objects(value) if found.get("type") == move.only and "target" in found] or None


def _translate(value: Any, move: Move) -> Any:
    """Say it in R4's words (`codes`); a value without a row says nothing new."""
    return move.codes.get(_key(value))


def _coding(value: Any, move: Move) -> Any:
    """Make a Coding of a code of `system`, by `codes` where there are some; a code without a row has no Coding."""
    code = (move.codes.get(_key(value)) if move.codes else text(value)) if isinstance(value, str) else None
    return {"system": SYSTEM[move.system], "code": code} if code else None


def _concept(value: Any, move: Move) -> Any:
    """Make a CodeableConcept of a code; one that is there already (a server that mixes versions) is kept."""
    if isinstance(value, dict):
        return value
    coding = _coding(value, move)
    return {"coding": [coding]} if coding else None


def _first(value: Any, _: Move) -> Any:
    """Take the first of a list."""
    return next(iter(items(value)), None)


def _each(value: Any, move: Move) -> Any:
    """List the objects at one place (`only`: "concept", "value.concept") of all that stands there."""
    return _at(value, move.only) or None


def _part(value: Any, move: Move) -> Any:
    """Take the first of those: the concept or the reference of a CodeableReference."""
    return next(iter(_at(value, move.only)), None)


def _code(value: Any, move: Move) -> Any:
    """Take the code of `system` out of a CodeableConcept (that at `only`), by `codes` where there are some."""
    for concept in _at(value, move.only) if move.only else items(value)[:1]:
        for coding in codings(concept):
            if coding.system == SYSTEM[move.system]:
                return move.codes.get(coding.code) if move.codes else coding.code
    return None


def _actor(value: Any, move: Move) -> Any:
    """Take the first participant of one function (`only`)."""
    for found in objects(value):
        if "actor" in found and any(coding.code == move.only for coding in codings(found.get("function"))):
            return found["actor"]
    return None


def _told(value: Any, move: Move) -> Any:
    """Take the code in an extension (`url`), by which R4's own word is kept where R5 has none."""
    return next((found.get("valueCode") for found in objects(value) if found.get("url") == move.url), None)


def _setting(value: Any, move: Move) -> Any:
    """Take one Coding out of CodeableConcepts: the first of `system`, else the first; what is a Coding is kept."""
    found = [
        coding for each in objects(value) for coding in ([each] if "code" in each else objects(each.get("coding")))
    ]
    known = (coding for coding in found if current_system(text(coding.get("system"))) == SYSTEM[move.system])
    return next(known, found[0] if found else None)


def _sampled(value: Any, _: Move) -> Any:
    """Tell the interval of SampledData in milliseconds (`period`); where it has another unit, or none, R4 cannot."""
    if not isinstance(value, dict) or "period" in value or "offsets" in value:
        return value
    interval, unit = number(value.get("interval")), find_unit(text(value.get("intervalUnit")))
    step = step_between(unit, UNITS["ms"]) if unit else None
    if interval is None or step is None:
        return value
    made = {element: told for element, told in value.items() if element not in ("interval", "intervalUnit")}
    with localcontext() as context:
        context.prec = 80  # exact: no interval has more than 50 digits
        made["period"] = interval * Decimal(step.slope.numerator) / Decimal(step.slope.denominator)
    return made


def _at(value: Any, path: str) -> list[Json]:
    """List the objects that stand at a place ("value.concept") of one or many objects."""
    found = objects(value)
    for part in path.split("."):
        found = [inner for holder in found for inner in objects(holder.get(part))]
    return found


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value)


HOW: Final[Mapping[str, Callable[[Any, Move], Any]]] = {
    "same": _same,
    "list": _list,
    "join": _join,
    "inner": _inner,
    "annotation": _annotation,
    "related": _related,
    "translate": _translate,
    "coding": _coding,
    "concept": _concept,
    "first": _first,
    "each": _each,
    "part": _part,
    "code": _code,
    "actor": _actor,
    "told": _told,
    "setting": _setting,
    "sampled": _sampled,
}
LEAVING: Final = frozenset({"each", "part", "code", "actor", "told", "setting"})
"""Where such a move finds nothing to take, all stays as it stands."""

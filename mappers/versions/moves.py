"""Older versions into R4 shape, by rows of `tables/dstu2.toml` and `stu3.toml`. What no row names stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mappers.codes import SYSTEM
from mappers.elements import Json, items, objects, text
from mappers.rows import read_table
from mappers.versions import FhirVersion

__all__ = ["to_r4"]


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


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value)


_HOW: Final[Mapping[str, Callable[[Any, Move], Any]]] = {
    "same": _same,
    "list": _list,
    "join": _join,
    "inner": _inner,
    "annotation": _annotation,
    "related": _related,
    "translate": _translate,
    "coding": _coding,
    "concept": _concept,
}


def _read(version: str) -> tuple[dict[str, str], dict[str, list[Move]]]:
    table = read_table(version)
    moves: dict[str, list[Move]] = {}
    for row in table["move"]:
        within, _, source = row.pop("from", "").rpartition(".")
        kind, how, to = row.pop("type"), row.pop("how", "same"), row.pop("to", source)
        moves.setdefault(kind, []).append(Move(to, how, source, within, **row))
    return table["types"], moves


_TABLES: Final = {version: _read(version) for version in ("dstu2", "stu3")}


def to_r4(resource: Json, version: FhirVersion) -> Json:
    """Return a resource in R4 shape; one that is R4 already is returned itself, and none is ever changed in place."""
    if version == "r4":
        return resource
    types, moves = _TABLES[version]
    kind = text(resource.get("resourceType"))
    mine = moves.get(kind)
    if mine is None:
        return resource
    made = dict(resource)
    made["resourceType"] = types.get(kind, kind)
    for move in mine:
        if move.within:
            made[move.within] = [_moved(resource_, resource_, move) for resource_ in objects(made.get(move.within))]
        else:
            made = _moved(resource, made, move)
    return made


def _moved(old: Json, new: Json, move: Move) -> dict[str, Any]:
    """Make one move: read from the old shape, since one element may go to two places, and write into the new."""
    made = dict(new)
    if move.how == "value":
        made[move.to] = move.value
        return made
    if move.source not in old and f"_{move.source}" not in old:
        return made
    value = old.get(move.source)
    if move.how == "extension":
        made["extension"] = [*items(made.get("extension")), {"url": move.url, move.to: value}]
        made.pop(move.source, None)
        return made
    changed = _HOW[move.how](value, move)
    if move.how == "translate" and changed is None:
        if move.source != move.to:
            made.pop(move.source, None)
        return made
    if made.get(move.source) is value:  # not yet taken by an earlier move
        made.pop(move.source, None)
    if changed is not None:
        made[move.to] = changed
    if (shadow := old.get(f"_{move.source}")) is not None:
        made.pop(f"_{move.source}", None)
        made[f"_{move.to}"] = shadow
    return made

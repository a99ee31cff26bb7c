"""Other versions into R4 shape, as mappers read it: few and quick moves for what comes in masses, all for the rest.

The moves are rows of `tables/dstu2.toml`, `stu3.toml`, `r5.toml`; what no row names stays. A type without rows goes
through the whole conversion, which takes ten times as long.
"""

from __future__ import annotations

from typing import Any, Final

from mappers.elements import Json, items, text
from mappers.references import SUPPORTING
from mappers.rows import read_table
from mappers.versions import FhirVersion
from mappers.versions.changes import HOW, LEAVING, Move
from mappers.versions.convert import convert

__all__ = ["to_r4"]


def _read(version: str) -> tuple[dict[str, str], dict[str, list[Move]]]:
    table = read_table(version)
    moves: dict[str, list[Move]] = {}
    for row in table["move"]:
        within, _, source = row.pop("from", "").rpartition(".")
        kind, how, to = row.pop("type"), row.pop("how", "same"), row.pop("to", source)
        moves.setdefault(kind, []).append(Move(to, how, source, within, **row))
    return table["types"], moves


_TABLES: Final = {version: _read(version) for version in ("dstu2", "stu3", "r5")}
_ALIKE: Final = frozenset({"Patient"}) | SUPPORTING  # all versions write alike what is read of them


def to_r4(resource: Json, version: FhirVersion) -> Json:
    """Return a resource in R4 shape; one that is R4 already is returned itself, and none is ever changed in place."""
    if version in ("r4", "r4b"):
        return resource
    types, moves = _TABLES[version]
    kind = text(resource.get("resourceType"))
    mine = moves.get(kind)
    if mine is None:
        whole = None if kind in _ALIKE else convert(resource, version, "r4").resource
        return resource if whole is None else whole
    made = dict(resource)
    made["resourceType"] = types.get(kind, kind)
    for move in mine:
        if not move.within:
            made = _moved(resource, made, move)
        elif move.within in made:
            made[move.within] = _moved_in(resource.get(move.within), made[move.within], move)
    return made


def _moved_in(old: Any, new: Any, move: Move) -> Any:
    """Make one move in each object that stands there."""
    if isinstance(new, dict):
        return _moved(old if isinstance(old, dict) else new, new, move)
    if isinstance(new, list):
        olds = old if isinstance(old, list) and len(old) == len(new) else new
        return [_moved_in(*pair, move) for pair in zip(olds, new, strict=True)]
    return new


def _moved(old: Json, new: Json, move: Move) -> dict[str, Any]:
    """Make one move: read from the old shape, since one element may go to two places, and write into the new."""
    made = dict(new)
    if any(text(old.get(element)) != said for element, said in move.given.items()):
        return made
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
    changed = HOW[move.how](value, move)
    if changed is None and move.how in LEAVING:
        return made
    if move.how == "translate" and changed is None:
        if move.source != move.to:
            made.pop(move.source, None)
        return made
    if made.get(move.source) is value and move.how != "told":  # not yet taken by an earlier move; extensions stay
        made.pop(move.source, None)
    if changed is not None:
        made[move.to] = changed
    if (shadow := old.get(f"_{move.source}")) is not None:
        made.pop(f"_{move.source}", None)
        made[f"_{move.to}"] = shadow
    return made

"""Takes values out of parts, and puts them into parts: "requester.agent" of one version is "requester" of another."""

from __future__ import annotations

from typing import Any

from mappers.versions.conversion import Place
from mappers.versions.definitions import is_primitive
from mappers.versions.steps import GONE
from mappers.versions.values import Held

__all__ = ["put", "take"]


def take(place: Place, name: str) -> list[Held]:
    """Take the values of an element, which may stand in a part: what else is in that part stays to be moved."""
    head, dot, rest = name.partition(".")
    if not dot:
        return place.take(head)
    found: list[Held] = []
    kept: list[Held] = []
    for holder in place.take(head):
        inner = Place(place.conversion, holder.kind, place.target, holder.path, place.to, {}, place.made)
        inner.held = place.conversion.look(holder)
        taken = take(inner, rest)
        if not taken:
            kept.append(holder)
            continue
        found += taken
        left = _without(holder, taken, inner, rest)
        if left:
            kept.append(holder._replace(value=left))
    if kept:
        place.held[head] = kept
        place.opened.add(head)
    return found


def _without(holder: Held, taken: list[Held], inner: Place, name: str) -> dict[str, Any]:
    """Return a part without what was taken out of it; what is left of a list keeps its place in it."""
    head, dot, _ = name.partition(".")
    if not dot:
        gone = {each.path for each in taken}
        besides = {each.path for each in taken if is_primitive(each.kind)}
        marked = {
            key: _marked(value, f"{holder.path}.{key.removeprefix('_')}", besides if key.startswith("_") else gone)
            for key, value in holder.value.items()
        }
        return {key: value for key, value in marked.items() if value is not GONE}
    left = dict(holder.value)
    was = left.pop(head)
    remaining = {each.path: each.value for each in inner.held.get(head, [])}
    if not isinstance(was, list):
        return left | ({head: next(iter(remaining.values()))} if remaining else {})
    read = {each.path for each in inner.conversion.look(holder).get(head, [])}
    items: list[Any] = []
    for position, value in enumerate(was):
        path = f"{holder.path}.{head}[{position}]"
        items.append(remaining.get(path, GONE) if path in read else value)
    if any(each is not GONE and each is not None for each in items):
        left[head] = items
    return left


def _marked(value: Any, path: str, gone: set[str]) -> Any:
    if not isinstance(value, list) or not value:
        return GONE if path in gone else value
    left = [GONE if f"{path}[{position}]" in gone else each for position, each in enumerate(value)]
    return left if any(each is not GONE and each is not None for each in left) else GONE


def put(place: Place, name: str, held: Held, *, each: bool = False) -> None:
    """Put a value into an element, which may stand in a part of the other version."""
    head, dot, rest = name.partition(".")
    if not dot:
        place.put(head, [held])
        return
    element = place.conversion.target.parts[place.target][head]
    fresh = each or not (place.made.get(head))
    before = len(place.made.get(head, ())) if element.many else 0
    inner = place.within(head, new=each)
    put(inner, rest, held, each=each)
    if fresh and not inner.made:
        if element.many and len(place.made[head]) > before:
            place.made[head].pop()
        if not place.made[head]:
            del place.made[head]

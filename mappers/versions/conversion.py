"""Walks a resource along the definitions of two versions: what both write alike stays, rows move the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mappers.versions.definitions import Definitions, Element, is_primitive
from mappers.versions.extensions import Extensions
from mappers.versions.fitting import fit
from mappers.versions.steps import GONE, Steps
from mappers.versions.values import Held, is_shaped, length, write

__all__ = ["Conversion", "Place", "Rule"]


_FIRST: Final = ("id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension")


class Rule(Protocol):
    """What a row does: it takes elements of a place and puts them where the other version has them."""

    def apply(self, place: Place) -> None:
        """Make the move."""


@dataclass(slots=True)
class Place:
    """One object on its way: what is still to be moved, and what stands in the other version by now."""

    conversion: Conversion
    source: str  # the part that it is in the version that came: "Observation.component"
    target: str  # and in the other
    path: str
    to: str
    held: dict[str, list[Held]]
    made: dict[str, Any] = field(default_factory=dict)
    kept: list[tuple[str, str, Held]] = field(default_factory=list)  # extensions of the other version
    begun: set[str] = field(default_factory=set)  # parts of the other version that a row has begun
    opened: set[str] = field(default_factory=set)  # parts of which a row took something: what is left has another home

    def take(self, name: str) -> list[Held]:
        """Take all values of an element (its name without [x])."""
        return self.held.pop(name, [])

    def put(self, name: str, values: list[Held]) -> None:
        """Put values into an element of the other version; what does not fit there is kept by an extension, or lost."""
        element = self.conversion.target.parts[self.target].get(name)
        for value in values:
            if element is None:
                self.leave(value, "no-element")
            else:
                self._put(element, value)

    def leave(self, value: Held, why: str) -> None:
        """Keep by an extension what has no place in the other version."""
        self.conversion.extensions.keep(self, value, why)

    def has(self, name: str) -> bool:
        """Say whether the element stands in the other version by now."""
        element = self.conversion.target.parts[self.target].get(name)
        return element is not None and self._taken(element) is not None

    def within(self, name: str, *, new: bool) -> Place:
        """Return the place in a part of the other version, which is made where it is not there."""
        element = self.conversion.target.parts[self.target][name]
        to, part = f"{self.to}.{name}", element.types[0]
        if not element.many:
            if name not in self.made:
                self.begun.add(name)
            made = self.made.setdefault(name, {})
        else:
            parts = self.made.setdefault(name, [])
            if new or not parts:
                parts.append({})
            made, to = parts[-1], f"{to}[{len(parts) - 1}]"
        return Place(self.conversion, self.source, part, self.path, to, {}, made)

    def _put(self, element: Element, value: Held) -> None:
        if self._taken(element) is not None and not element.many:
            if element.name not in self.begun or "." not in value.kind or not self._merge(element, value):
                self.leave(value, "one-only")
            return
        position = f"[{length(self.made, element.name)}]" if element.many else ""
        fitted = fit(self.conversion, value, element, lambda kind: f"{self.to}.{element.json_name(kind)}{position}")
        if fitted == "not-dated" and "date" in element.types:
            self._put_day(element, value)
            return
        if isinstance(fitted, str):
            self.leave(value, fitted)
            return
        kind, made, beside = fitted
        if made == {} or (made is None and not beside):
            return  # nothing of it survived, and the steps say so
        write(self.made, element.json_name(kind), made, beside, many=element.many)

    def _put_day(self, element: Element, value: Held) -> None:
        """Put the day of an instant where there is room for a day only; an extension keeps the instant."""
        day, steps = value.value[:10], self.conversion.steps
        write(self.made, element.json_name("date"), day, None, many=element.many)
        before = len(steps.found)
        self.leave(value, "not-dated")
        del steps.found[before:]
        steps.translate(value.path, f"{self.to}.{element.json_name('date')}", value.value, day)

    def _merge(self, element: Element, value: Held) -> bool:
        """Put a part into one that other rows have begun; say whether that could be, as nothing stands there twice."""
        begun, steps = self.made[element.name], self.conversion.steps
        before = len(steps.found)
        to = f"{self.to}.{element.name}"
        made = self.conversion.object(value.value, value.kind, element.types[0], value.path, to)
        if made.keys() & begun.keys():
            del steps.found[before:]
            return False
        begun.update(made)
        self.begun.discard(element.name)
        return True

    def _taken(self, element: Element) -> str | None:
        if element.types == ("any",):
            return next((name for name in self.made if name.lstrip("_").startswith(element.name)), None)
        names = [element.json_name(kind) for kind in element.types] if element.choice else [element.name]
        return next((name for name in names if name in self.made or f"_{name}" in self.made), None)


@dataclass(slots=True)
class Conversion:
    """One conversion from a version into another."""

    source: Definitions
    target: Definitions
    kinds: Mapping[str, str]
    rules: Mapping[tuple[str, str], list[Rule]]
    steps: Steps = field(default_factory=Steps)
    extensions: Extensions = field(default_factory=Extensions)

    def resource(self, told: Any, path: str, to: str) -> dict[str, Any] | None:
        """Convert a resource; `None` (and all of it lost) where one of the versions has no such type."""
        kind = told.get("resourceType") if isinstance(told, dict) else None
        other = self.kinds.get(kind, kind) if isinstance(kind, str) else None
        if kind not in self.source.kinds or other not in self.target.kinds:
            where = path or (kind if isinstance(kind, str) else "Resource")
            self.steps.lose(where, told, "no-resource" if isinstance(told, dict) else "bad-shape")
            return None
        path, to = path or str(kind), to or str(other)
        rest = {name: value for name, value in told.items() if name != "resourceType"}
        if kind == other:
            self.steps.note(f"{path}.resourceType", f"{to}.resourceType")
        else:
            self.steps.translate(f"{path}.resourceType", f"{to}.resourceType", kind, other)
        made = self.object(rest, str(kind), str(other), path, to)
        ordered: dict[str, Any] = {"resourceType": other}
        ordered.update((name, made[name]) for name in _FIRST if name in made)
        return ordered | made

    def object(self, told: Mapping[str, Any], source: str, target: str, path: str, to: str) -> dict[str, Any]:
        """Convert one object that is a part or a data type."""
        place = Place(self, source, target, path, to, self.read(told, source, path))
        self.extensions.gather(place)
        for rule in self.rules.get((source, target), ()):
            rule.apply(place)
        for name in list(place.held):
            there = self.target.parts[target].get(name)
            if (
                name in place.opened
                and (there is None or "." not in there.types[0])
                and not self.source.parts[source][name].many
            ):
                for holder in place.take(name):
                    for values in self.read(holder.value, holder.kind, holder.path).values():
                        for each in values:
                            place.leave(each, "no-element")
            else:
                place.put(name, place.take(name))
        self.extensions.restore(place)
        return place.made

    def read(self, told: Mapping[str, Any], part: str, path: str) -> dict[str, list[Held]]:
        """List the values of each element; what the version does not have, or builds otherwise, is lost."""
        found: dict[str, list[Held]] = {}
        for name, value in told.items():
            bare = name.removeprefix("_")
            if bare != name and bare in told:
                continue
            known = self.source.find(part, bare)
            beside = told.get(f"_{bare}")
            if known is None:
                self.steps.lose(f"{path}.{name}", value, "unknown-element")
                if bare == name and beside is not None:
                    self.steps.lose(f"{path}._{name}", beside, "unknown-element")
                continue
            element, kind = known
            if not is_primitive(kind) and beside is not None:
                self.steps.lose(f"{path}._{bare}", beside, "bad-shape")
                beside = None
                if bare != name:
                    continue
            values = self._values(element, kind, f"{path}.{bare}", None if bare != name else value, beside)
            values = [each._replace(came=f"{part}.{element.name}") for each in values]
            found.setdefault(element.name, []).extend(values)
        return found

    def look(self, held: Held) -> dict[str, list[Held]]:
        """List the values in a part without noting what cannot be read: it will be read again."""
        before = len(self.steps.found)
        found = self.read(held.value, held.kind, held.path)
        del self.steps.found[before:]
        return found

    def _values(self, element: Element, kind: str, path: str, value: Any, beside: Any) -> list[Held]:
        if element.many and (isinstance(value, list) or isinstance(beside, list)):
            values = value if isinstance(value, list) else []
            besides = beside if isinstance(beside, list) else []
            if values is not value:
                self.steps.lose(path, value, "bad-shape")
            if besides is not beside:
                self.steps.lose_beside(path, beside, "bad-shape")
            count = max(len(values), len(besides))
            pairs = [(_at(values, i), _at(besides, i), f"{path}[{i}]") for i in range(count)]
            if value == []:
                self.steps.lose(path, value, "empty")
            if beside == []:
                self.steps.lose_beside(path, beside, "empty")
        else:
            pairs = [(value, beside, path)]
        found = []
        for each, carried, where in pairs:
            its = carried if isinstance(carried, dict) and carried else None
            if carried is not None and its is None:
                self.steps.lose_beside(where, carried, "empty" if carried == {} else "bad-shape")
            if each is GONE:
                continue
            if each in ("", {}):
                self.steps.lose(where, each, "empty")
                if its is not None:
                    self.steps.lose_beside(where, its, "empty")
            elif is_shaped(kind, each) or (each is None and its is not None):
                found.append(Held(kind, each, where, its))
            elif each is not None:
                self.steps.lose(where, each, "bad-shape")
                if its is not None:
                    self.steps.lose_beside(where, its, "bad-shape")
        return found


def _at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else None

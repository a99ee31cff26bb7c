"""Keeps what the other version has no place for as the extensions that FHIR names for it, and brings it back.

An element of another version is written as `http://hl7.org/fhir/3.0/StructureDefinition/extension-Patient.animal` (R4,
versions.html#extensions); the parts of a part are extensions in it, named by the element.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mappers.versions.definitions import RELEASE, Element, is_primitive
from mappers.versions.fitting import CARRIERS, TIMES
from mappers.versions.steps import VersionStep, beside, leaves
from mappers.versions.values import Held, is_shaped, write

if TYPE_CHECKING:
    from mappers.versions.conversion import Conversion, Place

__all__ = ["Extensions"]


class Extensions:
    """Writes and reads the extensions for elements of other versions."""

    def keep(self, place: Place, held: Held, why: str, *, modifies: bool = True) -> None:
        """Keep a value by an extension of the object where it stood; where that cannot be, it is lost."""
        conversion = place.conversion
        part, _, name = held.came.rpartition(".")
        element = conversion.source.parts[part].get(name)
        modifies = modifies and element is not None and element.modifier
        where = "modifierExtension" if modifies else "extension"
        if where not in conversion.target.parts[place.target] or held.kind == "Resource" or place.source == "Extension":
            _lose(conversion, held, why)
            return
        url = f"{_base(RELEASE[conversion.source.version])}{held.came}"
        extension = self._write(conversion, url, held, f"{place.to}.{where}", why)
        if extension is not None:
            place.made.setdefault(where, []).append(extension)

    def _write(self, conversion: Conversion, url: str, held: Held, to: str, why: str) -> dict[str, Any] | None:
        if "." in held.kind:
            return self._write_part(conversion, url, held, to, why)
        kind = _carrier(conversion, held.kind)
        if not kind:
            _lose(conversion, held, why)
            return None
        name = f"value{kind[0].upper()}{kind[1:]}"
        made: dict[str, Any] = {"url": url}
        if is_primitive(kind):
            if held.value is not None:
                made[name] = held.value
                conversion.steps.extend(held.path, to, why)
            if held.beside is not None:
                made[f"_{name}"] = conversion.object(held.beside, "Element", "Element", beside(held.path), beside(to))
            return made
        made[name] = _Extending(conversion, why).object(held, kind, to)
        return made

    def _write_part(self, conversion: Conversion, url: str, held: Held, to: str, why: str) -> dict[str, Any] | None:
        made: list[dict[str, Any]] = []
        for name, values in conversion.read(held.value, held.kind, held.path).items():
            for each in values:
                if name == "id":
                    _lose(conversion, each, why)
                elif name in ("extension", "modifierExtension"):
                    made.append(_Extending(conversion, why).object(each, "Extension", to))
                elif each.kind != "Resource":
                    inner = self._write(conversion, name, each, to, why)
                    if inner is not None:
                        made.append(inner)
                else:
                    _lose(conversion, each, why)
        return {"url": url, "extension": made} if made else None

    def gather(self, place: Place) -> None:
        """Set aside the extensions that keep elements of the version that was asked for."""
        prefix = f"{_base(RELEASE[place.conversion.target.version])}{place.target}."
        for where in ("extension", "modifierExtension"):
            others = []
            for held in place.held.get(where, []):
                url = held.value.get("url")
                if isinstance(url, str) and url.startswith(prefix):
                    place.kept.append((where, url.removeprefix(prefix), held))
                else:
                    others.append(held)
            if where in place.held:
                place.held[where] = others

    def word(self, place: Place, name: str) -> tuple[str, Held] | None:
        """Return the word that an extension keeps for an element, and the extension; it is not taken yet."""
        for _, kept, held in place.kept:
            if kept == name:
                said = held.value.get("valueCode", held.value.get("valueString"))
                return (said, held) if isinstance(said, str) else None
        return None

    def took(self, place: Place, held: Held, to: str) -> None:
        """Note that what an extension kept is back in its place."""
        place.kept = [each for each in place.kept if each[2] is not held]
        place.conversion.steps.found.extend(
            VersionStep(path, "moved", to, "restored") for path in leaves(held.value, held.path)
        )

    def restore(self, place: Place) -> None:
        """Put back what is not there by now; what contradicts it, or cannot be read, stays an extension.

        What changes the meaning comes back from a modifierExtension only.
        """
        for where, name, held in list(place.kept):
            if not self._bring_back(place, where, name, held):
                place.put(where, [held])

    def _bring_back(self, place: Place, where: str, name: str, held: Held) -> bool:
        conversion, inside, last = place.conversion, place, name
        while "." in last:
            head, _, last = last.partition(".")
            part = conversion.target.parts[inside.target].get(head)
            if part is None or "." not in part.types[0]:
                return False
            if head not in inside.made:
                return False
            inside = inside.within(head, new=False)
        element = conversion.target.parts[inside.target].get(last)
        if element is None:
            return False
        value, kind = _read_back(conversion, held.value, element)
        if not kind:
            return False
        name_there = element.json_name(kind)
        if not element.many and inside.made.get(name_there) == value:
            self.took(place, held, f"{inside.to}.{name_there}")
            return True
        if element.modifier and where != "modifierExtension":
            return False
        if not element.many and inside.has(last):
            was = inside.made.get(name_there)
            if not (kind in TIMES and isinstance(was, str) and value != was and value.startswith(was)):
                return False  # but a day gives way to the instant that it is of
            del inside.made[name_there]
        write(inside.made, name_there, value, None, many=element.many)
        position = f"[{len(inside.made[name_there]) - 1}]" if element.many else ""
        self.took(place, held, f"{inside.to}.{name_there}{position}")
        return True


class _Extending:
    """Converts a data type for an extension: what stays is noted as kept by it."""

    def __init__(self, conversion: Conversion, why: str) -> None:
        self.conversion, self.why = conversion, why

    def object(self, held: Held, kind: str, to: str) -> Any:
        steps = self.conversion.steps
        before = len(steps.found)
        made = self.conversion.object(held.value, held.kind, kind, held.path, to)
        noted, steps.found[before:] = steps.found[before:], []
        for step in noted:
            if step.what == "lost":
                steps.found.append(step)
            else:
                steps.extend(step.path, to, self.why)
        return made


def _lose(conversion: Conversion, held: Held, why: str) -> None:
    if held.value is not None:
        conversion.steps.lose(held.path, held.value, why)
    if held.beside is not None:
        conversion.steps.lose_beside(held.path, held.beside, why)


def _carrier(conversion: Conversion, kind: str) -> str:
    """Return the type by which an extension of the other version carries a value."""
    if kind == "xhtml":
        return ""
    if conversion.target.has_type(kind):
        return kind
    return CARRIERS.get(kind, "")


def _read_back(conversion: Conversion, extension: Mapping[str, Any], element: Element) -> tuple[Any, str]:
    """Return the value that an extension keeps for an element, and its type; "" where it keeps none that fits."""
    for name, value in extension.items():
        found = conversion.source.find("Extension", name) if name.startswith("value") else None
        if found is not None:
            kind = next((each for each in element.types if _same(each, found[1])), "")
            return (_converted(conversion, value, found[1], kind), kind) if _fits(value, kind, element) else (None, "")
    part = element.types[0]
    told = extension.get("extension")
    if "." not in part or not isinstance(told, list) or not told:
        return None, ""
    made: dict[str, Any] = {}
    for inner in told:
        url = inner.get("url") if isinstance(inner, dict) else None
        below = conversion.target.parts[part].get(url) if isinstance(url, str) else None
        if below is None:
            return None, ""
        kept, kind = _read_back(conversion, inner, below)
        if not kind or (not below.many and below.json_name(kind) in made):
            return None, ""
        write(made, below.json_name(kind), kept, None, many=below.many)
    return made, part


def _fits(value: Any, kind: str, element: Element) -> bool:
    if not kind or not is_shaped(kind, value) or value in ("", {}):
        return False
    if kind in TIMES and not TIMES[kind].fullmatch(value):
        return False
    return not element.codes or value in element.codes


def _converted(conversion: Conversion, value: Any, kind: str, target: str) -> Any:
    if is_primitive(target) or target not in conversion.target.parts or kind not in conversion.source.parts:
        return value
    steps = conversion.steps
    before = len(steps.found)
    made = conversion.object(value, kind, target, "", "")
    del steps.found[before:]
    return made


def _same(one: str, other: str) -> bool:
    return one == other or CARRIERS.get(one) == other


def _base(release: str) -> str:
    return f"http://hl7.org/fhir/{release}/StructureDefinition/extension-"

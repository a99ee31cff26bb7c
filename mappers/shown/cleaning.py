"""Walks an R4 resource along its definition: what is valid is kept, what is not is left out or costs the resource.

Left out is only what changes nothing in what is said (`mappers.shown.definitions.SPARE`). A modifier, a status, a
value, a time of what happened, a dose: if one of these is broken, the resource is not shown. Nothing is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mappers.elements import Json, items
from mappers.shown.coding import LANGUAGES, is_known
from mappers.shown.definitions import Element, Named, Part, parts, resources
from mappers.shown.extending import fits
from mappers.shown.findings import Broken, Lost
from mappers.shown.invariants import broken
from mappers.shown.naming import Naming
from mappers.shown.narrative import is_safe
from mappers.shown.primitives import PRIMITIVES, is_absolute
from mappers.shown.values import SPECIAL, UCUM, identifier, is_blank, is_unit, words_of

__all__ = ["Cleaning"]

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_DEEPEST: Final = 40
_WHOLE: Final = "DomainResource"
_OTHER_VERSION: Final = re.compile(r"http://hl7\.org/fhir/\d\.\d/")


class Cleaning:
    """The walk through one resource. `lost` has what was left out."""

    def __init__(self, naming: Naming, subject: str) -> None:
        self._naming, self._subject = naming, subject
        self.lost: list[Lost] = []
        self._contained: frozenset[str] = frozenset()
        self._used: set[str] = set()
        self._depth = 0
        self._kind = ""
        self._where: tuple[str, ...] = ()

    def resource(self, told: Json, kind: str) -> dict[str, Any]:
        """Return a resource without id and meta. Raises `Broken` where it cannot be shown."""
        self._kind = kind
        inner = items(told.get("contained"))
        self._contained = frozenset(
            each["id"] for each in inner if isinstance(each, dict) and PRIMITIVES["id"](each.get("id"))
        )
        if len(self._contained) < len(inner):
            raise Broken("contained", "contained")
        made = self._whole(told, kind)
        if inner:
            kept = {str(each["id"]): self._inside(each, number) for number, each in enumerate(inner)}
            if used := [each for name, each in kept.items() if name in self._used]:
                made = {"contained": used, **made}
        return made

    def _inside(self, told: Json, number: int) -> dict[str, Any]:
        kind, name = told.get("resourceType"), told.get("id")
        meta = told.get("meta")
        try:
            if kind not in resources() or "contained" in told:
                raise Broken("contained")
            if isinstance(meta, dict) and meta.get("security"):
                raise Broken("security-label", "meta.security")  # dom-5: it would have to stand outside
            return {"resourceType": kind, "id": name, **self._whole(told, str(kind))}
        except Broken as found:
            raise found.within(f"contained[{number}]") from None

    def _whole(self, told: Json, kind: str) -> dict[str, Any]:
        if told.get("implicitRules") not in _EMPTY:
            raise Broken("implicit-rules", "implicitRules")
        made: dict[str, Any] = {}
        language = told.get("language")
        if isinstance(language, str) and language in LANGUAGES:
            made["language"] = language
        text = told.get("text")
        if isinstance(text, dict) and text.get("status") == "additional":  # else it says what the elements say
            if not (isinstance(text.get("div"), str) and is_safe(text["div"])):
                raise Broken("narrative", "text")
            made["text"] = {"status": "additional", "div": text["div"]}
        self._where = ()
        return made | self.part(told, parts()[kind])

    def part(self, told: Json, part: Part) -> dict[str, Any]:
        """Clean one object. Raises `Broken` where it says another thing, or nothing, without what is broken in it."""
        made: dict[str, Any] = {}
        named, lost = part.named, self.lost
        within = self._where[0] if self._where else ""
        depth = self._depth + 1
        if depth > _DEEPEST:
            raise Broken("too-deep")
        for name, value in told.items():
            self._depth = depth
            found = named.get(name)
            before = len(lost)
            if found is None:
                self._where = (part.name, within, _WHOLE) if part.resource else (part.name, within)
                self._other(told, part, name, value, made)
                if len(lost) > before:
                    self._place(before, "")
                continue
            beside = told.get(f"_{name}")
            if value in _EMPTY and beside in _EMPTY:
                continue
            self._where = (f"{part.name}.{found.element.name}", found.kind)
            try:
                self._put(made, name, found, value, beside)
            except Broken as problem:
                made.pop(name, None)
                blank = problem.reason == "blank" and not (found.element.required or found.element.modifier)
                if not (found.spare or blank):
                    raise problem.within(name) from None
                del lost[before:]
                if blank:
                    continue
                lost.append(Lost(problem.reason, f"{name}.{problem.path}" if problem.path else name))
            else:
                if len(lost) > before:
                    self._place(before, name)
        self._depth = depth - 1
        for names in part.required:
            if not any(name in made or f"_{name}" in made for name in names):
                raise Broken("missing", names[0])
        if not made:
            raise Broken("empty")
        rule = broken(part.name, made)
        if rule:
            raise Broken("invariant", rule)
        return made

    def _place(self, before: int, name: str) -> None:
        if name:
            self.lost[before:] = [Lost(each.reason, f"{name}.{each.path}") for each in self.lost[before:]]

    def _other(self, told: Json, part: Part, name: str, value: Any, made: dict[str, Any]) -> None:
        """See to what every part may have, and to what R4 does not have there."""
        if name == "extension":
            if kept := self._extensions(value, must=False, nested=part.name == "Extension"):
                made["extension"] = kept
        elif name == "modifierExtension":
            if part.modifiable and (kept := self._extensions(value, must=True, nested=False)):
                made["modifierExtension"] = kept
            elif not part.modifiable and value not in _EMPTY:
                raise Broken("unknown-modifier", name)
        elif name.startswith("_") and (found := part.named.get(name[1:])) is not None:
            if name[1:] not in told and value not in _EMPTY:
                try:
                    self._put(made, name[1:], found, None, value)
                except Broken as problem:
                    if not found.spare:
                        raise problem.within(name) from None
                    self.lost.append(Lost(problem.reason, name))
        elif name == "id" or (part.resource and name in _OF_RESOURCES) or name in _IN_PATIENT.get(part.name, ()):
            pass
        elif name.removeprefix("_") not in _OF_RESOURCES and value not in _EMPTY:
            self.lost.append(Lost("unknown-element", name))

    def _put(self, made: dict[str, Any], name: str, found: Named, value: Any, beside: Any) -> None:
        element = found.element
        if element.choice and any(each != name and (each in made or f"_{each}" in made) for each in element.named):
            raise Broken("two-values")
        if found.primitive:
            self._primitive(made, name, found, value, beside)
        elif element.many:
            kept, depth = [], self._depth
            for number, each in enumerate(value if isinstance(value, list) else [value]):
                if each in _EMPTY:
                    continue
                self._depth, before = depth, len(self.lost)
                try:
                    kept.append(self._value(each, found))
                except Broken as problem:
                    if problem.reason == "blank":
                        continue
                    if not found.spare:
                        raise problem.within(f"[{number}]") from None
                    del self.lost[before:]
                    self.lost.append(Lost(problem.reason, f"[{number}]"))
            if kept:
                made[name] = kept
        else:
            if isinstance(value, list):
                if len(value) != 1:
                    raise Broken("cardinality")
                value = value[0]
            made[name] = self._value(value, found)

    def _primitive(self, made: dict[str, Any], name: str, found: Named, value: Any, beside: Any) -> None:
        element = found.element
        if not element.many:
            if isinstance(value, list):
                if len(value) != 1:
                    raise Broken("cardinality")
                value = value[0]
            if value not in _EMPTY:
                self._check(value, found)
                made[name] = value
            if beside not in _EMPTY and (carried := self._beside(beside)):
                made[f"_{name}"] = carried
            return
        values = value if isinstance(value, list) else [] if value in _EMPTY else [value]
        besides = beside if isinstance(beside, list) else []
        kept, carried_ones = [], []
        for number in range(max(len(values), len(besides))):
            each = values[number] if number < len(values) else None
            carries = self._beside(besides[number]) if number < len(besides) else {}
            if each in _EMPTY and not carries:
                continue
            if each not in _EMPTY:
                self._check(each, found)
            kept.append(None if each in _EMPTY else each)
            carried_ones.append(carries or None)
        if any(each is not None for each in kept):
            made[name] = kept
        if any(carried_ones):
            made[f"_{name}"] = carried_ones

    def _check(self, value: Any, found: Named) -> None:
        if not PRIMITIVES[found.kind](value):
            raise Broken("bad-value")
        codes = found.element.codes
        if codes and value not in codes:
            raise Broken("code")
        base = self._naming.base
        if base and found.kind in _ADDRESSES and value.startswith(base) and found.element.name != "url":
            raise Broken("address")  # the url of an attachment is left out in any case

    def _beside(self, told: Any) -> dict[str, Any]:
        """Keep the extensions that a primitive carries."""
        found = told.get("extension") if isinstance(told, dict) else None
        kept = self._extensions(found, must=False, nested=False) if found else []
        return {"extension": kept} if kept else {}

    def _value(self, told: Any, found: Named) -> Any:
        if not isinstance(told, dict):
            raise Broken("bad-value")
        kind = found.kind
        if kind == "CodeableConcept":
            return self._concept(told, found.element)
        if kind == "Reference":
            return self._reference(told, found.element)
        if kind == "Coding":
            return self._coding_value(told, found.element)
        made = self.part(told, parts()[kind])
        special = SPECIAL.get(kind)
        if special is None:
            return made
        made = special(made, told, self.lost, self._kind)
        if broken(kind, made):  # without its code, an age is none
            raise Broken("unit")
        return made

    def _concept(self, told: Json, element: Element) -> dict[str, Any]:
        made: dict[str, Any] = {}
        where = self._where
        codings = told.get("coding")
        kept, words, depth = [], "", self._depth
        for number, each in enumerate(codings if isinstance(codings, list) else [codings] if codings else []):
            self._depth = depth
            try:
                kept.append(self._coding(each))
            except Broken as problem:
                if is_blank(each):
                    continue
                self.lost.append(Lost(problem.reason, f"coding[{number}]"))
                words = words or words_of(each)
        if kept:
            made["coding"] = kept
        if PRIMITIVES["string"](told.get("text")):
            made["text"] = told["text"]
        elif words and not kept:
            made["text"] = words  # what was said, as words: it is no code of the system that it names
        self._where = where
        if "extension" in told and (carried := self._extensions(told["extension"], must=False, nested=False)):
            made["extension"] = carried
        if not made:
            raise Broken("blank" if all(map(is_blank, codings if isinstance(codings, list) else ())) else "empty")
        if element.codes and not any(f"{c.get('system')}|{c.get('code')}" in element.codes for c in kept):
            raise Broken("code")
        return made

    def _coding(self, told: Any, *, label: bool = False) -> dict[str, Any]:
        if not isinstance(told, dict):
            raise Broken("bad-value")
        made = self.part(told, parts()["Coding"])
        system = made.get("system")
        if system is not None and (not is_absolute(system) or "/ValueSet/" in system):
            raise Broken("relative-system")
        if not label and system is not None and not is_known(system, made.get("code", "")):
            raise Broken("code")
        if system == UCUM and "code" in made and not is_unit(made["code"]):
            raise Broken("unit")
        if system is not None and "display" in made and system.startswith(_WITH_OWN_WORDS):
            del made["display"]  # HL7's own words for its codes are the only ones that are valid
        return made

    def label(self, told: Any) -> dict[str, Any]:
        """Clean a security label. Raises `Broken`: without it, others might see what they must not."""
        try:
            return self._coding(told, label=True)
        except Broken:
            raise Broken("security-label", "meta.security") from None

    def tag(self, told: Any) -> dict[str, Any] | None:
        """Clean a tag; `None` where it is broken."""
        try:
            return self._coding(told)
        except Broken as problem:
            self.lost.append(Lost(problem.reason, "meta.tag"))
            return None

    def _reference(self, told: Json, element: Element) -> dict[str, Any]:
        written = told.get("reference")
        made: dict[str, Any] = {}
        stranger = False
        if isinstance(written, str) and written.strip():
            if written.startswith("#"):
                if written[1:] not in self._contained:
                    raise Broken("dangling")
                self._used.add(written[1:])
                made["reference"] = written
            else:
                found = self._naming.reach(written.strip(), self._subject)
                if element.targets and found.kind and found.kind not in element.targets:
                    raise Broken("target")
                made.update(found.written)
                stranger = found.stranger
        elif isinstance(told.get("type"), str) and told["type"] in resources():
            made["type"] = told["type"]
            stranger = told["type"] == "Patient"
        if not stranger:
            if "identifier" not in made and isinstance(told.get("identifier"), dict):
                made["identifier"] = identifier(self.part(told["identifier"], parts()["Identifier"]))
            if PRIMITIVES["string"](told.get("display")):
                made["display"] = told["display"]
        if "extension" in told and (carried := self._extensions(told["extension"], must=False, nested=False)):
            made["extension"] = carried
        if not made:
            raise Broken("empty")
        return made

    def _extensions(self, told: Any, *, must: bool, nested: bool) -> list[dict[str, Any]]:
        kept, where = [], self._where
        for number, each in enumerate(told if isinstance(told, list) else [told]):
            if each in _EMPTY:
                continue
            self._where = where
            before, depth = len(self.lost), self._depth
            try:
                kept.append(self._extension(each, nested=nested))
            except Broken as problem:
                if must:
                    raise Broken("unknown-modifier", f"modifierExtension[{number}]") from None
                self._depth = depth
                del self.lost[before:]
                self.lost.append(Lost(problem.reason, f"extension[{number}]"))
        return kept

    def _extension(self, told: Any, *, nested: bool) -> dict[str, Any]:
        if not isinstance(told, dict) or not isinstance(told.get("url"), str):
            raise Broken("extension")
        url = told["url"]
        if not nested and not is_absolute(url):
            raise Broken("extension")
        if _OTHER_VERSION.match(url):
            raise Broken("other-version")
        where = self._where
        made = self.part(told, parts()["Extension"])
        if ("extension" in made) == any(name.lstrip("_").startswith("value") for name in made):
            raise Broken("extension")
        if not nested and not fits(made, where):
            raise Broken("extension")
        return made

    def _coding_value(self, told: Json, element: Element) -> dict[str, Any]:
        made = self._coding(told)
        if element.codes and f"{made.get('system')}|{made.get('code')}" not in element.codes:
            raise Broken("code")
        return made


_OF_RESOURCES: Final = frozenset({"resourceType", "meta", "implicitRules", "language", "text", "contained"})
_IN_PATIENT: Final[Mapping[str, tuple[str, ...]]] = {"Patient": ("link",)}
_ADDRESSES: Final = frozenset({"uri", "url", "canonical"})
_WITH_OWN_WORDS: Final = ("http://terminology.hl7.org/", "http://hl7.org/fhir/")

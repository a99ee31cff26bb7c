"""Tokens: a code in a system (FHIR R4, 3.1.1.4.10). Codes and systems are compared letter by letter, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mappers.search.places import Place
from mappers.search.texts import folded
from mappers.search.told import cut, plain
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["codes_of", "compile_token", "token_test"]

_SPECIAL: Final = "http://terminology.hl7.org/CodeSystem/special-values"
Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: codes of any system, codes of one ("" is none), and whole systems."""

    codes: frozenset[str]
    pairs: frozenset[Code]
    systems: frozenset[str]

    def has(self, system: str, code: str) -> bool:
        return code in self.codes or (system, code) in self.pairs or system in self.systems


def _read(values: Sequence[str]) -> _Wanted:
    codes, pairs, systems = set(), set(), set()
    for value in values:
        parts = [plain(part) for part in cut(value, "|")]
        if len(parts) > 2 or not any(parts):
            raise Unsearchable("value", "A token is told as code, system|code, |code or system|.")
        if len(parts) == 1:
            codes.add(parts[0])
        elif not parts[1]:
            systems.add(parts[0])
        else:
            pairs.add((parts[0], parts[1]))
    return _Wanted(frozenset(codes), frozenset(pairs), frozenset(systems))


def codes_of(place: Place, value: Any) -> Iterator[Code]:
    """Yield (system, code) of what was found at a place; the system is "" where there is none."""
    if place.type == "CodeableConcept":
        coding = value.get("coding") if isinstance(value, dict) else None
        for each in coding if isinstance(coding, list) else ():
            if isinstance(each, dict):
                yield _word(each.get("system")), _word(each.get("code"))
    elif place.type == "Coding":
        if isinstance(value, dict):
            yield _word(value.get("system")), _word(value.get("code"))
    elif place.type in ("Identifier", "ContactPoint"):
        if isinstance(value, dict):
            yield _word(value.get("system")), _word(value.get("value"))
    elif isinstance(value, bool):
        yield _SPECIAL, "true" if value else "false"
    elif isinstance(value, str):
        yield place.extra, value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def compile_token(places: Sequence[Place], modifier: str, values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test for tokens. Raises `Unsearchable` for another modifier, and for what is no token."""
    if modifier == "text":
        return _by_text(places, values)
    if modifier == "of-type":
        return _of_type(places, values)
    if modifier not in ("", "not"):
        raise Unsearchable("modifier", "A token has the modifiers :not, :text, :of-type (identifiers) and :missing.")
    test = token_test(places, values)
    return test if modifier == "" else lambda resource: not test(resource)


def token_test(places: Sequence[Place], values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test whether any code at any of the places is one of those that are asked for."""
    wanted = _read(values)
    tests = [_exists(wanted) if place.type == "exists" else _at(place, wanted) for place in places]
    return tests[0] if len(tests) == 1 else lambda resource: any(test(resource) for test in tests)


def _at(place: Place, wanted: _Wanted) -> Callable[[Resource], bool]:
    get, has = place.get, wanted.has
    if place.type == "code":
        values = set(wanted.codes) | {code for system, code in wanted.pairs if system == place.extra}
        whole = place.extra in wanted.systems

        def is_one(resource: Resource) -> bool:
            return any(isinstance(value, str) and (value in values or whole) for value in get(resource))

        return is_one

    def has_one(resource: Resource) -> bool:
        for value in get(resource):
            for system, code in codes_of(place, value):
                if (code or system) and has(system, code):
                    return True
        return False

    return has_one


def _exists(wanted: _Wanted) -> Callable[[Resource], bool]:
    """Patient.deceased: dead at a time, or just dead; nothing told is "false" (SearchParameter Patient-deceased)."""

    def matches(resource: Resource) -> bool:
        dead = resource.get("deceasedBoolean") is True or isinstance(resource.get("deceasedDateTime"), str)
        return wanted.has(_SPECIAL, "true" if dead else "false")

    return matches


def _by_text(places: Sequence[Place], values: Sequence[str]) -> Callable[[Resource], bool]:
    starts = tuple(folded(plain(value)) for value in values)

    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                if any(folded(text).startswith(starts) for text in _texts(place, value)):
                    return True
        return False

    return matches


def _texts(place: Place, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    concept = value.get("type") if place.type == "Identifier" else value
    if isinstance(concept, dict):
        coding = concept.get("coding") if place.type == "CodeableConcept" else None
        shown = [each.get("display") for each in coding if isinstance(each, dict)] if isinstance(coding, list) else []
        for text in (concept.get("text"), concept.get("display") if place.type == "Coding" else None, *shown):
            if isinstance(text, str):
                yield text


def _of_type(places: Sequence[Place], values: Sequence[str]) -> Callable[[Resource], bool]:
    if any(place.type != "Identifier" for place in places):
        raise Unsearchable("modifier", "The modifier :of-type is for identifiers.")
    wanted = {tuple(plain(part) for part in cut(value, "|")) for value in values}
    if any(len(parts) != 3 or not all(parts) for parts in wanted):
        raise Unsearchable("value", "The modifier :of-type takes system|code|value.")

    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                kind = value.get("type") if isinstance(value, dict) else None
                concept = Place(place.get, "CodeableConcept")
                for system, code in codes_of(concept, kind):
                    if (system, code, value.get("value")) in wanted:
                        return True
        return False

    return matches

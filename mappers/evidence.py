"""What in a resource proves, or disproves, that another one tells the same: identifiers, links, place and method."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from mappers.codes import codings
from mappers.elements import items, objects, reference, text
from mappers.facts import Origin

__all__ = ["NOTHING", "Evidence", "codes_of", "evidence_in", "inner_resource"]

Pair = tuple[str, str]


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What one resource, or a statement contained in it, tells of itself.

    Parameters
    ----------
    identifiers
        System and value of its business identifiers; those without a system prove nothing and are left out.
    linked
        The resources that it names as its members, parts or predecessors ("Observation/7").
    site, method
        Codes of where on the body and how; two that differ contradict each other.
    """

    identifiers: frozenset[Pair] = frozenset()
    linked: frozenset[str] = frozenset()
    site: frozenset[Pair] = frozenset()
    method: frozenset[Pair] = frozenset()

    def contradicts(self, other: Evidence) -> bool:
        """Say whether both tell a place or a method, and not the same."""
        pairs = ((self.site, other.site), (self.method, other.method))
        return any(mine and theirs and not mine & theirs for mine, theirs in pairs)


NOTHING: Final = Evidence()
_NONE: Final[frozenset[Pair]] = frozenset()


class _Told(msgspec.Struct, gc=False):
    """The elements that are looked at; all versions of FHIR write them under these names."""

    identifier: Any = None
    hasMember: Any = None  # noqa: N815 - FHIR's name
    derivedFrom: Any = None  # noqa: N815
    partOf: Any = None  # noqa: N815
    result: Any = None
    related: Any = None
    bodySite: Any = None  # noqa: N815
    method: Any = None
    contained: Any = None
    entry: Any = None


_read = msgspec.json.Decoder(_Told)
_INSIDE: Final = re.compile(r"(?:entry\[(\d+)\]\.resource\.ofType\(\w*\)\.?)?(?:contained\[(\d+)\])?")


def evidence_in(raw: bytes, origin: Origin) -> Evidence:
    """Read the evidence in a resource, or in what is contained in it where the origin's path says so."""
    try:
        told = _read.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING
    place = _INSIDE.match(origin.path)
    for element, number in (("entry", place and place[1]), ("contained", place and place[2])):
        if number is not None:
            inside = items(getattr(told, element))
            part: Any = inside[int(number)] if int(number) < len(inside) else None
            try:
                told = msgspec.convert(part.get("resource") if element == "entry" else part, _Told)
            except (msgspec.ValidationError, AttributeError):
                return NOTHING
    return _evidence(told)


def inner_resource(path: str) -> str:
    """Return the part of a path that names a resource inside another one: contained, or an entry of a document."""
    if not path.startswith(("contained[", "entry[")):
        return ""
    place = _INSIDE.match(path)
    return place[0] if place else ""


def _evidence(told: _Told) -> Evidence:
    identifiers, linked = frozenset(_identifiers(told.identifier)), frozenset(_links(told))
    site, method = told.bodySite, told.method
    if not (identifiers or linked or site or method):
        return NOTHING
    return Evidence(identifiers, linked, _codes(site) if site else _NONE, _codes(method) if method else _NONE)


def _identifiers(told: Any) -> Iterator[Pair]:
    if told is None:
        return
    for each in objects(told):
        system, value = text(each.get("system")), text(each.get("value"))
        if system and value:
            yield system, value


def _links(told: _Told) -> Iterator[str]:
    """List what is linked; what STU3 calls `related` names its target beside a type (has-member, replaces …)."""
    for element in (told.hasMember, told.derivedFrom, told.partOf, told.result):
        if element is not None:
            yield from _relative(element)
    if told.related is not None:
        yield from _relative([each.get("target") for each in objects(told.related)])


def _relative(told: Any) -> Iterator[str]:
    """Write references as "Type/id"; one of another server keeps its last two parts, and proves within one source."""
    for each in objects(told):
        parts = reference(each).partition("/_history/")[0].rsplit("/", 2)
        if len(parts) > 1:
            yield "/".join(parts[-2:])


def _codes(told: Any) -> frozenset[Pair]:
    concepts: Iterable[Any] = items(told)
    return frozenset((coding.system, coding.code) for concept in concepts for coding in codings(concept))


def codes_of(resource: Mapping[str, Any]) -> frozenset[Pair]:
    """List what a resource is coded as: all that one which was entered in error may still say of itself."""
    return _codes(resource.get("code"))

"""What FHIR R4 demands of the types that we show: elements, how often, of which types, with which codes and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from mappers.rows import read_table

__all__ = ["SHARED", "SPARE", "Element", "Named", "Part", "parts", "resources"]

SHARED: Final = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Endpoint", "Medication"}
)
"""Types that are shown though they belong to nobody: they say nothing about any patient."""

SPARE: Final = frozenset({
    "Identifier", "Reference", "Annotation", "ContactPoint", "Address", "HumanName", "Attachment", "Extension",
    "Signature", "RelatedArtifact", "string", "markdown", "uri", "url", "canonical", "id", "instant", "base64Binary",
    "Encounter.participant", "Encounter.statusHistory", "Encounter.classHistory", "Patient.contact",
    "Patient.communication", "DiagnosticReport.media", "Organization.contact",
})  # fmt: skip
"""What may be left out where it is broken and nothing demands it, for what is left says no other thing than before.

Never a value, a time of what happened, a dose, a number, a truth, a concept, nor what changes the meaning (a modifier).
"""

_STRICT: Final = (
    *("Age", "Consent.provision", "Consent.verification", "Dosage", "Duration", "Money", "Period", "Quantity", "Range"),
    *("Ratio", "SampledData", "Timing"),
)
"""Parts of which nothing is spare: they say what they say as a whole."""

_KEPT: Final = frozenset(  # whatever their type
    {"status", "intent", "priority", "category", "effect", "value", "conclusion", "description", "detail", "summary"}
)
_WITH_MODIFIERS: Final = frozenset({"Dosage", "Timing"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element; `codes` are those of a required binding, `targets` the types that a Reference may lead to."""

    name: str
    types: tuple[str, ...]
    many: bool
    modifier: bool
    required: bool
    choice: bool
    codes: frozenset[str]
    targets: frozenset[str]

    @property
    def named(self) -> tuple[str, ...]:
        """List its names in JSON; none for what may have any type."""
        return () if self.types == ("any",) else tuple(json for json, _ in _names(self))

    @property
    def spare(self) -> bool:
        """Say whether the resource says the same without it."""
        return (
            not (self.modifier or self.required or self.choice)
            and self.types[0] in SPARE
            and self.name not in _KEPT
            and not self.name.endswith("Status")
        )


@dataclass(frozen=True, slots=True)
class Named:
    """An element under one of its names in JSON, with the type that this name tells."""

    element: Element
    kind: str
    primitive: bool
    spare: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A resource, a part of one, or a data type."""

    name: str
    named: Mapping[str, Named]
    required: tuple[tuple[str, ...], ...]  # for each element that has to be there, its names in JSON
    resource: bool
    modifiable: bool


@cache
def resources() -> frozenset[str]:
    """Name the types that can be shown."""
    return frozenset(name for name, part in parts().items() if part.resource)


@cache
def parts() -> Mapping[str, Part]:
    """Read the table, once."""
    found: dict[str, Part] = {}
    table = read_table("shown_r4")
    kinds = list(table)
    first_type = kinds.index("Address")  # with it begin the data types
    for number, told in enumerate(table.values()):
        for line in told.replace("\n  ", " ").strip().splitlines():
            name, *elements = line.split()
            found[name] = _part(name, [_element(each) for each in elements], resource=number < first_type)
    values = found["Extension"].named["value"].element
    kinds_of_value = [kind for kind in (*_PRIMITIVES, *found) if kind[:1].islower() or _may_be_value(found, kind)]
    any_value = {f"value{kind[0].upper()}{kind[1:]}": _named(values, kind) for kind in kinds_of_value}
    found["Extension"] = _part("Extension", [found["Extension"].named["url"].element], resource=False, more=any_value)
    return found


_PRIMITIVES: Final = (
    *("base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer"),
    *("markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid"),
)


def _may_be_value(found: Mapping[str, Part], kind: str) -> bool:
    return "." not in kind and not found[kind].resource and kind not in ("Extension", "Narrative")


def _part(name: str, elements: list[Element], *, resource: bool, more: Mapping[str, Named] | None = None) -> Part:
    strict = name.startswith(_STRICT)
    named = {json: _named(each, kind, strict=strict) for each in elements for json, kind in _names(each)}
    named |= more or {}
    required = tuple(tuple(json for json, _ in _names(each)) for each in elements if each.required)
    is_whole = resource and "." not in name
    return Part(name, named, required, is_whole, resource or name.partition(".")[0] in _WITH_MODIFIERS)


def _named(element: Element, kind: str, *, strict: bool = False) -> Named:
    return Named(element, kind, kind[:1].islower(), element.spare and not strict)


def _names(element: Element) -> list[tuple[str, str]]:
    if not element.choice or element.types == ("any",):
        return [(element.name, element.types[0])]
    return [(f"{element.name}{kind[0].upper()}{kind[1:]}", kind) for kind in element.types]


def _element(told: str) -> Element:
    name, _, rest = told.partition(":")
    rest, _, targets = rest.partition("@")
    types, _, codes = rest.partition("=")
    stem = name.rstrip("*!+")
    flags = name[len(stem) :]
    return Element(
        name=stem.removesuffix("[x]"),
        types=tuple(types.split(",")),
        many="*" in flags,
        modifier="!" in flags,
        required="+" in flags,
        choice=stem.endswith("[x]"),
        codes=frozenset(codes.split(",")) if codes else frozenset(),
        targets=frozenset(targets.split(",")) if targets else frozenset(),
    )

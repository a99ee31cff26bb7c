"""What is asked of the audit log: criteria, each with values of which an event has to have one.

Values are written as FHIR searches write tokens and references (R4, 3.1.1.4.10 and 3.1.1.4.12): "code", "system|code",
"|code" (without a system), "system|" (anything of that system); "Observation/12" (any version of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from security.audit.traits import PATIENT_ROLE, REQUEST_ID, TRAITS, Trait, TraitKind, patient_of, unversioned

__all__ = ["ASPECTS", "EVERYTHING", "Aspect", "Criterion", "Span", "is_meant", "recorded"]

Aspect = Literal[
    "patient",
    "actor",
    "agent",
    "purpose",
    "outcome",
    "type",
    "subtype",
    "source",
    "address",
    "address-begins",
    "entity",
    "identifier",
    "entity-type",
    "entity-role",
    "request",
    "what",
]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
"""patient: a twin. actor: who asked. agent: anybody who took part. what: type or subtype of the event.
identifier: of anything that it was about."""

# Under which traits the index has it; none for what it has not, so that every event in the span has to be opened.
_TRAITS: Mapping[Aspect, tuple[TraitKind, ...]] = {
    **{kind: (kind,) for kind in TRAITS},
    "actor": ("agent",),
    "what": ("type", "subtype"),
    "identifier": ("identifier", "request"),
    "address-begins": (),
}
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Span:
    """Instants that an event may have been recorded at: from `since` on and before `until`; `None` is unbounded."""

    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, when: datetime) -> bool:
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)

    def within(self, other: Span) -> Span:
        """Return what two spans have in common."""
        sinces = [s for s in (self.since, other.since) if s is not None]
        untils = [u for u in (self.until, other.until) if u is not None]
        return Span(max(sinces, default=None), min(untils, default=None))


EVERYTHING = Span()


@dataclass(frozen=True, slots=True)
class Criterion:
    """An event has to have, of one aspect, one of several values. Raises `ValueError` for an empty one."""

    aspect: Aspect
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(value.strip("|") for value in self.values):
            raise ValueError("a criterion has values")

    def traits(self) -> list[Trait] | None:
        """List the traits of which each event that is meant has one; `None` where the index cannot tell."""
        found: list[Trait] = []
        for value in self.values:
            _system, bar, code = value.rpartition("|")
            if bar and not code:
                return None
            whole = self.aspect in ("entity", "address")
            found += [_trait(kind, value if whole else code) for kind in _TRAITS[self.aspect]]
        return found or None

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Say whether an opened event is meant."""
        if self.aspect == "entity":
            return any(_is_reference(told, value) for told in _references(event) for value in self.values)
        if self.aspect == "address":
            return any(address in self.values for address in _addresses(event))
        if self.aspect == "address-begins":
            begins = tuple(value.casefold() for value in self.values)
            return any(address.casefold().startswith(begins) for address in _addresses(event))
        return any(
            _is_token(system, code, value) for system, code in _TOKENS[self.aspect](event) for value in self.values
        )


def recorded(event: Mapping[str, Any]) -> datetime | None:
    """Read when an event was recorded; `None` where it does not say."""
    try:
        when = datetime.fromisoformat(event.get("recorded", ""))
    except (TypeError, ValueError):
        return None
    return when.astimezone(UTC) if when.tzinfo else None


def is_meant(event: Mapping[str, Any], criteria: Iterable[Criterion], span: Span) -> bool:
    """Say whether an opened event meets all criteria, and was recorded in a span."""
    if span != EVERYTHING:
        when = recorded(event)
        if when is None or when not in span:
            return False
    return all(criterion.holds(event) for criterion in criteria)


def _trait(kind: TraitKind, value: str) -> Trait:
    if kind == "entity":
        patient = patient_of(value)
        return ("patient", patient) if patient else ("entity", unversioned(value))
    return kind, value


def _is_token(system: str, code: str, value: str) -> bool:
    wanted_system, bar, wanted = value.rpartition("|")
    if not bar:
        return code == wanted
    return system == wanted_system and (not wanted or code == wanted)


def _is_reference(told: str, value: str) -> bool:
    return told == value or unversioned(told) == value


Tokens = Iterator[tuple[str, str]]


def _coding(coding: Mapping[str, Any]) -> tuple[str, str]:
    return coding.get("system", ""), coding.get("code", "")


def _name(who: Mapping[str, Any]) -> Tokens:
    if "identifier" in who:
        yield who["identifier"].get("system", ""), who["identifier"].get("value", "")


def _entities(event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    found: Iterable[Mapping[str, Any]] = event.get("entity", ())
    return found


def _references(event: Mapping[str, Any]) -> Iterator[str]:
    return (e["what"]["reference"] for e in _entities(event) if "reference" in e.get("what", _NONE))


def _addresses(event: Mapping[str, Any]) -> Iterator[str]:
    return (agent["network"].get("address", "") for agent in event.get("agent", ()) if "network" in agent)


def _patients(event: Mapping[str, Any]) -> Tokens:
    for reference in _references(event):
        if patient := patient_of(reference):
            yield "urn:fhirtwin:twin", patient
    for entity in _entities(event):
        if entity.get("role", _NONE).get("code") == PATIENT_ROLE:
            yield from _name(entity.get("what", _NONE))


def _agents(event: Mapping[str, Any]) -> Tokens:
    for agent in event.get("agent", ()):
        yield from _name(agent.get("who", _NONE))


def _actors(event: Mapping[str, Any]) -> Tokens:
    for agent in event.get("agent", ()):
        if agent.get("requestor") is True:
            yield from _name(agent.get("who", _NONE))


def _purposes(event: Mapping[str, Any]) -> Tokens:
    return (_coding(c) for purpose in event.get("purposeOfEvent", ()) for c in purpose.get("coding", ()))


def _types(event: Mapping[str, Any]) -> Tokens:
    yield _coding(event.get("type", _NONE))


def _subtypes(event: Mapping[str, Any]) -> Tokens:
    return (_coding(coding) for coding in event.get("subtype", ()))


def _requests(event: Mapping[str, Any]) -> Tokens:
    for entity in _entities(event):
        if entity.get("type", _NONE).get("code") == REQUEST_ID:
            yield from _name(entity.get("what", _NONE))


_TOKENS = {
    "patient": _patients,
    "actor": _actors,
    "agent": _agents,
    "purpose": _purposes,
    "outcome": lambda event: iter([(_OUTCOME, event.get("outcome", ""))]),
    "type": _types,
    "subtype": _subtypes,
    "what": lambda event: (*_types(event), *_subtypes(event)),
    "source": lambda event: _name(event.get("source", _NONE).get("observer", _NONE)),
    "identifier": lambda event: (token for entity in _entities(event) for token in _name(entity.get("what", _NONE))),
    "entity-type": lambda event: (_coding(entity.get("type", _NONE)) for entity in _entities(event)),
    "entity-role": lambda event: (_coding(entity["role"]) for entity in _entities(event) if "role" in entity),
    "request": _requests,
}
_OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"

"""By what an event of the audit log may be found: its patient, people, systems, purpose, outcome, kind and things.

A trait is a kind and a value; the store keeps keyed hashes of them (security.blind), so that a stolen file tells which
events share something, and not what. A trait only leads to events that are then opened and compared
(`security.audit.search`): a code stands without its system, an identifier without its system, and a reference without
its version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["PATIENT_ROLE", "REQUEST_ID", "TRAITS", "Trait", "TraitKind", "patient_of", "traits", "unversioned"]

TraitKind = Literal[
    "patient",
    "agent",
    "purpose",
    "outcome",
    "type",
    "subtype",
    "source",
    "address",
    "entity",
    "identifier",
    "entity-type",
    "entity-role",
    "request",
]
TRAITS: tuple[TraitKind, ...] = (
    *("patient", "agent", "purpose", "outcome", "type", "subtype", "source", "address", "entity"),
    *("identifier", "entity-type", "entity-role", "request"),
)
"""patient: a twin id. agent: a person or a system that took part. source: the system that recorded it. address: of an
agent. entity: a reference to what it was about, other than a patient. identifier: of what is no resource. request:
X-Request-Id."""

Trait = tuple[TraitKind, str]

PATIENT_ROLE = "1"  # http://terminology.hl7.org/CodeSystem/object-role
REQUEST_ID = "XrequestId"  # a code of BALP's BasicAuditEntityType

_NONE: Mapping[str, Any] = {}


def traits(event: Mapping[str, Any]) -> set[Trait]:
    """List the traits of one event. A part that an event lacks gives none."""
    found: set[Trait] = {("outcome", event.get("outcome", "")), ("type", event.get("type", _NONE).get("code", ""))}
    for coding in event.get("subtype", ()):
        found.add(("subtype", coding.get("code", "")))
    for purpose in event.get("purposeOfEvent", ()):
        for coding in purpose.get("coding", ()):
            found.add(("purpose", coding.get("code", "")))
    found.add(("source", _identifier(event.get("source", _NONE).get("observer", _NONE))))
    for agent in event.get("agent", ()):
        found.add(("agent", _identifier(agent.get("who", _NONE))))
        if "network" in agent:
            found.add(("address", agent["network"].get("address", "")))
    for entity in event.get("entity", ()):
        what, kind = entity.get("what", _NONE), entity.get("type", _NONE).get("code", "")
        found.add(("entity-type", kind))
        if "role" in entity:
            found.add(("entity-role", entity["role"].get("code", "")))
        if "reference" in what:
            patient = patient_of(what["reference"])
            found.add(("patient", patient) if patient else ("entity", unversioned(what["reference"])))
        if "identifier" in what:
            name = _identifier(what)
            found.add(("request" if kind == REQUEST_ID else "identifier", name))
            if "role" in entity and entity["role"].get("code") == PATIENT_ROLE:
                found.add(("patient", name))
    return {trait for trait in found if trait[1]}


def unversioned(reference: str) -> str:
    """Return a reference without the version that it names."""
    return reference.partition("/_history/")[0]


def patient_of(reference: str) -> str:
    """Return the id of the patient that a relative reference leads to; "" where it leads to something else."""
    return unversioned(reference).removeprefix("Patient/") if reference.startswith("Patient/") else ""


def _identifier(who: Mapping[str, Any]) -> str:
    value = who.get("identifier", _NONE).get("value", "")
    return value if isinstance(value, str) else ""

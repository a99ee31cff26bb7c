"""US Core where the target says so: what its profiles ask for beyond R4, and `meta.profile` on what conforms only.

US Core 6.1 has profiles for three of the types that we write. Its vital-sign and laboratory profiles are left alone on
purpose: each demands the category by which an EHR fills its flowsheets and lists of results, and nothing that was
simulated may stand among what was measured. A document gets our category, not "clinical-note", by which it would stand
among the notes of clinicians; its type, which has to be of LOINC or "unknown", is the latter with our words, for we
know no code of LOINC for what a simulation found. RiskAssessment, DetectedIssue, Flag and Communication have no profile
in it, and that of Device is for implants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from mappers.outbound.shape import Resource

__all__ = ["PROFILES", "claim", "unmet"]

_BASE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/"
_OBSERVATION: Final = f"{_BASE}us-core-simple-observation"
_PROVENANCE: Final = f"{_BASE}us-core-provenance"
_DOCUMENT: Final = f"{_BASE}us-core-documentreference"

PROFILES: Final = frozenset({_OBSERVATION, _PROVENANCE, _DOCUMENT})
"""The profiles of US Core 6.1.0 that something we write can conform to, without a version."""

# Observation.category is 1..* in it, with an open slice for US Core's own; ours keeps it out of all lists of results.
_SIMULATED: Final = {"coding": [{"system": "urn:fhirtwin:category", "code": "simulated"}], "text": "Simulated"}
_UNKNOWN: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK"}


def claim(resource: Resource, supported: Collection[str], organization: str) -> Resource:
    """Give a resource what the target's profile of it asks for, and the claim; unchanged where it cannot conform.

    Parameters
    ----------
    supported
        The profiles that the target says it supports, without a version.
    organization
        Reference to the Organization in the target on whose behalf we write; without one no Provenance conforms, for a
        Device acts for somebody (invariant provenance-1).
    """
    kind = resource["resourceType"]
    if kind == "Observation" and _OBSERVATION in supported:
        return _with_profile(resource | {"category": [_SIMULATED]}, _OBSERVATION)
    if kind == "DocumentReference" and _DOCUMENT in supported:
        typed = resource["type"] | {"coding": [_UNKNOWN]}
        return _with_profile(resource | {"type": typed, "category": [_SIMULATED]}, _DOCUMENT)
    if kind == "Provenance" and _PROVENANCE in supported and organization:
        agents = [agent | {"onBehalfOf": {"reference": organization}} for agent in resource["agent"]]
        return _with_profile(resource | {"agent": agents}, _PROVENANCE)
    return resource


def unmet(resource: dict[str, Any]) -> Iterator[str]:
    """Name the elements for want of which a resource does not conform to the profiles that it claims."""
    for profile in resource.get("meta", {}).get("profile", []):
        match profile:
            case _ if profile == _OBSERVATION and resource.get("resourceType") == "Observation":
                yield from (name for name in ("status", "category", "code", "subject") if not resource.get(name))
            case _ if profile == _PROVENANCE and resource.get("resourceType") == "Provenance":
                agents = resource.get("agent", [])
                yield from (name for name in ("target", "recorded", "agent") if not resource.get(name))
                yield from (f"agent.{at}.onBehalfOf" for at, each in enumerate(agents) if not each.get("onBehalfOf"))
            case _ if profile == _DOCUMENT and resource.get("resourceType") == "DocumentReference":
                needed = ("status", "type", "category", "subject", "content")
                yield from (name for name in needed if not resource.get(name))
                if not resource.get("type", {}).get("coding"):
                    yield "type.coding"
            case _:
                yield "meta.profile"


def _with_profile(resource: Resource, profile: str) -> Resource:
    return resource | {"meta": resource["meta"] | {"profile": [profile]}}

"""Which facts of a twin hold: the facts of all its resources, each statement once, what was withdrawn left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from mappers import Unreadable, as_fhir_version, read_json
from mappers.duplicates import Copies, Overruled, Settled, Void, settle
from mappers.evidence import NOTHING, Evidence, codes_of, evidence_in
from mappers.facts import Fact, Origin
from mappers.withdrawn import falls_with, is_error, said_in_error

if TYPE_CHECKING:
    from gateway.store.values import StoredResource

__all__ = ["settled"]


def settled(resources: Iterable[StoredResource]) -> Settled:
    """Settle what the resources of one twin say; see `mappers.duplicates`."""
    facts: list[Fact] = []
    voids: list[Void] = []
    fallen: list[Overruled] = []
    kept: dict[tuple[str, str], bytes] = {}
    for resource in resources:
        kept[resource.source, resource.key] = resource.raw
        errors = [refusal for refusal in resource.refusals if is_error(refusal)]
        if not errors:
            facts += resource.facts
            continue
        wrong = [refusal.origin.path for refusal in errors]
        for fact in resource.facts:  # what stands inside falls with it
            if falls_with(fact.origin.path, wrong):
                fallen.append(Overruled(fact, "withdrawn", errors[0].origin))
            else:
                facts.append(fact)
        voids.append(_void(resource, errors[0].origin))

    def evidence(origin: Origin) -> Evidence:
        raw = kept.get((origin.source, origin.resource))
        return evidence_in(raw, origin) if raw else NOTHING

    found = settle(facts, Copies(evidence), voids)
    return msgspec.structs.replace(found, overruled=(*found.overruled, *fallen)) if fallen else found


def _void(resource: StoredResource, origin: Origin) -> Void:
    """Say what a resource would have said. A medicine that stands in another resource is not looked up for it."""
    version = as_fhir_version(resource.fhir_version)
    try:
        body = read_json(resource.raw) if version else {}
    except Unreadable:
        body = {}
    whole = Origin(origin.source, origin.type, origin.id, origin.version, origin.place)
    if version is None or not body:
        return Void(origin)
    return Void(origin, tuple(said_in_error(body, version, whole, {})), codes_of(body))

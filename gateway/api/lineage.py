"""Where what is shown comes from: a Provenance for each resource, made when somebody asks for it."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.shown import Shown
from gateway.store.showing import Received
from mappers.outbound.times import instant
from mappers.shown import system_of

__all__ = ["lineage_of"]

_SHA256: Final = "urn:fhirtwin:sha256"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def lineage_of(shown: Shown, id_: str, source: str, received: Received, sha256: str) -> dict[str, Any]:
    """Write who told a resource, when it came, and which bytes it was: the source, and never where that is."""
    who = {"identifier": {"system": "urn:fhirtwin:source", "value": system_of(source)}, "display": source}
    return {
        "resourceType": "Provenance",
        "id": id_,
        "meta": {
            "versionId": str(shown.version),
            "lastUpdated": instant(received.created),
            "source": system_of(source),
        },
        "target": [{"reference": shown.reference}],
        "recorded": instant(received.created),
        "agent": [{"type": {"coding": [{"system": _ROLE, "code": "author"}]}, "who": who}],
        "entity": [{"role": "source", "what": {"identifier": {"system": _SHA256, "value": sha256}}}],
    }

"""The CapabilityStatement of the API, made of what it offers: no more is told than is done, and no less.

FHIR R4, CapabilityStatement; SMART App Launch 2.2, 8.1.3 (the extension with the OAuth endpoints).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway import __version__
from gateway.api.audit_parameters import PARAMETERS, names
from gateway.api.call import Call, Offer, Reply
from gateway.api.searching import SEARCH
from gateway.home import now
from gateway.smart.places import Places

__all__ = ["Statement"]

_ORDER: Final = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_SYSTEM: Final = ("transaction", "batch", "search-system", "history-system")
_OAUTH: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SERVICE: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}],
    "text": "OAuth2 with SMART App Launch 2.2 and Backend Services",
}
_WRITTEN: Final = "Updates need If-Match. What an EHR sent is not changed; what an app wrote, that app may change."
_BULK: Final = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
_STARTED: Final = now()


class Statement:
    """Answers /metadata; `tell` says of what."""

    def __init__(self, base: str) -> None:
        self._base, self._places = base.rstrip("/"), Places(base.rstrip("/"))
        self._raw = b""

    async def metadata(self, call: Call) -> Reply:
        """Give it to everybody: it tells of nobody."""
        return Reply(body=self._raw, headers={"Cache-Control": "max-age=300", "Access-Control-Allow-Origin": "*"})

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What of it is offered."""
        return (
            Offer(
                method="GET",
                path="/metadata",
                interaction="capabilities",
                answer=self.metadata,
                event="none",
                everybody=True,
            ),
        )

    def tell(self, offers: Sequence[Offer]) -> None:
        """Make the statement of all offers."""
        self._raw = msgspec.json.encode(self._statement(offers))

    def _statement(self, offers: Sequence[Offer]) -> dict[str, Any]:
        types = sorted({type_ for offer in offers for type_ in offer.types})
        system = {offer.interaction for offer in offers if not offer.types}
        rest: dict[str, Any] = {
            "mode": "server",
            "documentation": "Each access is decided by scopes, roles and the patient's consents, and is recorded.",
            "security": {
                "extension": [{"url": _OAUTH, "extension": self._endpoints()}],
                "cors": True,
                "service": [_SERVICE],
            },
            "resource": [_of_type(type_, [offer for offer in offers if type_ in offer.types]) for type_ in types],
            "interaction": [{"code": code} for code in _SYSTEM if code in system],
        }
        if operations := _operations([offer for offer in offers if not offer.types]):
            rest["operation"] = operations
        told: dict[str, Any] = {
            "resourceType": "CapabilityStatement",
            "url": f"{self._base}/metadata",
            "version": __version__,
            "name": "Fhirtwin",
            "title": "The FHIR API of fhirtwin",
            "status": "active",
            "date": _STARTED.isoformat(timespec="seconds"),
            "publisher": "fhirtwin",
            "description": "Twins of patients, over the EHRs that know them, as FHIR R4.",
            "kind": "instance",
            "software": {"name": "fhirtwin", "version": __version__},
            "implementation": {"description": "A fhirtwin", "url": self._base},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json"],
            "rest": [rest],
        }
        if any(offer.name == "export" for offer in offers):
            told["instantiates"] = [_BULK]
        return told

    def _endpoints(self) -> list[dict[str, str]]:
        paths = {"authorize": "/auth/authorize", "token": "/auth/token", "manage": "/auth/manage"}
        return [{"url": name, "valueUri": self._places.at(path)} for name, path in paths.items()]


def _of_type(type_: str, offers: Sequence[Offer]) -> dict[str, Any]:
    done = {offer.interaction for offer in offers}
    told: dict[str, Any] = {"type": type_, "interaction": [{"code": code} for code in _ORDER if code in done]}
    writes = bool(done & {"create", "update"})
    told["versioning"] = "versioned-update" if "update" in done else "versioned" if "vread" in done else "no-version"
    if "vread" in done:
        told |= {"readHistory": True, "conditionalRead": "full-support"}
    told["updateCreate"] = False
    if writes:
        told |= {
            "documentation": _WRITTEN,
            "conditionalCreate": "create" in done,
            "conditionalUpdate": any(offer.method == "PUT" and "{id}" not in offer.path for offer in offers),
        }
    if type_ == "AuditEvent":
        told["searchParam"] = [
            {"name": name, "type": PARAMETERS[name].type, "documentation": PARAMETERS[name].said} for name in names()
        ]
    elif "search-type" in done:
        told |= {key: value for key, value in SEARCH[type_].items() if value}
    if operations := _operations(offers):
        told["operation"] = operations
    return told


def _operations(offers: Sequence[Offer]) -> list[dict[str, str]]:
    found = {offer.name: offer.definition for offer in offers if offer.interaction == "operation" and offer.definition}
    return [{"name": name, "definition": found[name]} for name in sorted(found)]

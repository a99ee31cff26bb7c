"""What we answer, told as FHIR tells it: no more than the routes that there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway import __version__
from gateway.api.audit_parameters import PARAMETERS, names

__all__ = ["capability_statement"]

_DEFINED = "http://hl7.org/fhir/SearchParameter/"
_BY_FHIR = ("date", "address", "patient", "entity", "entity-type", "entity-role", "type", "subtype", "outcome")


def capability_statement(base: str, since: datetime) -> dict[str, Any]:
    """Write the CapabilityStatement of the audit log's server at `base`, which runs since then.

    IHE's Audit Record Repository also takes events from others (ITI-20); ours does not, and so does not claim it.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": since.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "fhirtwin", "version": __version__},
        "implementation": {"description": "The audit log of a fhirtwin, for auditors", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Searches of IHE ITI-81, Retrieve ATNA Audit Event. Each one is recorded.",
                "security": {"description": "A bearer token for each auditor."},
                "resource": [
                    {
                        "type": "AuditEvent",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "versioning": "no-version",
                        "searchParam": [_parameter(name) for name in names()],
                    }
                ],
            }
        ],
    }


def _parameter(name: str) -> dict[str, str]:
    parameter = PARAMETERS[name]
    told = {"name": name, "type": parameter.type, "documentation": parameter.said}
    if name in _BY_FHIR:
        told["definition"] = f"{_DEFINED}AuditEvent-{name}"
    elif name.startswith("_"):
        told["definition"] = f"{_DEFINED}Resource-{name.removeprefix('_')}"
    return told

"""What the server says of itself: Conformance (DSTU2), CapabilityStatement (STU3 and later), smart-configuration.

True to what is mounted: interactions and search parameters come from the same tables that answer requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.hostile import wire
from conformance.hostile.bulk.habits import Level
from conformance.hostile.parameters import parameters_of
from conformance.hostile.smart import ALGORITHMS

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["capability_statement", "smart_configuration"]

# SMART App Launch, conformance.html: where a client that finds no .well-known looks.
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SERVICE = {
    "dstu2": "http://hl7.org/fhir/restful-security-service",
    "stu3": "http://hl7.org/fhir/restful-security-service",
}
_BULK = "http://hl7.org/fhir/uv/bulkdata"
_MODES = {  # DSTU2's way to tell which Bundles are taken
    frozenset(): "not-supported",
    frozenset({"batch"}): "batch",
    frozenset({"transaction"}): "transaction",
    frozenset({"batch", "transaction"}): "both",
}
# Resource type ("" for the server), name, definition. Up to STU3 all stand at the server.
_OPERATIONS = (
    ("", "export", f"{_BULK}/OperationDefinition/export"),
    ("Patient", "export", f"{_BULK}/OperationDefinition/patient-export"),
    ("Group", "export", f"{_BULK}/OperationDefinition/group-export"),
    ("Patient", "everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"),
)


def capability_statement(ehr: Ehr) -> dict[str, Any]:
    """Build the statement in the shape of the EHR's version."""
    settings, version = ehr.settings, ehr.version
    statement: dict[str, Any] = {
        "resourceType": version.statement,
        "status": "active",
        "date": wire.instant(ehr.started),
        "publisher": "fhirtwin conformance",
        "kind": "instance",
        "software": {"name": f"hostile EHR {settings.name}"},
        "implementation": {"description": "A simulated EHR that holds no real person", "url": ehr.base_url},
        "fhirVersion": version.number,
        "format": ["json", version.media_type],
        "rest": [_rest(ehr)],
    }
    if version.is_before_r4:  # required there, gone from R4 on
        statement["acceptUnknown"] = "both"
    else:
        statement["instantiates"] = [f"{_BULK}/CapabilityStatement/bulk-data"]
    return statement


def smart_configuration(ehr: Ehr) -> dict[str, Any]:
    """Build `.well-known/smart-configuration` (SMART App Launch 2.2.0 conformance.html#metadata)."""
    return {
        "token_endpoint": ehr.token_url,
        "token_endpoint_auth_methods_supported": list(ehr.smart.methods),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [
            *(["system/*.read", "system/*.write"] if "v1" in ehr.smart.versions else []),
            *(["system/*.rs", "system/*.cruds"] if "v2" in ehr.smart.versions else []),
        ],
        "response_types_supported": [],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", *(f"permission-{said}" for said in ehr.smart.versions)],
    }


def _rest(ehr: Ehr) -> dict[str, Any]:
    rest: dict[str, Any] = {"mode": "server"}
    if ehr.settings.require_auth:
        rest["security"] = {
            "extension": [
                {"url": _OAUTH_URIS, "extension": [{"url": "token", "valueUri": ehr.token_url}]},
            ],
            "service": [{"coding": [{"system": _service(ehr), "code": "SMART-on-FHIR"}]}],
        }
    rest["resource"] = [_resource(ehr, type_) for type_ in sorted(ehr.version.types)]
    if ehr.version.name == "dstu2":  # the code "batch" came with STU3, transactionMode went
        rest["transactionMode"] = _MODES[ehr.settings.bundles]
        said = ["transaction"] if ehr.settings.bundles else []
    else:
        said = [each for each in ("transaction", "batch") if each in ehr.settings.bundles]
    rest["interaction"] = [{"code": code} for code in (*said, "history-system")]
    told = _OPERATIONS if ehr.version.is_before_r4 else [each for each in _OPERATIONS if not each[0]]
    operations = [_operation(ehr, name, where) for type_, name, where in told if _is_mounted(ehr, type_, name)]
    if operations:
        rest["operation"] = operations
    return rest


def _is_mounted(ehr: Ehr, type_: str, name: str) -> bool:
    level: Level = "system" if not type_ else "patient" if type_ == "Patient" else "group"
    return name != "export" or level in ehr.settings.bulk.levels


def _operation(ehr: Ehr, name: str, definition: str) -> dict[str, Any]:
    """Name an operation: its definition is a Reference up to STU3, a canonical from R4 on."""
    return {"name": name, "definition": {"reference": definition} if ehr.version.is_before_r4 else definition}


def _service(ehr: Ehr) -> str:
    return _SERVICE.get(ehr.version.name, "http://terminology.hl7.org/CodeSystem/restful-security-service")


def _resource(ehr: Ehr, type_: str) -> dict[str, Any]:
    writes, updates = ehr.settings.takes(type_), ehr.settings.takes(type_, "u")
    codes = [
        "read",
        "vread",
        "history-instance",
        "history-type",
        "search-type",
        *(["create", *(["update"] if updates else []), "delete"] if writes else []),
    ]
    without = ehr.settings.without
    searched = [parameter for parameter in parameters_of(type_).values() if parameter.name not in without]
    told = [] if ehr.version.is_before_r4 else [each for each in _OPERATIONS if each[0] == type_]
    operations = [_operation(ehr, name, where) for _, name, where in told if _is_mounted(ehr, type_, name)]
    return {
        "type": type_,
        "interaction": [{"code": code} for code in codes],
        "versioning": "no-version"
        if not ehr.settings.tells_versions
        else "versioned-update"
        if updates
        else "versioned",
        "readHistory": True,
        "updateCreate": updates,
        "conditionalCreate": writes,
        "conditionalUpdate": updates,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": parameter.name, "type": parameter.kind} for parameter in searched],
        **({"operation": operations} if operations else {}),
    }

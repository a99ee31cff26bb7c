"""The last look at what leaves for an EHR: nothing that is not valid FHIR, or not labelled as simulated, goes out.

STU3 to R5 are checked with the classes of fhir.resources (its R4B classes are R4's for the types that we write). DSTU2
has none: its elements are held against the lists below, and the tests hold them against a server that we did not write.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir.resources.bundle import Bundle as BundleR5
from fhir.resources.R4B.bundle import Bundle as BundleR4B
from fhir.resources.STU3.bundle import Bundle as BundleSTU3
from pydantic import BaseModel, ValidationError

from mappers.outbound.names import AIAST, HYPOTHETICAL_TAG, SIMULATED_TAG
from mappers.outbound.us_core import unmet
from mappers.outbound.words import SIMULATED_RISK
from mappers.versions import FhirVersion
from security.errors import NotFhir

__all__ = ["check"]

_CLASSES: dict[str, type[BaseModel]] = {
    "stu3": BundleSTU3,
    "r4": BundleR4B,
    "r4b": BundleR4B,
    "r5": BundleR5,
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# DSTU2 (1.0.2) StructureDefinitions: the elements that must be there, and those that we may write.
_REQUIRED = {
    "Device": _names("type"),
    "Observation": _names("status code"),
    "RiskAssessment": _names(""),
    "Provenance": _names("target recorded"),
    "DetectedIssue": _names(""),
    "Flag": _names("status subject code"),
    "Communication": _names(""),
    "DocumentReference": _names("type indexed status content"),
    "Observation.component": _names("code"),
    "Observation.related": _names("target"),
    "RiskAssessment.prediction": _names("outcome"),
    "Communication.payload": _names("contentString"),
    "DocumentReference.content": _names("attachment"),
    "DocumentReference.relatesTo": _names("code target"),
    "Provenance.agent": _names("role"),
    "Provenance.entity": _names("role type reference"),
}
_ALLOWED = {
    "Device": _names("resourceType meta text identifier type note status manufacturer model version"),
    "Observation": _names(
        "resourceType meta text identifier status code subject effectiveDateTime issued valueQuantity comments method"
        " device component related"
    ),
    "RiskAssessment": _names(
        "resourceType meta text identifier subject date performer method basis prediction mitigation"
    ),
    "Provenance": _names("resourceType meta text target period recorded reason activity policy agent entity"),
    "DetectedIssue": _names("resourceType meta text identifier patient category severity detail date author"),
    "Flag": _names("resourceType meta text identifier category status period subject author code"),
    "Communication": _names("resourceType meta text identifier category status subject sent sender payload"),
    "DocumentReference": _names(
        "resourceType meta text identifier subject type author created indexed status docStatus relatesTo description"
        " content"
    ),
    "Observation.component": _names("code valueRange valuePeriod"),
    "Observation.related": _names("type target"),
    "RiskAssessment.prediction": _names("outcome probabilityDecimal whenPeriod rationale"),
    "Communication.payload": _names("contentString"),
    "DocumentReference.content": _names("attachment"),
    "DocumentReference.relatesTo": _names("code target"),
    "Provenance.agent": _names("role actor"),
    "Provenance.entity": _names("role type reference display"),
}
# What a plan would do is a risk; an Observation or a warning of it would be read as one of the patient as they are.
_OF_A_HYPOTHESIS = _names("Device RiskAssessment DocumentReference Provenance")


def check(bundle: dict[str, Any], version: FhirVersion) -> None:
    """Raise `NotFhir`, which names places and no values, if a transaction must not leave."""
    wrong = sorted({*_of_the_version(bundle, version), *_of_ours(bundle)})
    if wrong:
        raise NotFhir(
            f"What was to be written to the EHR is not valid {version.upper()}: {', '.join(wrong)}.",
            hint="Nothing was sent. This is a fault of fhirtwin: please report it.",
        )


def _of_the_version(bundle: dict[str, Any], version: FhirVersion) -> Iterator[str]:
    """Name the places that break the rules of the FHIR version."""
    if version == "dstu2":
        for at, resource in _resources(bundle):
            yield from _dstu2(at, resource)
        return
    try:
        _CLASSES[version].model_validate(bundle)
    except ValidationError as broken:
        for error in broken.errors(include_input=False, include_context=False, include_url=False):
            yield ".".join(map(str, error["loc"]))


def _dstu2(at: str, resource: dict[str, Any]) -> Iterator[str]:
    kind = str(resource.get("resourceType", ""))
    if kind not in _ALLOWED:
        yield f"{at}.resourceType"
        return
    for index, inner in enumerate(resource.get("contained", [])):  # it has an id of its own, by which it is meant
        yield from _dstu2(f"{at}.contained.{index}", {name: part for name, part in inner.items() if name != "id"})
    yield from _elements(at, kind, {name: part for name, part in resource.items() if name != "contained"})
    for name, value in resource.items():
        if f"{kind}.{name}" in _ALLOWED:
            for index, part in enumerate(value):
                yield from _elements(f"{at}.{name}.{index}", f"{kind}.{name}", part)


def _elements(at: str, kind: str, part: dict[str, Any]) -> Iterator[str]:
    """Name the elements that are missing, and those that DSTU2 does not have there."""
    for name in (_REQUIRED[kind] - part.keys()) | (part.keys() - _ALLOWED[kind]):
        yield f"{at}.{name}"


def _of_ours(bundle: dict[str, Any]) -> Iterator[str]:
    """Name the places that break our own rules.

    Labelled, also within; found again; no dangling reference; percent and not more; no observation of what was only
    tried; no claim of a profile that it does not keep.
    """
    names = [entry.get("fullUrl") for entry in bundle.get("entry", [])]
    if not names or len(set(names)) != len(names):
        yield "entry.fullUrl"
    for index, entry in enumerate(bundle.get("entry", [])):
        request = entry.get("request", {})
        if request.get("method") != "POST" or not request.get("ifNoneExist"):
            yield f"entry.{index}.request"
    tried = any(HYPOTHETICAL_TAG in resource.get("meta", {}).get("tag", []) for _, resource in _resources(bundle))
    for at, resource in _resources(bundle):
        if tried and resource.get("resourceType") not in _OF_A_HYPOTHESIS:
            yield f"{at}.resourceType"
        meta = resource.get("meta", {})
        if AIAST not in meta.get("security", []):
            yield f"{at}.meta.security"
        if SIMULATED_TAG not in meta.get("tag", []):
            yield f"{at}.meta.tag"
        yield from (f"{at}.{element}" for element in unmet(resource))
        yield from _contained(resource, at)
        within = {f"#{inner.get('id')}" for inner in resource.get("contained", [])}
        for place, target in _references(resource, at):
            if (target.startswith("urn:uuid:") and target not in names) or (target[:1] == "#" and target not in within):
                yield place
        if str(resource.get("code", {}).get("text")).startswith(SIMULATED_RISK) and not _is_percentage(
            resource.get("valueQuantity", {}).get("value", Decimal(-1))
        ):
            yield f"{at}.valueQuantity"
        for each, prediction in enumerate(resource.get("prediction", [])):
            if not _is_percentage(prediction.get("probabilityDecimal", Decimal(-1))):
                yield f"{at}.prediction.{each}.probabilityDecimal"


def _contained(resource: dict[str, Any], at: str) -> Iterator[str]:
    """Name what is wrong with resources within a resource.

    They are tagged, have an id, and have neither narrative nor label: these are the outer one's (STU3 dom-1, dom-5).
    """
    for index, inner in enumerate(resource.get("contained", [])):
        meta = inner.get("meta", {})
        if SIMULATED_TAG not in meta.get("tag", []):
            yield f"{at}.contained.{index}.meta.tag"
        if not inner.get("id") or "text" in inner or "security" in meta:
            yield f"{at}.contained.{index}"


def _is_percentage(number: Decimal) -> bool:
    return Decimal(0) <= number <= Decimal(100)


def _resources(bundle: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, entry in enumerate(bundle.get("entry", [])):
        yield f"entry.{index}.resource", entry.get("resource", {})


def _references(value: object, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "reference" and isinstance(part, str):
                yield f"{at}.reference", part
            yield from _references(part, f"{at}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _references(part, f"{at}.{index}")

"""Who a resource is about, and what it needs from others, in any version of FHIR."""

from __future__ import annotations

import re
from typing import Final

from mappers.bundles import patient_of
from mappers.elements import Json, objects, reference, text
from mappers.open_mhealth.header import is_point, subject_of_point

__all__ = [
    "LINKABLE",
    "NEEDED",
    "NEEDING",
    "REFERRING",
    "SUPPORTING",
    "canonical_of",
    "needed_of",
    "references_of",
    "subject_of",
]

LINKABLE: Final = frozenset({"Medication"})
"""Types that say nothing about a patient by themselves, and that a fact uses."""

REFERRING: Final = frozenset(
    {
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationOrder",
        "MedicationRequest",
        "MedicationStatement",
    }
)
"""Types whose resources may refer to one of those."""

NEEDED: Final = LINKABLE | {"Device", "Questionnaire", "ResearchStudy"}
"""Types that others are understood by: what a device is, what a question asks, which study it is."""

NEEDING: Final = REFERRING | {
    "DeviceUsage",
    "DeviceUseStatement",
    "QuestionnaireResponse",
    "ResearchSubject",
}
"""Types whose resources may refer to one of those."""

SUPPORTING: Final = NEEDED | {
    *("Binary", "BodySite", "BodyStructure", "CareTeam", "Device", "DeviceComponent", "DeviceDefinition"),
    *("DeviceMetric", "DocumentReference", "Endpoint", "Group", "HealthcareService", "Location", "Media"),
    *("MolecularSequence", "Organization", "Practitioner", "PractitionerRole", "RelatedPerson", "Sequence"),
    *("Specimen", "Substance"),
}
"""Types that may say nothing about a patient by themselves: a link where a resource uses them."""

_ELEMENTS: Final = {"DeviceUsage": "device", "DeviceUseStatement": "device", "ResearchSubject": "study"}
_WANTED: Final = {
    "Device": ("resourceType", "id", "type", "deviceName", "udiCarrier"),
    "ResearchStudy": ("resourceType", "id", "identifier", "title"),
}
_SUBJECTS: Final = ("subject", "patient", "beneficiary", "for", "individual")
_TYPED: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[^/]+(?:/_history/[^/]+)?$")


def subject_of(resource: Json) -> str | None:
    """Return the reference to the patient that a resource is about, as it is written; `None` where it names none.

    A Patient is about itself, a document about the patient of its Composition. A group, a device or a place is no
    patient, and neither is somebody who stands inside the resource only (a contained Patient).
    """
    if is_point(resource):
        return subject_of_point(resource)
    if resource.get("resourceType") == "Bundle":
        return patient_of(resource)[0] or None
    if resource.get("resourceType") == "Patient":
        identity = text(resource.get("id"))
        return f"Patient/{identity}" if identity else None
    for element in _SUBJECTS:
        if element not in resource:
            continue
        for each in objects(resource[element])[:1]:
            found = text(each.get("reference"))
            kind = text(each.get("type")) or _type_in(found)
            if found and not found.startswith("#") and kind in ("", "Patient"):
                return found
    return None


def _type_in(written: str) -> str:
    if written.startswith("Patient/") and written.count("/") == 1 and len(written) > len("Patient/"):  # nearly all
        return "Patient"
    found = None if written.startswith("urn:") else _TYPED.search(written)
    return found[1] if found else ""


def references_of(resource: Json) -> tuple[str, ...]:
    """List the references, as written, that `map_resource` wants in `linked`; contained ones are not among them."""
    kind = text(resource.get("resourceType"))
    if kind in _ELEMENTS:
        found = reference(resource.get(_ELEMENTS[kind]))
        if not found and kind == "DeviceUsage":  # R5: a CodeableReference
            found = next((reference(each.get("reference")) for each in objects(resource.get("device"))[:1]), "")
    elif kind == "QuestionnaireResponse":
        found = _canonical(resource.get("questionnaire")) or reference(resource.get("questionnaire"))
    else:
        found = reference(resource.get("medicationReference"))
        for medicine in objects(resource.get("medication"))[:1]:  # R5: a CodeableReference
            found = found or reference(medicine.get("reference"))
    return (found,) if found and not found.startswith("#") else ()


def canonical_of(resource: Json) -> str:
    """Return the URL by which others name a Questionnaire, without its version; "" for anything else."""
    return _canonical(resource.get("url")) if resource.get("resourceType") == "Questionnaire" else ""


def needed_of(resource: Json) -> Json:
    """Return what others may need of a resource: a Device or a study is kept without the rest, since there are many."""
    wanted = _WANTED.get(text(resource.get("resourceType")))
    return {name: resource[name] for name in wanted if name in resource} if wanted else resource


def _canonical(value: object) -> str:
    return text(value).split("|", 1)[0]

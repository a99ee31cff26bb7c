"""Who a resource is about, and what it needs from others, in any version of FHIR."""

from __future__ import annotations

import re
from typing import Final

from mappers.elements import Json, objects, reference, text

__all__ = ["LINKABLE", "REFERRING", "references_of", "subject_of"]

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

_SUBJECTS: Final = ("subject", "patient", "beneficiary", "for", "individual")
_TYPED: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[^/]+(?:/_history/[^/]+)?$")


def subject_of(resource: Json) -> str | None:
    """Return the reference to the patient that a resource is about, as it is written; `None` where it names none.

    A Patient is about itself. A group, a device or a place is no patient, and neither is somebody who stands inside
    the resource only (a contained Patient).
    """
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
    found = reference(resource.get("medicationReference"))
    for medicine in objects(resource.get("medication"))[:1]:  # R5: a CodeableReference
        found = found or reference(medicine.get("reference"))
    return (found,) if found and not found.startswith("#") else ()

"""Summit as an institution, in R4: its directory, and who it takes a patient to be."""

from __future__ import annotations

from typing import Any, Final

from conformance.cohort.render.scribe import House, Resource, Scribe, drop_empty

__all__ = ["HOUSE", "TERMINOLOGY", "US_CORE", "concept", "directory", "patient"]

HOUSE: Final = House(
    ehr="summit",
    title="Summit Health System",
    base="https://summit.example/fhir",
    local="https://summit.example/codes/flowsheet",
    medicines=("rxnorm",),
    problems=("sct", "icd10cm"),
)

TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition"


def directory() -> list[Resource]:
    """Write the practitioners and the organisation."""
    people = [
        {
            "resourceType": "Practitioner",
            "id": f"s-dr-{number}",
            "active": True,
            "name": [{"use": "official", "family": family, "given": [given]}],
        }
        for number, (given, family) in enumerate(
            (("Odalys", "Trenchard"), ("Rufin", "Castellane"), ("Yara", "Winterbeck")), start=1
        )
    ]
    house = {
        "resourceType": "Organization",
        "id": "s-org-1",
        "active": True,
        "type": [concept("organization-type", "prov", "Healthcare Provider")],
        "name": HOUSE.title,
    }
    return [house, *people]


def concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    """Write a CodeableConcept of one code of terminology.hl7.org."""
    return {"coding": [drop_empty({"system": f"{TERMINOLOGY}/{system}", "code": code, "display": display})]}


def patient(scribe: Scribe) -> Resource:
    """Write the Patient."""
    person, face = scribe.person, scribe.face
    return {
        "resourceType": "Patient",
        "id": face.patient,
        "meta": scribe.stamp(person.born),
        "extension": [
            {
                "url": f"{US_CORE}/us-core-race",
                "extension": [
                    {
                        "url": "ombCategory",
                        "valueCoding": {"system": f"{TERMINOLOGY}/v3-NullFlavor", "code": "UNK", "display": "Unknown"},
                    },
                    {"url": "text", "valueString": "Unknown"},
                ],
            },
            {"url": f"{US_CORE}/us-core-birthsex", "valueCode": person.sex[0].upper()},
        ],
        "identifier": [
            {
                "use": "usual" if one.kind == "MR" else "official",
                "type": concept("v2-0203", one.kind),
                "system": one.system,
                "value": one.value,
            }
            for one in face.identifiers
        ],
        "active": True,
        "name": [{"use": name.use, "family": name.family, "given": list(name.given)} for name in face.names],
        "telecom": [{"system": "phone", "value": face.phone, "use": "home"}],
        "gender": person.sex,
        "birthDate": person.born.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [face.address.line],
                "city": face.address.city,
                "state": face.address.state,
                "postalCode": face.address.postal_code,
                "country": face.address.country,
            }
        ],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en-US"}]}, "preferred": True}
        ],
        "generalPractitioner": [scribe.doctor()],
        "managingOrganization": scribe.organisation(),
    }

"""Harbor as an institution, in STU3: its directory, and who it takes a patient to be."""

from __future__ import annotations

from typing import Final

from conformance.cohort.render.scribe import House, Resource, Scribe

__all__ = ["HOUSE", "directory", "patient"]

HOUSE: Final = House(
    ehr="harbor",
    title="Harbor University Hospital",
    base="https://harbor.example/fhir",
    local="https://harbor.example/fhir/lab-codes",
    medicines=("atc", "rxnorm"),
    problems=("sct", "icd10"),
)

IDENTIFIER_TYPES: Final = {"MR": "MR", "NI": "NI"}


def directory() -> list[Resource]:
    """Write the practitioners and the organisation."""
    people = [
        {
            "resourceType": "Practitioner",
            "id": f"h-dr-{number}",
            "active": True,
            "name": [{"family": family, "given": [given], "prefix": ["Dr"]}],
        }
        for number, (given, family) in enumerate(
            (("Ilmar", "Vendrome"), ("Katrisse", "Olvander"), ("Beno", "Straumel")), start=1
        )
    ]
    house = {
        "resourceType": "Organization",
        "id": "h-org-1",
        "active": True,
        "type": [{"coding": [{"system": "http://hl7.org/fhir/organization-type", "code": "prov"}]}],
        "name": HOUSE.title,
    }
    return [house, *people]


def patient(scribe: Scribe) -> Resource:
    """Write the Patient."""
    person, face = scribe.person, scribe.face
    return {
        "resourceType": "Patient",
        "id": face.patient,
        "meta": scribe.stamp(person.born),
        "identifier": [
            {
                "use": "usual" if one.kind == "MR" else "official",
                "type": {"coding": [{"system": "http://hl7.org/fhir/v2/0203", "code": IDENTIFIER_TYPES[one.kind]}]},
                "system": one.system,
                "value": one.value,
            }
            for one in face.identifiers
        ],
        "active": True,
        "name": [{"use": name.use, "family": name.family, "given": list(name.given)} for name in face.names],
        "telecom": [{"system": "phone", "value": face.phone, "use": "mobile"}],
        "gender": person.sex,
        "birthDate": person.born.isoformat(),
        "address": [
            {
                "use": "home",
                "text": f"{face.address.line}, {face.address.postal_code} {face.address.city}",
                "line": [face.address.line],
                "city": face.address.city,
                "postalCode": face.address.postal_code,
                "country": face.address.country,
            }
        ],
        "managingOrganization": scribe.organisation(),
    }

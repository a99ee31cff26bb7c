"""Lakeside as an institution, in DSTU2: its directory, and who it takes a patient to be."""

from __future__ import annotations

from typing import Any, Final

from conformance.cohort.render.scribe import House, Resource, Scribe, drop_empty

__all__ = ["HOUSE", "directory", "patient"]

HOUSE: Final = House(
    ehr="lakeside",
    title="Lakeside Family Practice",
    base="https://lakeside.example/fhir",
    local="urn:oid:2.25.149382467210398127764395610298734610012.2",
    medicines=("rxnorm",),
    problems=("icd10cm", "sct"),
)

IDENTIFIER_TYPES: Final = {
    "MR": ("http://hl7.org/fhir/v2/0203", "MR"),
    "SS": ("http://hl7.org/fhir/identifier-type", "SB"),
}


def directory() -> list[Resource]:
    """Write the practitioners and the organisation."""
    people = [
        {
            "resourceType": "Practitioner",
            "id": f"l-dr-{number}",
            "name": {"family": [family], "given": [given], "prefix": ["Dr."]},  # one HumanName, not a list
        }
        for number, (given, family) in enumerate(
            (("Perrin", "Alderfield"), ("Sabeth", "Quennell"), ("Tobin", "Marsh")), start=1
        )
    ]
    house = {
        "resourceType": "Organization",
        "id": "l-org-1",
        "name": HOUSE.title,
        "type": {"coding": [{"system": "http://hl7.org/fhir/organization-type", "code": "prov"}]},
    }
    return [house, *people]


def patient(scribe: Scribe) -> Resource:
    """Write the Patient."""
    person, face = scribe.person, scribe.face
    return drop_empty(
        {
            "resourceType": "Patient",
            "id": face.patient,
            "meta": scribe.stamp(person.born),
            "identifier": [
                drop_empty(
                    {
                        "use": "usual" if one.kind == "MR" else "official",
                        "type": _identifier_type(one.kind),
                        "system": one.system,
                        "value": one.value,
                    }
                )
                for one in face.identifiers
            ],
            "active": True,
            "name": [{"use": name.use, "family": [name.family], "given": list(name.given)} for name in face.names],
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
            "careProvider": [scribe.doctor()],
            "managingOrganization": scribe.organisation(),
        }
    )


def _identifier_type(kind: str) -> dict[str, Any] | None:
    if kind not in IDENTIFIER_TYPES:
        return None
    system, code = IDENTIFIER_TYPES[kind]
    return {"coding": [{"system": system, "code": code}]}

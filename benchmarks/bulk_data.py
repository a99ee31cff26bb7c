"""Made-up patients in any number, as NDJSON in the form of an export: what the pull is measured on. No real person."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TYPES", "small_observations", "write_export"]

# What of 1,000 resources is of which type: about as in the exports of Synthea, less what neither side reads.
TYPES = {
    "AllergyIntolerance": 3,
    "Condition": 40,
    "DiagnosticReport": 55,
    "Encounter": 120,
    "Immunization": 40,
    "MedicationRequest": 45,
    "Observation": 630,
    "Patient": 3,
    "Procedure": 64,
}
_FILE = 50_000  # resources in a file
_PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_TERM = "http://terminology.hl7.org/CodeSystem/"
_LOINC, _SNOMED, _UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
_MEASURES = (
    ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 60, 180, 2, "laboratory"),
    ("38483-4", "Creatinine [Mass/volume] in Blood", "mg/dL", 0.5, 2, 2, "laboratory"),
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 4, 9, 1, "laboratory"),
    ("2947-0", "Sodium [Moles/volume] in Blood", "mmol/L", 130, 150, 1, "laboratory"),
    ("6298-4", "Potassium [Moles/volume] in Blood", "mmol/L", 3.3, 5.5, 2, "laboratory"),
    ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 120, 280, 1, "laboratory"),
    ("8867-4", "Heart rate", "/min", 55, 110, 0, "vital-signs"),
    ("29463-7", "Body Weight", "kg", 50, 110, 1, "vital-signs"),
    ("8310-5", "Body temperature", "Cel", 36, 39, 1, "vital-signs"),
    ("9279-1", "Respiratory rate", "/min", 10, 22, 0, "vital-signs"),
)
_CODES = {
    "Condition": (_SNOMED, (("44054006", "Diabetes"), ("38341003", "Hypertension"), ("195967001", "Asthma"))),
    "DiagnosticReport": (_LOINC, (("51990-0", "Basic Metabolic Panel"), ("57698-3", "Lipid Panel"))),
    "Encounter": (_SNOMED, (("185349003", "Encounter for check up"), ("390906007", "Follow-up encounter"))),
    "Immunization": ("http://hl7.org/fhir/sid/cvx", (("140", "Influenza, seasonal"), ("113", "Td (adult)"))),
    "MedicationRequest": (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        (("860975", "metformin 500 MG"), ("314076", "lisinopril 10 MG")),
    ),
    "Procedure": (_SNOMED, (("710824005", "Assessment of health"), ("430193006", "Medication Reconciliation"))),
    "AllergyIntolerance": (_SNOMED, (("91935009", "Allergy to peanuts"), ("419474003", "Allergy to mould"))),
}


def write_export(folder: Path, resources: int, *, evenly: bool = False) -> None:
    """Write an export of so many resources of all types, 3 of 1,000 patients; `evenly`, the others as many of each."""
    people = max(1, resources * TYPES["Patient"] // 1000)
    shares = dict.fromkeys(TYPES, 997 // (len(TYPES) - 1)) if evenly else TYPES
    counts = {type_: resources * share // 1000 for type_, share in shares.items()} | {"Patient": people}
    counts["Observation"] += resources - sum(counts.values())
    _write(folder, {type_: _resources(type_, number, people) for type_, number in counts.items()})


def small_observations(folder: Path, resources: int, people: int = 500) -> None:
    """Write an export of so many small Observations of a few people; quickly, since there may be a million."""
    _write(folder, {"Patient": _resources("Patient", people, people)})
    counts = json.loads((folder / "counts.json").read_text("utf-8"))
    chance = random.Random(resources)  # noqa: S311 - not for secrets
    [template] = _resources("Observation", 1, 1)
    holes = {"id": "@", "subject": {"reference": "Patient/@"}, "effectiveDateTime": "@"}
    line = b"%b%%b%b%%b%b%%b%b\n" % tuple(json.dumps(template | holes, separators=(",", ":")).encode().split(b"@"))
    times = [_time(chance).encode() for _ in range(5_000)]
    left = resources - people
    for number in range(1, 2 + (left - 1) // _FILE):
        name, many = f"Observation.{number}.ndjson", min(_FILE, left - (number - 1) * _FILE)
        with (folder / name).open("wb") as out:
            for at in range((number - 1) * _FILE, (number - 1) * _FILE + many):
                out.write(line % (b"obs-%08d" % at, b"pat-%08d" % (at % people), times[at % len(times)]))
        counts[name] = many
    (folder / "counts.json").write_text(json.dumps(counts), "utf-8")


def _write(folder: Path, parts: dict[str, Iterator[dict[str, object]]]) -> None:
    counts = {}
    for type_, resources in parts.items():
        number, done = 0, False
        while not done:
            number += 1
            name = f"{type_}.{number}.ndjson"
            with (folder / name).open("w", encoding="utf-8") as out:
                counts[name], done = 0, True
                for resource in resources:
                    out.write(json.dumps(resource, separators=(",", ":")) + "\n")
                    counts[name] += 1
                    if counts[name] == _FILE:
                        done = False
                        break
    (folder / "counts.json").write_text(json.dumps(counts), "utf-8")


def _resources(type_: str, number: int, people: int) -> Iterator[dict[str, object]]:
    chance = random.Random(f"{type_} {number}")  # noqa: S311 - not for secrets
    for at in range(number):
        yield _MAKERS.get(type_, _coded)(type_, f"{type_[:3].lower()}-{at:08}", f"pat-{at % people:08}", chance)


def _patient(type_: str, name: str, patient: str, chance: random.Random) -> dict[str, object]:
    number = int(patient.partition("-")[2])
    return {
        "resourceType": type_,
        "id": patient,
        "meta": _meta("patient"),
        "identifier": [{"system": "http://hospital.example.org", "value": f"MRN{number:08}"}],
        "name": [{"use": "official", "family": f"Family{number}", "given": [f"Given{number % 97}", "Q"]}],
        "gender": chance.choice(("male", "female")),
        "birthDate": f"{chance.randint(1930, 2015)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
    }


def _observation(type_: str, name: str, patient: str, chance: random.Random) -> dict[str, object]:
    code, display, unit, low, high, digits, category = chance.choice(_MEASURES)
    return {
        "resourceType": type_,
        "id": name,
        "meta": _meta("observation-lab" if category == "laboratory" else "vital-signs"),
        "status": "final",
        "category": [{"coding": [{"system": f"{_TERM}observation-category", "code": category}]}],
        "code": {"coding": [{"system": _LOINC, "code": code, "display": display}], "text": display},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/enc-{chance.randrange(10_000):08}"},
        "effectiveDateTime": _time(chance),
        "valueQuantity": {
            "value": round(chance.uniform(low, high), digits),
            "unit": unit,
            "system": _UCUM,
            "code": unit,
        },
    }


def _coded(type_: str, name: str, patient: str, chance: random.Random) -> dict[str, object]:
    system, codes = _CODES[type_]
    code, display = chance.choice(codes)
    concept = {"coding": [{"system": system, "code": code, "display": display}], "text": display}
    about = {"reference": f"Patient/{patient}"}
    when = _time(chance)
    head: dict[str, object] = {"resourceType": type_, "id": name, "meta": _meta(type_.lower())}
    match type_:
        case "Condition" | "AllergyIntolerance":
            kind = "condition" if type_ == "Condition" else "allergyintolerance"
            return head | {
                "clinicalStatus": {"coding": [{"system": f"{_TERM}{kind}-clinical", "code": "active"}]},
                "code": concept,
                "subject" if type_ == "Condition" else "patient": about,
                "onsetDateTime": when,
            }
        case "Encounter":
            setting = {"system": f"{_TERM}v3-ActCode", "code": "AMB"}
            period = {"start": when, "end": when}
            return head | {
                "status": "finished",
                "class": setting,
                "type": [concept],
                "subject": about,
                "period": period,
            }
        case "Immunization":
            return head | {
                "status": "completed",
                "vaccineCode": concept,
                "patient": about,
                "occurrenceDateTime": when,
                "primarySource": True,
            }
        case "MedicationRequest":
            return head | {
                "status": "stopped",
                "intent": "order",
                "medicationCodeableConcept": concept,
                "subject": about,
                "authoredOn": when,
            }
        case "Procedure":
            period = {"start": when, "end": when}
            return head | {"status": "completed", "code": concept, "subject": about, "performedPeriod": period}
    return head | {"status": "final", "code": concept, "subject": about, "effectiveDateTime": when, "issued": when}


def _meta(profile: str) -> dict[str, object]:
    return {"versionId": "1", "lastUpdated": "2026-11-20T09:30:00.000+00:00", "profile": [_PROFILE + profile]}


def _time(chance: random.Random) -> str:
    day, clock = chance.randint(1, 28), f"{chance.randrange(24):02}:{chance.randrange(60):02}"
    return f"{chance.randint(2010, 2026)}-{chance.randint(1, 12):02}-{day:02}T{clock}:00-05:00"


_MAKERS = {"Patient": _patient, "Observation": _observation}

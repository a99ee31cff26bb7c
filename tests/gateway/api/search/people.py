"""Invented records with all shapes that a search has to tell apart: partial dates, open periods, units, accents."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

Json = dict[str, Any]

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
TAG = {"system": "urn:fhirtwin:test", "code": "search"}
TERMS = "http://terminology.hl7.org/CodeSystem/"

WHEN = (
    *("2023", "2023-12", "2024", "2024-01", "2024-02", "2024-01-31", "2024-02-01", "2024-02-29", "2024-03-10"),
    *("2024-02-01T00:00:00Z", "2024-02-01T23:59:59Z", "2024-02-29T12:30:00+05:30", "2024-03-01T00:30:00+02:00"),
    *("2024-02-29T23:30:00-08:00", "2024-01-31T23:59:59.999Z", "2024-03-10T10:00:00.250Z", "2023-12-31T23:00:00-01:00"),
)
INSTANTS = tuple(when for when in WHEN if "T" in when)
DAYS = tuple(when for when in WHEN if "T" not in when)
VALUES = (
    *(
        (5.4, "mg/dL"),
        (5.40, "mg/dL"),
        (54, "mg/L"),
        (0.054, "g/L"),
        (5.35, "mg/dL"),
        (5.45, "mg/dL"),
        (5.449, "mg/dL"),
    ),
    *(
        (100, "mm[Hg]"),
        (99.5, "mm[Hg]"),
        (100.5, "mm[Hg]"),
        (120, "mm[Hg]"),
        (7.1, "mmol/L"),
        (7100, "umol/L"),
        (-3, "Cel"),
    ),
)
CODES = (
    (LOINC, "4548-4", "Hemoglobin A1c"),
    (LOINC, "718-7", "Hemoglobin"),
    (SNOMED, "38341003", "Hypertension"),
    ("urn:local", "718-7", "Hb local"),
)


class Records:
    """Makes the records of one seed; the same seed makes the same."""

    def __init__(self, seed: int, patients: int = 8) -> None:
        self._draw = Random(seed)  # noqa: S311 - the same seed makes the same
        self._prefix = f"s{seed}"
        self.people = [f"{self._prefix}-p{n}" for n in range(patients)]
        self.shared = [*self._shared()]
        self.of: dict[str, list[Json]] = {person: [*self._of(n, person)] for n, person in enumerate(self.people)}

    def everything(self) -> list[Json]:
        """Return all of them, what is referred to before what refers."""
        return [*self.shared, *(each for person in self.people for each in self.of[person])]

    def _made(self, type_: str, called: str, /, **told: Any) -> Json:
        return {"resourceType": type_, "id": f"{self._prefix}-{called}", "meta": {"tag": [TAG]}, **told}

    def _ref(self, type_: str, name: str) -> Json:
        return {"reference": f"{type_}/{self._prefix}-{name}"}

    def _one(self, options: Sequence[Any]) -> Any:
        return self._draw.choice(options)

    def _concept(self, system: str, code: str, display: str = "", **more: Any) -> Json:
        return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}], **more}

    def _code(self) -> Json:
        concept = self._concept(*self._one(CODES))
        if self._draw.random() < 0.3:
            concept["text"] = self._one(("Hämoglobin im Blut", "bp, sitting", "A1c"))
        return concept

    def _period(self) -> Json:
        start, end = sorted((self._one(DAYS), self._one(DAYS)))
        return self._one(({"start": start, "end": end}, {"start": start}, {"end": end}))

    def _quantity(self) -> Json:
        value, unit = self._one(VALUES)
        return {"value": value, "unit": unit, "system": UCUM, "code": unit}

    def _shared(self) -> Any:
        yield self._made("Organization", "org", name="Käthe-Klinik", active=True, address=[{"city": "Zürich"}])
        for n, family in enumerate(("Müller", "O'Brien")):
            yield self._made(
                "Practitioner", f"dr{n}", name=[{"family": family, "given": ["Rosa", "Ana María"]}], active=n == 0
            )
        yield self._made("Location", "ward", name="Ward 3", status="active")
        yield self._made(
            "Medication", "med", code=self._concept("http://www.nlm.nih.gov/research/umls/rxnorm", "860975")
        )

    def _of(self, n: int, patient: str) -> Any:
        subject = {"reference": f"Patient/{patient}"}
        yield self._patient(n, patient)
        for k in range(3):
            yield self._encounter(f"p{n}-e{k}", subject)
        for k in range(4):
            yield self._condition(f"p{n}-c{k}", subject, f"p{n}-e{k % 3}")
        for k in range(14):
            yield self._observation(f"p{n}-o{k}", subject, f"p{n}-e{k % 3}", k)
        yield from self._others(n, subject)

    def _patient(self, n: int, patient: str) -> Json:
        told: Json = {
            "resourceType": "Patient",
            "id": patient,
            "meta": {"tag": [TAG]},
            "active": self._one((True, False)),
            "name": [
                {
                    "family": self._one(("Schäfer", "Schafer", "de la Cruz", "Smith-Jones")),
                    "given": [self._one(("Zoë", "Zoe", "Ana María"))],
                },
                {"text": "Known as Mia"},
            ],
            "gender": self._one(("female", "male", "other")),
            "birthDate": self._one(("1950", "1950-06", "1950-06-15", "1971-12-31")),
            "identifier": [
                {"system": "urn:mrn", "value": f"M{n}", "type": self._concept(f"{TERMS}v2-0203", "MR")},
                {"value": f"X{n % 3}"},
            ],
            "telecom": [{"system": "phone", "value": f"555-{n}"}, {"system": "email", "value": f"n{n}@example.org"}],
            "address": [
                {
                    "line": ["Hauptstraße 1"],
                    "city": self._one(("Zürich", "Zug", "Bern")),
                    "state": "ZH",
                    "postalCode": f"80{n:02}",
                    "use": "home",
                }
            ],
            "generalPractitioner": [self._ref("Practitioner", f"dr{n % 2}")],
            "managingOrganization": self._ref("Organization", "org"),
            "communication": [{"language": self._concept("urn:ietf:bcp:47", "de")}],
        }
        return told | self._one(
            ({}, {"deceasedBoolean": False}, {"deceasedBoolean": True}, {"deceasedDateTime": self._one(WHEN)})
        )

    def _encounter(self, name: str, subject: Json) -> Json:
        return self._made(
            "Encounter",
            name,
            status=self._one(("finished", "in-progress")),
            subject=subject,
            identifier=[{"system": "urn:visit", "value": name}],
            type=[self._code()],
            period=self._period(),
            location=[{"location": self._ref("Location", "ward"), "period": self._period()}],
            participant=[{"individual": self._ref("Practitioner", "dr0")}],
            **{"class": {"system": f"{TERMS}v3-ActCode", "code": self._one(("AMB", "IMP"))}},
        )

    def _condition(self, name: str, subject: Json, encounter: str) -> Json:
        onset = self._one(
            (
                {"onsetDateTime": self._one(WHEN)},
                {"onsetPeriod": self._period()},
                {"onsetAge": {"value": self._one((40, 41, 42)), "system": UCUM, "code": "a", "unit": "a"}},
                {"onsetString": "after the Äther trip"},
                {},
            )
        )
        return self._made(
            "Condition",
            name,
            clinicalStatus=self._concept(f"{TERMS}condition-clinical", self._one(("active", "resolved"))),
            verificationStatus=self._concept(f"{TERMS}condition-ver-status", "confirmed"),
            category=[
                self._concept(f"{TERMS}condition-category", self._one(("problem-list-item", "encounter-diagnosis")))
            ],
            code=self._code(),
            subject=subject,
            encounter=self._ref("Encounter", encounter),
            recordedDate=self._one(WHEN),
            **onset,
        )

    def _observation(self, name: str, subject: Json, encounter: str, k: int) -> Json:
        value: Json = self._one(
            (
                *[{"valueQuantity": self._quantity()}] * 4,
                {"valueCodeableConcept": self._code()},
                {"valueString": self._one(("Größer als erwartet", "normal", "Normal"))},
                {"valueDateTime": self._one(WHEN)},
                {"valuePeriod": self._period()},
                {"dataAbsentReason": self._concept(f"{TERMS}data-absent-reason", "unknown")},
            )
        )
        if k % 5 == 0:
            value = {
                "component": [
                    {
                        "code": self._concept(LOINC, code),
                        "valueQuantity": {
                            "value": self._one((80, 120, 140)),
                            "unit": "mm[Hg]",
                            "system": UCUM,
                            "code": "mm[Hg]",
                        },
                    }
                    for code in ("8480-6", "8462-4")
                ]
            }
        effective = self._one(
            ({"effectiveDateTime": self._one(WHEN)},) * 3
            + ({"effectivePeriod": self._period()}, {"effectiveInstant": self._one(INSTANTS)}, {})
        )
        return self._made(
            "Observation",
            name,
            status=self._one(("final", "preliminary")),
            category=[self._concept(f"{TERMS}observation-category", self._one(("laboratory", "vital-signs")))],
            code=self._concept(LOINC, "85354-9") if k % 5 == 0 else self._code(),
            subject=subject,
            encounter=self._ref("Encounter", encounter),
            performer=[self._ref("Practitioner", f"dr{k % 2}")],
            identifier=[{"system": "urn:lab", "value": f"{k % 4}"}],
            **effective,
            **value,
        )

    def _others(self, n: int, subject: Json) -> Any:
        yield self._made(
            "RiskAssessment",
            f"p{n}-r",
            status="final",
            subject=subject,
            occurrenceDateTime=self._one(WHEN),
            prediction=[{"probabilityDecimal": self._one((0.1, 0.12, 0.125, 0.95, 1))}],
        )
        yield self._made(
            "MedicationRequest",
            f"p{n}-m0",
            status="active",
            intent="order",
            subject=subject,
            authoredOn=self._one(WHEN),
            medicationReference=self._ref("Medication", "med"),
        )
        yield self._made(
            "MedicationRequest",
            f"p{n}-m1",
            status="stopped",
            intent="plan",
            subject=subject,
            authoredOn=self._one(WHEN),
            medicationCodeableConcept=self._code(),
            requester=self._ref("Practitioner", "dr1"),
        )
        yield self._made(
            "Procedure",
            f"p{n}-x",
            status="completed",
            subject=subject,
            code=self._code(),
            **self._one(({"performedDateTime": self._one(WHEN)}, {"performedPeriod": self._period()})),
        )
        yield self._made(
            "Immunization",
            f"p{n}-i",
            status="completed",
            patient=subject,
            vaccineCode=self._concept("http://hl7.org/fhir/sid/cvx", "140"),
            occurrenceDateTime=self._one(WHEN),
            lotNumber=self._one(("Ab12", "ab13")),
        )
        yield self._made(
            "AllergyIntolerance",
            f"p{n}-a",
            patient=subject,
            code=self._code(),
            criticality=self._one(("low", "high")),
            clinicalStatus=self._concept(f"{TERMS}allergyintolerance-clinical", "active"),
            recordedDate=self._one(WHEN),
        )
        yield self._made(
            "DiagnosticReport",
            f"p{n}-d",
            status="final",
            subject=subject,
            code=self._code(),
            issued=self._one(INSTANTS),
            result=[self._ref("Observation", f"p{n}-o1")],
            **self._one(({"effectiveDateTime": self._one(WHEN)}, {"effectivePeriod": self._period()})),
        )
        yield self._made(
            "Provenance",
            f"p{n}-v",
            target=[self._ref("Observation", f"p{n}-o0")],
            recorded=self._one(INSTANTS),
            agent=[{"who": self._ref("Practitioner", "dr0")}],
        )
        yield self._made(
            "Goal",
            f"p{n}-g",
            lifecycleStatus="active",
            subject=subject,
            description=self._code(),
            startDate=self._one(DAYS),
            target=[{"dueDate": self._one(DAYS)}],
        )

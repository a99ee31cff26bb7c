"""One good resource of each kind, with most of the elements that real ones have."""

from __future__ import annotations

from decimal import Decimal

from tests.mappers.generated import LOINC, SCT, UCUM

PATIENT = {"reference": "Patient/1"}
HL7 = "http://terminology.hl7.org/CodeSystem"


def coded(system, code, **more):
    return {"coding": [{"system": system, "code": code, **more}]}


def quantity(value, code):
    return {"value": Decimal(value), "unit": code, "system": UCUM, "code": code}


GLUCOSE = {
    "resourceType": "Observation",
    "id": "1",
    "meta": {"versionId": "3", "lastUpdated": "2024-02-04T00:00:00Z", "security": [{"system": "x", "code": "R"}]},
    "text": {"status": "generated", "div": "<div>5.50</div>"},
    "extension": [{"url": "http://example.org/x", "valueString": "x"}],
    "identifier": [{"system": "urn:lab", "value": "A1"}],
    "basedOn": [{"reference": "ServiceRequest/1"}],
    "status": "final",
    "category": [coded(f"{HL7}/observation-category", "laboratory")],
    "code": coded(LOINC, "14749-6", display="Glucose"),
    "subject": PATIENT,
    "encounter": {"reference": "Encounter/1"},
    "effectiveDateTime": "2024-02-03T08:00:00Z",
    "issued": "2024-02-03T09:00:00Z",
    "performer": [{"reference": "Organization/1"}],
    "valueQuantity": {**quantity("5.50", "mmol/L"), "comparator": ">"},
    "interpretation": [coded(f"{HL7}/v3-ObservationInterpretation", "N")],
    "note": [{"text": "fasting"}],
    "bodySite": coded(SCT, "368208006"),
    "method": coded(SCT, "702873001"),
    "specimen": {"reference": "Specimen/1"},
    "referenceRange": [{"low": quantity("3.9", "mmol/L"), "high": quantity("5.6", "mmol/L")}],
}
PRESSURE = {
    "resourceType": "Observation",
    "id": "1",
    "status": "final",
    "code": coded(LOINC, "85354-9"),
    "subject": PATIENT,
    "effectivePeriod": {"start": "2024-02-03", "end": "2024-02-04"},
    "component": [
        {"code": coded(LOINC, "8480-6"), "valueQuantity": quantity("120", "mm[Hg]"), "interpretation": [{"text": "N"}]},
        {"code": coded(LOINC, "8462-4"), "valueQuantity": quantity("80", "mm[Hg]")},
    ],
}
SERIES = {
    **{name: GLUCOSE[name] for name in ("resourceType", "id", "status", "subject", "effectiveDateTime")},
    "code": coded(LOINC, "99504-3"),
    "valueSampledData": {
        "origin": quantity("0", "mg/dL"),
        "period": Decimal(300_000),
        "factor": Decimal("1"),
        "dimensions": 1,
        "data": "100 E 110",
    },
}
CONDITION = {
    "resourceType": "Condition",
    "id": "1",
    "clinicalStatus": coded(f"{HL7}/condition-clinical", "active"),
    "verificationStatus": coded(f"{HL7}/condition-ver-status", "confirmed"),
    "category": [coded(f"{HL7}/condition-category", "problem-list-item")],
    "severity": coded(SCT, "24484000"),
    "code": coded(SCT, "44054006", display="Diabetes"),
    "bodySite": [coded(SCT, "113331007")],
    "subject": PATIENT,
    "onsetDateTime": "2020-05",
    "abatementDateTime": "2023",
    "recordedDate": "2021-01-01",
    "recorder": {"reference": "Practitioner/1"},
    "note": [{"text": "x"}],
}
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "1",
    "status": "active",
    "intent": "order",
    "priority": "routine",
    "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "312961"),
    "subject": PATIENT,
    "authoredOn": "2024-01-01",
    "requester": {"reference": "Practitioner/1"},
    "reasonCode": [coded(SCT, "55822004")],
    "dosageInstruction": [{"text": "one a day", "asNeededBoolean": False}],
}
STATEMENT = {
    "resourceType": "MedicationStatement",
    "id": "1",
    "status": "active",
    "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "312961"),
    "subject": PATIENT,
    "effectivePeriod": {"start": "2024-01-01", "end": "2024-03-01"},
    "dateAsserted": "2024-02-01",
}
GIVEN = {
    "resourceType": "MedicationAdministration",
    "id": "1",
    "status": "completed",
    "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "312961"),
    "subject": PATIENT,
    "effectiveDateTime": "2024-01-01T08:00:00Z",
    "dosage": {"text": "x", "dose": quantity("40", "mg")},
}
DONE = {
    "resourceType": "Procedure",
    "id": "1",
    "status": "completed",
    "category": coded(SCT, "387713003"),
    "code": coded(SCT, "80146002"),
    "subject": PATIENT,
    "performedPeriod": {"start": "2019-03-01T08:00:00Z", "end": "2019-03-01T09:00:00Z"},
    "outcome": coded(SCT, "385669000"),
}
ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "id": "1",
    "clinicalStatus": coded(f"{HL7}/allergyintolerance-clinical", "active"),
    "verificationStatus": coded(f"{HL7}/allergyintolerance-verification", "confirmed"),
    "type": "allergy",
    "category": ["medication"],
    "criticality": "high",
    "code": coded(SCT, "764146007"),
    "patient": PATIENT,
    "onsetDateTime": "2010",
    "recordedDate": "2011",
    "reaction": [{"manifestation": [coded(SCT, "247472004")], "severity": "mild"}],
}
VACCINE = {
    "resourceType": "Immunization",
    "id": "1",
    "status": "completed",
    "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "140"),
    "patient": PATIENT,
    "occurrenceDateTime": "2023-10-01",
    "primarySource": True,
    "lotNumber": "x",
    "isSubpotent": False,
}
VISIT = {
    "resourceType": "Encounter",
    "id": "1",
    "status": "finished",
    "class": {"system": f"{HL7}/v3-ActCode", "code": "AMB"},
    "type": [coded(SCT, "185349003")],
    "subject": PATIENT,
    "period": {"start": "2024-02-03T08:00:00Z", "end": "2024-02-03T09:00:00Z"},
    "reasonCode": [coded(SCT, "55822004")],
}
REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "1",
    "status": "final",
    "code": coded(LOINC, "58410-2"),
    "subject": PATIENT,
    "effectiveDateTime": "2024-02-03",
    "issued": "2024-02-04T00:00:00Z",
    "conclusion": "all is well",
    "result": [{"reference": "Observation/1"}],
}
PERSON = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "name": [{"family": "Doe", "given": ["Ann"]}],
    "telecom": [{"system": "phone", "value": "1"}],
    "gender": "female",
    "birthDate": "1970-01-01",
    "deceasedDateTime": "2020-01-01",
    "address": [{"city": "x"}],
}
R5_STATEMENT = {
    "resourceType": "MedicationStatement",
    "id": "1",
    "status": "recorded",
    "medication": {"concept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "312961")},
    "subject": PATIENT,
    "effectiveDateTime": "2024-01-01",
    "adherence": {"code": coded("http://hl7.org/fhir/CodeSystem/medication-statement-adherence", "taking")},
}
OLD_CONDITION = {
    "resourceType": "Condition",
    "id": "1",
    "patient": PATIENT,
    "code": coded(SCT, "44054006"),
    "clinicalStatus": "active",
    "verificationStatus": "confirmed",
    "onsetDateTime": "2020",
    "dateRecorded": "2021-01-01",
}
SAMPLES = {
    "glucose": ("r4", GLUCOSE),
    "glucose of DSTU2": (
        "dstu2",
        {key: GLUCOSE[key] for key in GLUCOSE if key not in ("basedOn", "note", "encounter")},
    ),
    "glucose of STU3": ("stu3", {key: GLUCOSE[key] for key in GLUCOSE if key not in ("note", "encounter")}),
    "glucose of R5": ("r5", GLUCOSE),
    "pressure": ("r4", PRESSURE),
    "series": ("r4", SERIES),
    "condition": ("r4", CONDITION),
    "condition of DSTU2": ("dstu2", OLD_CONDITION),
    "order": ("r4", ORDER),
    "statement": ("r4", STATEMENT),
    "statement of R5": ("r5", R5_STATEMENT),
    "dose": ("r4", GIVEN),
    "procedure": ("r4", DONE),
    "allergy": ("r4", ALLERGY),
    "vaccine": ("r4", VACCINE),
    "visit": ("r4", VISIT),
    "report": ("r4", REPORT),
    "patient": ("r4", PERSON),
}

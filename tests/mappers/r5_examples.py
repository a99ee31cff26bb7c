"""Resources as R5 writes them, each with the R4 shape that they become."""

from __future__ import annotations

from typing import Any, Final

PATIENT = {"reference": "Patient/1"}
STATIN = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "312961"}]}
CODE = {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]}
OTHER = {"text": "another"}
CONDITION = {"reference": "Condition/1"}
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ADHERENCE = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"
RATIO = {"numerator": {"value": 1, "unit": "mg"}, "denominator": {"value": 1}}


def who(function: str) -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    return {
        "function": {"coding": [{"system": system, "code": function}]},
        "actor": {"reference": f"Practitioner/{function}"},
    }


R5: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "Observation": (
        {"bodyStructure": {"reference": "BodyStructure/1"}, "triggeredBy": [{"type": "reflex"}], "status": "final"},
        {"bodyStructure": {"reference": "BodyStructure/1"}, "triggeredBy": [{"type": "reflex"}], "status": "final"},
    ),
    "Condition": (
        {
            "participant": [who("informant"), who("enterer"), who("author")],
            "evidence": [{"concept": CODE}, {"reference": CONDITION}],
        },
        {
            "recorder": {"reference": "Practitioner/author"},
            "asserter": {"reference": "Practitioner/informant"},
            "evidence": [{"code": [CODE]}, {"detail": [CONDITION]}],
        },
    ),
    "MedicationRequest": (
        {
            "status": "ended",
            "medication": {"concept": STATIN},
            "reason": [{"concept": CODE}, {"reference": CONDITION}],
            "performer": [{"reference": "Practitioner/1"}, {"reference": "Practitioner/2"}],
            "reported": True,
            "informationSource": [PATIENT],
            "dispenseRequest": {"dispenser": {"reference": "Organization/1"}},
            "dosageInstruction": [{"asNeeded": True, "asNeededFor": [CODE, OTHER]}, {"text": "one"}],
            "effectiveDosePeriod": {"start": "2024"},
        },
        {
            "status": "completed",
            "medicationCodeableConcept": STATIN,
            "reasonCode": [CODE],
            "reasonReference": [CONDITION],
            "performer": {"reference": "Practitioner/1"},
            "reportedBoolean": True,
            "informationSource": [PATIENT],
            "dispenseRequest": {"performer": {"reference": "Organization/1"}},
            "dosageInstruction": [{"asNeededBoolean": True, "asNeededCodeableConcept": CODE}, {"text": "one"}],
            "effectiveDosePeriod": {"start": "2024"},
        },
    ),
    "MedicationStatement": (
        {
            "status": "recorded",
            "adherence": {"code": {"coding": [{"system": ADHERENCE, "code": "stopped-as-directed"}]}, "reason": CODE},
            "medication": {"reference": {"reference": "Medication/1"}},
            "encounter": {"reference": "Encounter/1"},
            "category": [CODE, OTHER],
            "informationSource": [PATIENT],
            "effectiveDateTime": "2024",
        },
        {
            "status": "stopped",
            "statusReason": [CODE],
            "medicationReference": {"reference": "Medication/1"},
            "context": {"reference": "Encounter/1"},
            "category": CODE,
            "informationSource": PATIENT,
            "effectiveDateTime": "2024",
        },
    ),
    "MedicationAdministration": (
        {
            "medication": {"concept": STATIN},
            "occurenceDateTime": "2024-01-01",
            "_occurenceDateTime": {"id": "x"},
            "encounter": {"reference": "Encounter/1"},
            "performer": [{"actor": {"reference": {"reference": "Practitioner/1"}}, "function": CODE}],
            "device": [{"reference": {"reference": "Device/1"}}],
            "isSubPotent": False,
        },
        {
            "medicationCodeableConcept": STATIN,
            "effectiveDateTime": "2024-01-01",
            "_effectiveDateTime": {"id": "x"},
            "context": {"reference": "Encounter/1"},
            "performer": [{"actor": {"reference": "Practitioner/1"}, "function": CODE}],
            "device": [{"reference": "Device/1"}],
            "isSubPotent": False,
        },
    ),
    "Medication": (
        {
            "code": STATIN,
            "doseForm": CODE,
            "marketingAuthorizationHolder": {"reference": "Organization/1"},
            "ingredient": [{"item": {"concept": CODE}, "strengthRatio": RATIO}, {"item": {"reference": CONDITION}}],
            "totalVolume": {"value": 3},
        },
        {
            "code": STATIN,
            "form": CODE,
            "manufacturer": {"reference": "Organization/1"},
            "ingredient": [{"itemCodeableConcept": CODE, "strength": RATIO}, {"itemReference": CONDITION}],
            "totalVolume": {"value": 3},
        },
    ),
    "Procedure": (
        {
            "occurrencePeriod": {"start": "2024"},
            "reason": [{"concept": CODE}],
            "category": [CODE],
            "complication": [{"reference": CONDITION}, {"concept": CODE}],
            "used": [{"concept": OTHER}],
            "reportedReference": PATIENT,
            "recorded": "2024",
        },
        {
            "performedPeriod": {"start": "2024"},
            "reasonCode": [CODE],
            "category": CODE,
            "complication": [CODE],
            "complicationDetail": [CONDITION],
            "usedCode": [OTHER],
            "asserter": PATIENT,
            "recorded": "2024",
        },
    ),
    "AllergyIntolerance": (
        {
            "type": {"coding": [{"system": "http://hl7.org/fhir/allergy-intolerance-type", "code": "allergy"}]},
            "participant": [who("verifier")],
            "reaction": [{"manifestation": [{"concept": CODE}, {"concept": OTHER}]}],
        },
        {"type": "allergy", "participant": [who("verifier")], "reaction": [{"manifestation": [CODE, OTHER]}]},
    ),
    "Immunization": (
        {
            "occurrenceDateTime": "2024",
            "reason": [{"reference": CONDITION}],
            "manufacturer": {"reference": {"reference": "Organization/1"}},
            "informationSource": {"concept": CODE},
            "programEligibility": [{"program": CODE, "programStatus": OTHER}],
            "protocolApplied": [{"doseNumber": "2", "seriesDoses": "3"}],
            "administeredProduct": {"concept": OTHER},
        },
        {
            "occurrenceDateTime": "2024",
            "reasonReference": [CONDITION],
            "manufacturer": {"reference": "Organization/1"},
            "reportOrigin": CODE,
            "programEligibility": [CODE],
            "protocolApplied": [{"doseNumberString": "2", "seriesDosesString": "3"}],
            "administeredProduct": {"concept": OTHER},
        },
    ),
    "Encounter": (
        {
            "status": "discharged",
            "class": [{"coding": [{"system": "urn:ward", "code": "7"}]}, {"coding": [{"system": ACT, "code": "IMP"}]}],
            "actualPeriod": {"start": "2024"},
            "reason": [
                {"use": [OTHER], "value": [{"concept": CODE}, {"reference": CONDITION}]},
                {"value": [{"concept": OTHER}]},
            ],
            "serviceType": [{"reference": CONDITION}, {"concept": CODE}],
            "participant": [{"actor": {"reference": "Practitioner/1"}}],
            "diagnosis": [{"condition": [{"reference": CONDITION}], "use": [CODE]}],
            "admission": {"admitSource": CODE},
            "location": [{"form": CODE}],
            "plannedStartDate": "2023",
        },
        {
            "status": "finished",
            "class": {"system": ACT, "code": "IMP"},
            "period": {"start": "2024"},
            "reasonCode": [CODE, OTHER],
            "reasonReference": [CONDITION],
            "serviceType": CODE,
            "participant": [{"individual": {"reference": "Practitioner/1"}}],
            "diagnosis": [{"condition": CONDITION, "use": CODE}],
            "hospitalization": {"admitSource": CODE},
            "location": [{"physicalType": CODE}],
            "plannedStartDate": "2023",
        },
    ),
    "DiagnosticReport": (
        {"status": "modified", "study": [{"reference": "ImagingStudy/1"}], "note": [OTHER]},
        {"status": "partial", "imagingStudy": [{"reference": "ImagingStudy/1"}], "note": [OTHER]},
    ),
}

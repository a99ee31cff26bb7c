"""The search parameters that are mounted, as data: name, kind, where the values stand, for which types.

Paths are tried in all versions, since an element that a version does not have simply yields nothing (DSTU2's
`Encounter.patient` and R4's `Encounter.subject`). Sources: the lists of search parameters of DSTU2, STU3, R4 and R5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["Kind", "Parameter", "parameters_of", "values_at"]

Kind = Literal["token", "reference", "date", "string"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type; `target` narrows a reference given as a bare id."""

    name: str
    kind: Kind
    paths: tuple[str, ...]
    target: str = ""


_ALL = (
    Parameter("_id", "token", ("id",)),
    Parameter("_lastUpdated", "date", ("meta.lastUpdated",)),
    Parameter("_tag", "token", ("meta.tag",)),
    Parameter("_security", "token", ("meta.security",)),
)

_PATIENTS = """AllergyIntolerance CarePlan CareTeam Claim ClinicalImpression Communication Condition Consent
    DetectedIssue Device DiagnosticOrder DiagnosticReport DocumentReference Encounter EpisodeOfCare
    ExplanationOfBenefit FamilyMemberHistory Flag Goal ImagingStudy Immunization List Media MedicationAdministration
    MedicationDispense MedicationOrder MedicationRequest MedicationStatement NutritionOrder Observation Procedure
    ProcedureRequest QuestionnaireResponse ReferralRequest RelatedPerson RiskAssessment ServiceRequest Specimen
    SupplyDelivery Task Coverage"""
_SUBJECTS = """CarePlan CareTeam ClinicalImpression Communication Condition DiagnosticReport DocumentReference
    Encounter Flag Goal List Media MedicationRequest MedicationStatement Observation Procedure ProcedureRequest
    QuestionnaireResponse RiskAssessment ServiceRequest Specimen"""
_IDENTIFIED = (
    f"{_PATIENTS} Basic Composition HealthcareService Location Organization Patient Person Practitioner "
    "PractitionerRole Group DeviceMetric Medication"
)
_WHEN = (
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveInstant",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "occurenceDateTime",  # so spelled in R5's MedicationAdministration
    "occurencePeriod",
    "period",
    "actualPeriod",
    "date",
)

_ROWS: tuple[tuple[Parameter, str], ...] = (
    (Parameter("identifier", "token", ("identifier",)), _IDENTIFIED),
    (Parameter("patient", "reference", ("patient", "subject", "for", "beneficiary"), "Patient"), _PATIENTS),
    (Parameter("subject", "reference", ("subject",)), _SUBJECTS),
    (Parameter("encounter", "reference", ("encounter", "context")), "Condition DiagnosticReport Observation Procedure"),
    (
        Parameter("code", "token", ("code", "medicationCodeableConcept", "medication.concept", "substance")),
        """AllergyIntolerance Basic Condition DiagnosticReport Medication MedicationAdministration MedicationOrder
        MedicationRequest MedicationStatement Observation Procedure ServiceRequest""",
    ),
    (Parameter("code-concept", "token", ("code.concept",)), "ServiceRequest"),
    (Parameter("combo-code", "token", ("code", "component.code")), "Observation"),
    (
        Parameter("category", "token", ("category",)),
        """AllergyIntolerance CarePlan CareTeam Condition DiagnosticReport DocumentReference Goal MedicationRequest
        MedicationStatement Observation Procedure ServiceRequest""",
    ),
    (
        Parameter("status", "token", ("status", "lifecycleStatus")),
        """CarePlan CareTeam DiagnosticReport DocumentReference Encounter Goal Immunization MedicationOrder
        MedicationRequest MedicationStatement Observation Procedure ServiceRequest Task""",
    ),
    (Parameter("clinical-status", "token", ("clinicalStatus",)), "AllergyIntolerance Condition"),
    (Parameter("intent", "token", ("intent",)), "MedicationRequest ServiceRequest"),
    (Parameter("type", "token", ("type",)), "Device DocumentReference Encounter Organization"),
    (Parameter("class", "token", ("class",)), "Encounter"),
    (Parameter("vaccine-code", "token", ("vaccineCode",)), "Immunization"),
    (
        Parameter("date", "date", _WHEN),
        """CarePlan DiagnosticReport Encounter Immunization MedicationAdministration Observation Procedure
        RiskAssessment AuditEvent""",
    ),
    (Parameter("effective", "date", ("effectiveDateTime", "effectivePeriod")), "MedicationStatement"),
    (Parameter("onset-date", "date", ("onsetDateTime", "onsetPeriod")), "Condition"),
    (Parameter("recorded-date", "date", ("recordedDate", "dateRecorded", "assertedDate")), "Condition"),
    (Parameter("authoredon", "date", ("authoredOn",)), "MedicationRequest"),
    (Parameter("datewritten", "date", ("dateWritten",)), "MedicationOrder"),
    (Parameter("target", "reference", ("target",)), "Provenance"),
    (
        Parameter("medication", "reference", ("medicationReference", "medication.reference")),
        "MedicationAdministration MedicationOrder MedicationRequest MedicationStatement",
    ),
    (Parameter("family", "string", ("name.family",)), "Patient Practitioner"),
    (Parameter("given", "string", ("name.given",)), "Patient Practitioner"),
    (Parameter("name", "string", ("name", "name.family", "name.given", "name.text")), "Patient Practitioner"),
    (Parameter("name", "string", ("name",)), "Location Organization"),
    (Parameter("birthdate", "date", ("birthDate",)), "Patient"),
    (Parameter("gender", "token", ("gender",)), "Patient"),
)


@cache
def parameters_of(type_: str) -> Mapping[str, Parameter]:
    """Return the search parameters of a resource type by name."""
    found = {parameter.name: parameter for parameter in _ALL}
    found |= {parameter.name: parameter for parameter, types in _ROWS if type_ in types.split()}
    return MappingProxyType(found)


def values_at(resource: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a dotted path, lists opened."""
    if isinstance(resource, list):
        for item in resource:
            yield from values_at(item, path)
    elif not path:
        yield resource
    elif isinstance(resource, dict):
        head, _, rest = path.partition(".")
        if head in resource:
            yield from values_at(resource[head], rest)

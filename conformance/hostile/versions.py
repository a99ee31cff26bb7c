"""What differs between the FHIR versions on the wire: numbers, media types, status codes, resource types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["VERSIONS", "FhirVersion", "Version"]

FhirVersion = Literal["dstu2", "stu3", "r4", "r4b", "r5"]

# Resource types that a general hospital EHR would mount, which all versions know.
_EVERYWHERE = """
    AllergyIntolerance AuditEvent Basic Binary CarePlan Claim ClinicalImpression Communication Composition Condition
    Coverage DetectedIssue Device DeviceMetric DiagnosticReport DocumentReference Encounter EpisodeOfCare
    ExplanationOfBenefit FamilyMemberHistory Flag Goal Group HealthcareService ImagingStudy Immunization List Location
    Medication MedicationAdministration MedicationDispense MedicationStatement NutritionOrder Observation
    Organization Patient Person Practitioner Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson
    RiskAssessment Schedule Slot Specimen SupplyDelivery
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One FHIR version as a server speaks it.

    Parameters
    ----------
    number
        `fhirVersion` as the capability statement says it.
    media_type
        Of resources in JSON: DSTU2 http.html#mime-type has `application/json+fhir`, STU3 turned it round.
    statement
        Resource type of the capability statement.
    stale
        Status for an `If-Match` that does not match: 409 in DSTU2 and STU3, 412 from R4 on (http.html#concurrency).
    types
        Resource types that are mounted; another type is no endpoint of this server.
    """

    name: FhirVersion
    number: str
    media_type: str
    statement: str
    stale: int
    types: frozenset[str]

    @property
    def is_before_r4(self) -> bool:
        """Say whether this is DSTU2 or STU3."""
        return self.name in ("dstu2", "stu3")

    def is_told_by(self, kind: str) -> bool:
        """Say whether a media type names this version in its parameter `fhirVersion`, or none (versioning.html)."""
        parameters = (part.strip().lower().partition("=") for part in kind.split(";")[1:])
        told = {value.strip('" ') for name, _, value in parameters if name == "fhirversion"}
        return told <= {self.number.rpartition(".")[0]}


def _types(names: str) -> frozenset[str]:
    return frozenset(f"{_EVERYWHERE} {names}".split())


_SINCE_R4 = "MedicationRequest ServiceRequest BodyStructure CareTeam PractitionerRole Consent Task"

VERSIONS: Mapping[FhirVersion, Version] = MappingProxyType(
    {
        "dstu2": Version(
            "dstu2",
            "1.0.2",
            "application/json+fhir",
            "Conformance",
            409,
            _types("Media MedicationOrder DiagnosticOrder ProcedureRequest ReferralRequest BodySite"),
        ),
        "stu3": Version(
            "stu3",
            "3.0.2",
            "application/fhir+json",
            "CapabilityStatement",
            409,
            _types(
                """Media MedicationRequest ProcedureRequest ReferralRequest BodySite CareTeam PractitionerRole Consent
                Task"""
            ),
        ),
        "r4": Version(
            "r4",
            "4.0.1",
            "application/fhir+json",
            "CapabilityStatement",
            412,
            _types(f"Media {_SINCE_R4}"),
        ),
        "r4b": Version(
            "r4b",
            "4.3.0",
            "application/fhir+json",
            "CapabilityStatement",
            412,
            _types(f"Media {_SINCE_R4}"),
        ),
        # DocumentReference took the place of Media there (http://hl7.org/fhir/R5/diff.html).
        "r5": Version(
            "r5",
            "5.0.0",
            "application/fhir+json",
            "CapabilityStatement",
            412,
            _types(_SINCE_R4),
        ),
    }
)

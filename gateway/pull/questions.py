"""Which resource types to ask a server for, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.pull.metadata import Capability

__all__ = ["questions", "types_of"]

# Patients first, because everything else is about one; Medications before what refers to them.
_TYPES = (
    "Patient Medication Encounter Condition Observation {order} MedicationStatement Procedure AllergyIntolerance "
    "Immunization DiagnosticReport"
)
_ORDER = {"dstu2": "MedicationOrder", "stu3": "MedicationRequest", "r4": "MedicationRequest"}

# Types that are about the server, its vocabulary or its plumbing, and never about a patient.
_NOT_CLINICAL = frozenset(
    {
        *(
            "ActivityDefinition",
            "AuditEvent",
            "Basic",
            "Binary",
            "Bundle",
            "CapabilityStatement",
            "ChargeItemDefinition",
        ),
        *("CodeSystem", "CompartmentDefinition", "ConceptMap", "Conformance", "DataElement", "DeviceDefinition"),
        *("EffectEvidenceSynthesis", "Endpoint", "EventDefinition", "Evidence", "EvidenceVariable", "ExampleScenario"),
        *(
            "ExpansionProfile",
            "GraphDefinition",
            "HealthcareService",
            "ImplementationGuide",
            "InsurancePlan",
            "Library",
        ),
        *("Location", "Measure", "MessageDefinition", "MessageHeader", "NamingSystem", "OperationDefinition"),
        *(
            "OperationOutcome",
            "Organization",
            "OrganizationAffiliation",
            "Parameters",
            "PlanDefinition",
            "Practitioner",
        ),
        *(
            "PractitionerRole",
            "Questionnaire",
            "ResearchDefinition",
            "ResearchElementDefinition",
            "RiskEvidenceSynthesis",
        ),
        *("SearchParameter", "ServiceDefinition", "StructureDefinition", "StructureMap", "Subscription"),
        *(
            "SubstanceSpecification",
            "TerminologyCapabilities",
            "TestReport",
            "TestScript",
            "ValueSet",
            "Schedule",
            "Slot",
        ),
    }
)


def types_of(version: str) -> tuple[str, ...]:
    """Return the types that this release understands in a FHIR version, in the order in which they are asked for."""
    return tuple(_TYPES.format(order=_ORDER.get(version, "MedicationRequest")).split())


def questions(capability: Capability, told: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the types to ask for, and those of ours that the server does not offer.

    `told` (from the settings) is asked as it is. Otherwise it is our types that the server says it can search, and
    behind them its other types about patients, so that what we do not understand is counted, too. A server that lists
    no type at all is asked for ours.
    """
    if told:
        return tuple(dict.fromkeys(told)), ()
    ours = types_of(capability.fhir_version)
    if not any(capability.can_search(t) for t in capability.types):
        return ours, ()
    others = sorted(t for t in capability.types if capability.can_search(t) and t not in {*ours, *_NOT_CLINICAL})
    return (
        (*(t for t in ours if capability.can_search(t)), *others),
        tuple(t for t in ours if not capability.can_search(t)),
    )

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

# Types that are about the server, its vocabulary, its products or its plumbing, and never about a patient.
_NOT_CLINICAL = """
    ActivityDefinition ActorDefinition AdministrableProductDefinition ArtifactAssessment AuditEvent Basic Binary
    Bundle CapabilityStatement ChargeItemDefinition Citation ClinicalUseDefinition CodeSystem
    CompartmentDefinition ConceptMap ConditionDefinition Conformance DataElement DeviceDefinition
    EffectEvidenceSynthesis Endpoint EventDefinition Evidence EvidenceReport EvidenceVariable ExampleScenario
    ExpansionProfile FormularyItem GraphDefinition HealthcareService ImplementationGuide Ingredient InsurancePlan
    InventoryItem InventoryReport Library Location ManufacturedItemDefinition Measure MedicinalProductDefinition
    MessageDefinition MessageHeader NamingSystem NutritionProduct OperationDefinition OperationOutcome
    Organization OrganizationAffiliation PackagedProductDefinition Parameters Permission PlanDefinition
    Practitioner PractitionerRole Questionnaire RegulatedAuthorization Requirements ResearchDefinition
    ResearchElementDefinition RiskEvidenceSynthesis Schedule SearchParameter ServiceDefinition Slot
    StructureDefinition StructureMap Subscription SubscriptionStatus SubscriptionTopic SubstanceDefinition
    SubstanceSpecification TerminologyCapabilities TestPlan TestReport TestScript ValueSet
"""


def types_of(version: str) -> tuple[str, ...]:
    """Return the types that this release understands in a FHIR version, in the order in which they are asked for."""
    return tuple(_TYPES.format(order="MedicationOrder" if version == "dstu2" else "MedicationRequest").split())


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
    others = sorted(
        t for t in capability.types if capability.can_search(t) and t not in {*ours, *_NOT_CLINICAL.split()}
    )
    return (
        (*(t for t in ours if capability.can_search(t)), *others),
        tuple(t for t in ours if not capability.can_search(t)),
    )

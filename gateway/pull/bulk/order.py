"""What an export is asked for, and the forms in which it can be said: GET with commas, GET with repeats, POST.

Sources: Bulk Data Access IG 2.0.0 export.html#query-parameters ("the server SHALL treat the values provided as if they
were comma delimited"), 4.0.0-ballot OperationDefinition export (POST alone, no lists with commas).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from gateway.pull.metadata import Capability
from gateway.pull.profile import Bulk
from gateway.pull.questions import types_of
from gateway.source_settings import SourceSettings
from security.errors import BadSettings

__all__ = ["BY_PATIENT", "Form", "Level", "Order", "forms", "order_for"]

Level = Literal["system", "patient", "group"]
Form = Literal["get-commas", "post", "get-repeats"]
Left = Literal["_typeFilter", "_since", "_type"]

_FILTER = re.compile(r"([A-Z][A-Za-z]{1,63})\?\S.*")

# http://hl7.org/fhir/R4/compartmentdefinition-patient.html, but for types that are mostly about something else (Basic,
# Group, List, Person, Provenance, Schedule, AuditEvent, Media); with the names that STU3 and DSTU2 have for the same.
_BY_PATIENT = """
    Account AdverseEvent AllergyIntolerance Appointment AppointmentResponse BodySite BodyStructure CarePlan CareTeam
    ChargeItem Claim ClaimResponse ClinicalImpression Communication CommunicationRequest Composition Condition Consent
    Coverage DetectedIssue DeviceRequest DeviceUseRequest DeviceUseStatement DiagnosticOrder DiagnosticReport
    DocumentReference Encounter EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag Goal ImagingStudy
    Immunization ImmunizationEvaluation ImmunizationRecommendation MedicationAdministration MedicationDispense
    MedicationOrder MedicationRequest MedicationStatement MolecularSequence NutritionOrder Observation Patient Procedure
    ProcedureRequest QuestionnaireResponse ReferralRequest RelatedPerson RequestGroup ResearchSubject RiskAssessment
    ServiceRequest Specimen VisionPrescription
"""

BY_PATIENT: Final = frozenset(_BY_PATIENT.split())
"""Types of which an export of all patients holds all that is about a patient."""


class Order(msgspec.Struct, frozen=True):
    """One export as it is asked for.

    Parameters
    ----------
    types
        `_type`; empty where the server refuses it, and then all types come that it exports.
    since
        `_since`, an instant; "" for all.
    filters
        `_typeFilter`, as "Observation?category=laboratory".
    """

    level: Level
    group: str
    types: tuple[str, ...]
    since: str = ""
    filters: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it is kicked off, below the base."""
        if self.level == "group":
            return f"Group/{quote(self.group, safe='')}/$export"
        return "Patient/$export" if self.level == "patient" else "$export"

    def query(self, *, commas: bool) -> tuple[tuple[str, str], ...]:
        """Write it as the parameters of a GET.

        A comma in a filter is written %2C, so that it parts no filters. The guide says nothing of it; Epic, HAPI and
        Kodjin read it so (smart-fetch, bulk_utils.py).
        """
        pairs: list[tuple[str, str]] = []
        for name, values in (("_type", self.types), ("_typeFilter", self._escaped)):
            pairs += [(name, ",".join(values))] if commas and values else [(name, value) for value in values]
        return (*pairs, *([("_since", self.since)] if self.since else []))

    def parameters(self) -> bytes:
        """Write it as the body of a POST, each value by itself."""
        parts: list[dict[str, Any]] = [{"name": "_type", "valueString": type_} for type_ in self.types]
        parts += [{"name": "_typeFilter", "valueString": filter_} for filter_ in self._escaped]
        if self.since:
            parts.append({"name": "_since", "valueInstant": self.since})
        told = {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}
        return msgspec.json.encode(told)

    def filtered(self, type_: str) -> bool:
        """Say whether a type is filtered."""
        return any(filter_.startswith(f"{type_}?") for filter_ in self.filters)

    def watermark(self, type_: str) -> str:
        """Name the watermark of a type: asked for otherwise, what was left out before would be older than it.

        Other filters leave out something else, and an export of patients most of what is about no patient.
        """
        filters = sorted(filter_ for filter_ in self.filters if filter_.startswith(f"{type_}?"))
        part = (*filters, *(["of patients"] if self.level == "patient" and type_ not in BY_PATIENT else []))
        return f"{type_}?{hashlib.sha256(msgspec.json.encode(part)).hexdigest()[:16]}" if part else type_

    def without_type(self, *types: str) -> Order:
        """Leave types out, with their filters."""
        filters = tuple(each for each in self.filters if each.partition("?")[0] not in types)
        return msgspec.structs.replace(self, types=tuple(t for t in self.types if t not in types), filters=filters)

    def without(self, parameter: Left) -> Order:
        """Leave a whole parameter out: more comes then, never less."""
        match parameter:
            case "_since":
                return msgspec.structs.replace(self, since="")
            case "_typeFilter":
                return msgspec.structs.replace(self, filters=())
            case "_type":
                return msgspec.structs.replace(self, types=())

    def has(self, parameter: Left) -> bool:
        """Say whether a parameter is said at all."""
        return bool({"_since": self.since, "_typeFilter": self.filters, "_type": self.types}[parameter])

    @property
    def _escaped(self) -> tuple[str, ...]:
        return tuple(filter_.replace(",", "%2C") for filter_ in self.filters)


def order_for(settings: SourceSettings, capability: Capability, bulk: Bulk) -> Order:
    """Make the order for a source: the types from its settings, or those that this release understands.

    An export takes a server hours, so types that we would refuse are not asked for, as a crawl does. Raises
    `BadSettings` where a filter cannot be read, or a group is needed and not told.
    """
    filters = tuple(dict.fromkeys(each.strip() for each in settings.filters))
    if not all(_FILTER.fullmatch(each) for each in filters):
        raise BadSettings(
            "A filter of the export is not a type and a query.", hint='Write it as "Observation?category=laboratory".'
        )
    level, group = settings.export, settings.group.strip().removeprefix("Group/")
    if not level:
        level = "group" if group else "patient"
        if level == "patient" and bulk.levels and "patient" not in bulk.levels:
            if "system" not in bulk.levels:
                raise BadSettings(
                    "This server exports groups only.", hint="Name one of its groups as group in twin.toml."
                )
            level = "system"
    told = settings.types or tuple(
        type_ for type_ in types_of(capability.fhir_version) if not capability.types or type_ in capability.types
    )
    types = dict.fromkeys([*(told or types_of(capability.fhir_version)), *(each.partition("?")[0] for each in filters)])
    return Order(level, group if level == "group" else "", tuple(types), filters=filters)


def forms(order: Order, bulk: Bulk) -> Sequence[Form]:
    """List the forms in which an order can be said, the likeliest first; those that say the same are left out."""
    found: list[Form] = ["get-commas", "post", "get-repeats"]
    if bulk.commas == "no":
        found = ["get-repeats", "post", "get-commas"]
    if bulk.post == "yes":
        found.sort(key=lambda form: form != "post")
    elif bulk.post == "no":
        found.remove("post")
    if len(order.types) < 2 and len(order.filters) < 2:
        found.remove("get-repeats" if bulk.commas != "no" else "get-commas")
    return found

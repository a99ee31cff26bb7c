"""Resources into facts, links and refusals: always at least one, whatever the resource holds."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mappers.bundles import OPENED, items_of, names_of, patient_of, users_of
from mappers.codes import BUILT_IN, Codes
from mappers.elements import Json, objects, text
from mappers.facts import Link, Origin, Outcome, Refusal
from mappers.open_mhealth.header import is_point
from mappers.open_mhealth.point import map_point
from mappers.references import SUPPORTING, subject_of
from mappers.resources.administration import map_administration
from mappers.resources.adverse_event import map_adverse_event
from mappers.resources.allergy import map_allergy
from mappers.resources.condition import map_condition
from mappers.resources.coverage import map_coverage
from mappers.resources.device import map_device, map_device_use
from mappers.resources.dispense import map_dispense
from mappers.resources.document import map_composition, map_document, map_media
from mappers.resources.encounter import map_encounter, map_episode
from mappers.resources.family import map_family_history
from mappers.resources.genomic_study import map_genomic_study
from mappers.resources.imaging import map_imaging
from mappers.resources.immunisation import map_immunisation
from mappers.resources.measurement import map_observation
from mappers.resources.medication import map_request, map_statement
from mappers.resources.order import map_device_request, map_diagnostic_order, map_service_request
from mappers.resources.patient import map_patient
from mappers.resources.plan import map_care_plan, map_care_team, map_goal, map_nutrition
from mappers.resources.procedure import map_procedure
from mappers.resources.questionnaire import map_questionnaire_response
from mappers.resources.record import map_consent, map_provenance
from mappers.resources.report import map_report
from mappers.resources.risk import map_risk
from mappers.resources.sheet import MAPPING, Sheet, is_simulated, modifier_problem
from mappers.resources.study import map_research_subject
from mappers.versions import TYPES, FhirVersion
from mappers.versions.moves import to_r4

__all__ = ["MAPPING", "as_link", "map_resource"]

MAPPERS: Final[Mapping[str, Callable[[Sheet], Iterator[Outcome]]]] = {
    "AdverseEvent": map_adverse_event,
    "AllergyIntolerance": map_allergy,
    "CarePlan": map_care_plan,
    "CareTeam": map_care_team,
    "Composition": map_composition,
    "Condition": map_condition,
    "Consent": map_consent,
    "Coverage": map_coverage,
    "Device": map_device,
    "DeviceRequest": map_device_request,
    "DeviceUsage": map_device_use,
    "DeviceUseStatement": map_device_use,
    "DiagnosticOrder": map_diagnostic_order,
    "DiagnosticReport": map_report,
    "DocumentReference": map_document,
    "Encounter": map_encounter,
    "EpisodeOfCare": map_episode,
    "FamilyMemberHistory": map_family_history,
    "GenomicStudy": map_genomic_study,
    "Goal": map_goal,
    "ImagingStudy": map_imaging,
    "Immunization": map_immunisation,
    "Media": map_media,
    "MedicationAdministration": map_administration,
    "MedicationDispense": map_dispense,
    "MedicationRequest": map_request,
    "MedicationStatement": map_statement,
    "NutritionOrder": map_nutrition,
    "Observation": map_observation,
    "Patient": map_patient,
    "Procedure": map_procedure,
    "Provenance": map_provenance,
    "QuestionnaireResponse": map_questionnaire_response,
    "ResearchSubject": map_research_subject,
    "RiskAssessment": map_risk,
    "ServiceRequest": map_service_request,
}
"""A function for each type that we map, by its R4 name."""

_AS_IT_STANDS: Final = frozenset({"DiagnosticOrder"})  # several orders in one, for which R4 has no shape
_ABOUT_OTHERS: Final = frozenset({map_patient, map_provenance})
_OF_A_PATIENT: Final = frozenset(kind for kind, mapper in MAPPERS.items() if mapper is not map_provenance)
_TYPES: Final = frozenset().union(*TYPES.values())


def map_resource(
    resource: Json, version: FhirVersion, origin: Origin, linked: Mapping[str, Json], codes: Codes = BUILT_IN
) -> list[Outcome]:
    """Map one resource: facts, links and refusals, at least one of them.

    Pure and total: it depends on its arguments and the tables alone, and no JSON makes it raise. `linked` maps
    references, as they are written, to the resources that they name (`mappers.references_of` lists those that are
    wanted); they are of the same version. `codes` reads codes by tables of a user's own, beside ours.
    """
    if is_point(resource):
        return map_point(resource, origin, codes)
    kind = text(resource.get("resourceType"))
    if kind not in TYPES[version]:
        return [Refusal(_strange(kind), origin)]
    if kind in SUPPORTING and kind not in MAPPERS:
        return [Refusal("unused-link", origin)]
    if is_simulated(resource):
        return [Refusal("simulated", origin)]
    is_mapped = kind in MAPPERS or kind == "Bundle" or version not in ("r4", "r4b")  # under this name
    contained = objects(resource["contained"]) if "contained" in resource and is_mapped else []
    found: Mapping[str, Json] = linked
    if contained:
        inside = {f"#{text(each.get('id'))}": each for each in contained}
        found = ChainMap(inside, linked)  # type: ignore[arg-type]  # ChainMap writes to the first only, and we only read
    if kind == "Bundle" and not origin.path and text(resource.get("type")) in OPENED:
        return _document(resource, version, origin, found, codes)
    shaped = resource if kind in _AS_IT_STANDS else to_r4(resource, version)
    sheet = Sheet(shaped, origin, found, codes.of(origin.source))
    outcomes = list(_outcomes(sheet, resource))
    if contained and text(sheet.body.get("resourceType")) in MAPPERS:
        outcomes += _statements_inside(sheet, contained, version)
    return outcomes


def _strange(kind: str) -> str:
    if not kind:
        return "not-fhir"
    return "wrong-version" if kind in _TYPES else "unknown-type"


def _outcomes(sheet: Sheet, resource: Json) -> Iterator[Outcome]:
    mapper = MAPPERS.get(text(sheet.body.get("resourceType")))
    if mapper is None:
        yield sheet.refuse("unsupported-type")
    elif problem := modifier_problem(sheet.body):
        yield sheet.refuse(problem)
    elif mapper not in _ABOUT_OTHERS and not sheet.origin.path and subject_of(resource) is None:
        yield sheet.refuse("unused-link" if resource.get("resourceType") in SUPPORTING else "no-subject")
    else:
        yield from mapper(sheet)


def _document(
    bundle: Json, version: FhirVersion, origin: Origin, linked: Mapping[str, Json], codes: Codes
) -> list[Outcome]:
    """Map each entry of a document about the patient of the document; what is about somebody else is refused."""
    items, (written, _) = items_of(bundle), patient_of(bundle)
    sheet = Sheet(bundle, origin, linked, codes)
    if problem := modifier_problem(bundle) or ("" if items else "no-value") or ("" if written else "no-subject"):
        return [sheet.refuse(problem)]
    named = {name: item for item in items for name in names_of(item)}
    people = {written, *(names_of(named[written]) if written in named else ())}
    users = users_of(items)
    inside = {name: item.resource for name, item in named.items()}
    known: Mapping[str, Json] = ChainMap(inside, linked)  # type: ignore[arg-type]  # read only, as above
    outcomes: list[Outcome] = [as_link(origin, items[0].full_url or written)]
    for item in items:
        at, about = sheet.at(item.place), subject_of(item.resource)
        made = map_resource(item.resource, version, at, known, codes)
        unused = made == [Refusal("unused-link", at)]
        if about is not None and about not in people:
            made = [Refusal("other-focus", at)]
        elif unused and (user := next((users[name] for name in names_of(item) if name in users), None)):
            made = [as_link(at, user)]
        elif not unused and about is None and text(item.resource.get("resourceType")) in _OF_A_PATIENT:
            made = [Refusal("no-subject", at)]
        outcomes += made
    return outcomes


def _statements_inside(sheet: Sheet, contained: list[Json], version: FhirVersion) -> list[Outcome]:
    """Map clinical statements that stand inside a resource (results of a report), about the same patient."""
    outcomes: list[Outcome] = []
    for index, each in enumerate(contained):
        shaped = to_r4(each, version)
        mapper = MAPPERS.get(text(shaped.get("resourceType")))
        if mapper is None or mapper in _ABOUT_OTHERS or text(shaped.get("resourceType")) in SUPPORTING:
            continue  # a medicine, a practitioner, a place: they say nothing by themselves
        inner = Sheet(shaped, sheet.at(f"contained[{index}]"), sheet.linked, sheet.codes)
        outcomes += [inner.refuse("simulated")] if is_simulated(each) else _outcomes(inner, each)
    return outcomes


def as_link(origin: Origin, target: str) -> Link:
    """Say that a resource is used: `target` names the one that uses it. Only who sees all resources can tell."""
    return Link(origin, target)

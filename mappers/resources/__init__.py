"""Resources into facts, links and refusals: always at least one, whatever the resource holds."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mappers.elements import Json, objects, text
from mappers.facts import Link, Origin, Outcome, Refusal
from mappers.references import LINKABLE, subject_of
from mappers.resources.administration import map_administration
from mappers.resources.allergy import map_allergy
from mappers.resources.condition import map_condition
from mappers.resources.encounter import map_encounter
from mappers.resources.immunisation import map_immunisation
from mappers.resources.measurement import map_observation
from mappers.resources.medication import map_request, map_statement
from mappers.resources.patient import map_patient
from mappers.resources.procedure import map_procedure
from mappers.resources.report import map_report
from mappers.resources.sheet import MAPPING, Sheet, is_simulated, modifier_problem
from mappers.versions import TYPES, FhirVersion
from mappers.versions.moves import to_r4

__all__ = ["MAPPING", "as_link", "map_resource"]

MAPPERS: Final[Mapping[str, Callable[[Sheet], Iterator[Outcome]]]] = {
    "AllergyIntolerance": map_allergy,
    "Condition": map_condition,
    "DiagnosticReport": map_report,
    "Encounter": map_encounter,
    "Immunization": map_immunisation,
    "MedicationAdministration": map_administration,
    "MedicationRequest": map_request,
    "MedicationStatement": map_statement,
    "Observation": map_observation,
    "Patient": map_patient,
    "Procedure": map_procedure,
}
"""A function for each type that we map, by its R4 name."""

_TYPES: Final = frozenset().union(*TYPES.values())


def map_resource(resource: Json, version: FhirVersion, origin: Origin, linked: Mapping[str, Json]) -> list[Outcome]:
    """Map one resource: facts, links and refusals, at least one of them.

    Pure and total: it depends on its arguments and the tables alone, and no JSON makes it raise. `linked` maps
    references, as they are written, to the resources that they name (`mappers.references_of` lists those that are
    wanted); they are of the same version.
    """
    kind = text(resource.get("resourceType"))
    if kind not in TYPES[version]:
        return [Refusal(_strange(kind), origin)]
    if kind in LINKABLE:
        return [Refusal("unused-link", origin)]
    if is_simulated(resource):
        return [Refusal("simulated", origin)]
    contained = objects(resource["contained"]) if "contained" in resource else []
    found: Mapping[str, Json] = linked
    if contained:
        inside = {f"#{text(each.get('id'))}": each for each in contained}
        found = ChainMap(inside, linked)  # type: ignore[arg-type]  # ChainMap writes to the first only, and we only read
    sheet = Sheet(to_r4(resource, version), origin, found)
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
    elif mapper is not map_patient and not sheet.origin.path and subject_of(resource) is None:
        yield sheet.refuse("no-subject")
    else:
        yield from mapper(sheet)


def _statements_inside(sheet: Sheet, contained: list[Json], version: FhirVersion) -> list[Outcome]:
    """Map clinical statements that stand inside a resource (results of a report), about the same patient."""
    outcomes: list[Outcome] = []
    for index, each in enumerate(contained):
        shaped = to_r4(each, version)
        mapper = MAPPERS.get(text(shaped.get("resourceType")))
        if mapper is None or mapper is map_patient:
            continue  # a medicine, a practitioner, a place: they say nothing by themselves
        inner = Sheet(shaped, sheet.at(f"contained[{index}]"), sheet.linked)
        outcomes += [inner.refuse("simulated")] if is_simulated(each) else _outcomes(inner, each)
    return outcomes


def as_link(origin: Origin, target: str) -> Link:
    """Say that a resource is used: `target` names the one that uses it. Only who sees all resources can tell."""
    return Link(origin, target)

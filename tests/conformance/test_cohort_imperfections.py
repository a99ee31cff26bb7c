"""What docs/cohort.md says of the people and of their EHRs' faults is what the generator makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import EHRS, Cohort, build
from conformance.cohort.cast import CAST

PAGE = (Path(__file__).parents[2] / "docs" / "cohort.md").read_text(encoding="utf-8")

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return build(7, date(2026, 11, 24))


@pytest.fixture(scope="module")
def held(cohort: Cohort) -> dict[tuple[str, str], list[Resource]]:
    """Everything by person and EHR."""
    found: dict[tuple[str, str], list[Resource]] = {}
    for ehr in EHRS:
        owners = {member.ids[ehr]: member.id for member in cohort.people if ehr in member.ids}
        for bundle in cohort.bundles(ehr)[1:]:
            resources = [entry["resource"] for entry in bundle["entry"]]
            patient = next(one["id"] for one in resources if one["resourceType"] == "Patient")
            found[owners[patient], ehr] = resources
    return found


def rows(heading: str) -> list[list[str]]:
    """Read the table under a heading of the page, without its own heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_people_is_what_the_generator_makes(cohort: Cohort):
    told = [row[:6] for row in rows("The people")]
    made = [
        [
            role.id,
            role.story,
            f"{'woman' if role.sex == 'female' else 'man'}, {role.age}",
            ", ".join(cohort.person(role.id).ehrs),
            role.shared,
            role.habit,
        ]
        for role in CAST
    ]
    assert told == made


def observations(resources: list[Resource]) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == "Observation"]


def quantities(one: Resource) -> list[Resource]:
    parts = [one, *one.get("component", [])]
    return [part["valueQuantity"] for part in parts if "valueQuantity" in part]


def observed(wrong: Callable[[Resource], bool]) -> Callable[[list[Resource]], int]:
    return lambda resources: sum(wrong(one) for one in observations(resources))


def said(one: Resource) -> str:
    return str(one["code"].get("text", ""))


def shown(one: Resource) -> str:
    [found] = quantities(one)
    return f"{found['value']} {found['unit']}"


def contradictions(resources: list[Resource]) -> int:
    """Count ejection fractions that are not what their volumes of the same moment leave."""
    found: dict[str, dict[str, float]] = {}
    for one in observations(resources):
        for part in ("Ejection fraction", "End diastolic volume", "End systolic volume"):
            if part in said(one):
                found.setdefault(one["effectiveDateTime"], {})[part] = float(quantities(one)[0]["value"])
    return sum(
        abs(each["Ejection fraction"] - 100 * (1 - each["End systolic volume"] / each["End diastolic volume"])) > 5
        for each in found.values()
    )


FAULTS: dict[str, Callable[[list[Resource]], int]] = {
    "without unit": observed(lambda one: any("unit" not in found for found in quantities(one))),
    '"percent"': observed(
        lambda one: any(found.get("unit") == "percent" and "code" not in found for found in quantities(one))
    ),
    '"mmHg"': observed(
        lambda one: any(found.get("unit") == "mmHg" and "code" not in found for found in quantities(one))
    ),
    "code of the house only": observed(
        lambda one: (
            not any("loinc" in coding["system"] or "snomed" in coding["system"] for coding in one["code"]["coding"])
        )
    ),
    "entered in error": observed(lambda one: one["status"] == "entered-in-error"),
    "preliminary": observed(lambda one: one["status"] == "preliminary"),
    "dated to the month": observed(lambda one: len(one.get("effectiveDateTime", "")) == 7),
    "refuted": lambda resources: sum(
        "refuted" in str(one.get("verificationStatus")) for one in resources if one["resourceType"] == "Condition"
    ),
    "not given": lambda resources: sum(
        bool(one.get("wasNotGiven") or one.get("notGiven") or one["status"] == "not-done")
        for one in resources
        if one["resourceType"] == "Immunization"
    ),
    "height of 1.8 cm": observed(lambda one: said(one) == "Body height" and shown(one) == "1.8 cm"),
    "temperature of 98.6 °C": observed(lambda one: said(one) == "Body temperature" and shown(one) == "98.6 °C"),
    "heart rate of 720": observed(lambda one: said(one) == "Heart rate" and shown(one).startswith("720 ")),
    "contradict": contradictions,
    "below the limit of detection": observed(
        lambda one: any(found.get("comparator") == "<" for found in quantities(one))
    ),
}


@pytest.mark.parametrize(("person", "ehr", "wrong"), [tuple(row) for row in rows("Imperfections, on purpose")])
def test_every_imperfection_that_the_page_lists_is_there(
    held: dict[tuple[str, str], list[Resource]], person: str, ehr: str, wrong: str
):
    [count] = [count for words, count in FAULTS.items() if words in wrong]
    found = count(held[person, ehr])
    assert found >= 1 if "pressures" in wrong else found == 1


def test_every_kind_of_imperfection_is_listed():
    listed = [row[2] for row in rows("Imperfections, on purpose")]
    assert all(any(words in line for line in listed) for words in FAULTS)


def test_what_the_page_does_not_list_is_not_there(held: dict[tuple[str, str], list[Resource]]):
    listed = {
        (person, ehr, words)
        for person, ehr, wrong in rows("Imperfections, on purpose")
        for words in FAULTS
        if words in wrong
    }
    made = {(*where, words) for where, resources in held.items() for words, count in FAULTS.items() if count(resources)}
    assert made == listed

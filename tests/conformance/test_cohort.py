"""The cohort as a whole: it is the same for the same seed, it loads, and the truth about who is who can be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest

from conformance.cohort import EHRS, VERSIONS, Cohort, build, to_json
from conformance.hostile import Ehr, EhrSettings

TODAY = date(2026, 11, 24)
SEEDS = (7, 20261124)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return build(7, TODAY)


def resources(cohort: Cohort, ehr: str) -> list[dict[str, Any]]:
    return [entry["resource"] for bundle in cohort.bundles(ehr) for entry in bundle["entry"]]


def everything_in(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from everything_in(one)


def test_the_same_seed_and_day_give_the_same_bytes():
    first, second = (
        b"".join(to_json(bundle) for ehr in EHRS for bundle in build(11, TODAY).bundles(ehr)) for _ in range(2)
    )
    assert first == second


def test_another_seed_gives_other_names_and_other_values(cohort: Cohort):
    other = build(8, TODAY)
    assert [person.faces for person in other.persons] != [person.faces for person in cohort.persons]
    assert to_json(other.bundles("summit")[3]) != to_json(cohort.bundles("summit")[3])


def test_who_is_who_does_not_depend_on_the_day(cohort: Cohort):
    later = build(7, date(2026, 12, 3))
    assert [(one.id, dict(one.ids)) for one in later.people] == [(one.id, dict(one.ids)) for one in cohort.people]
    assert [person.born for person in later.persons] == [person.born for person in cohort.persons]


@pytest.mark.parametrize("ehr", EHRS)
def test_an_ehr_of_its_version_loads_it(cohort: Cohort, ehr: str):
    server = Ehr(EhrSettings(name=ehr, fhir_version=VERSIONS[ehr]))
    loaded = server.load(*(to_json(bundle) for bundle in cohort.bundles(ehr)))
    assert loaded == len(resources(cohort, ehr))


@pytest.mark.parametrize("ehr", EHRS)
def test_every_reference_leads_to_a_resource_of_the_same_ehr(cohort: Cohort, ehr: str):
    held = resources(cohort, ehr)
    there = {f"{resource['resourceType']}/{resource['id']}" for resource in held}
    assert len(there) == len(held)
    named = {
        found["reference"] for found in everything_in(held) if isinstance(found, dict) and "reference" in found
    } - {"#med"}
    assert named <= there


@pytest.mark.parametrize("ehr", EHRS)
def test_nothing_is_null_or_empty(cohort: Cohort, ehr: str):
    assert [found for found in everything_in(resources(cohort, ehr)) if found is None or found in ("", [], {})] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_small_enough_for_a_demonstration(seed: int):
    cohort = build(seed, TODAY)
    assert 3000 <= sum(len(resources(cohort, ehr)) for ehr in EHRS) <= 6000
    assert len(cohort.people) == 24


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_recorded_before_it_happened_or_after_the_eve(seed: int):
    cohort = build(seed, TODAY)
    for ehr in EHRS:
        for resource in resources(cohort, ehr):
            if "meta" in resource:
                assert datetime.fromisoformat(resource["meta"]["lastUpdated"]).date() <= TODAY
            told = resource.get("effectiveDateTime", "")
            if "T" in told:
                stored = datetime.fromisoformat(resource["meta"]["lastUpdated"])
                assert datetime.fromisoformat(told) < stored


def test_numbers_keep_the_digits_that_the_laboratory_wrote(cohort: Cohort):
    raw = b"".join(to_json(bundle) for bundle in cohort.bundles("harbor"))
    assert b'"value":2.10,' in raw  # thyrotropin of p23


# -- who is who ---------------------------------------------------------------------------------------------------


def test_the_truth_names_a_patient_that_is_there(cohort: Cohort):
    told = {ehr: sorted(member.ids[ehr] for member in cohort.people if ehr in member.ids) for ehr in EHRS}
    held = {
        ehr: sorted(one["id"] for one in resources(cohort, ehr) if one["resourceType"] == "Patient") for ehr in EHRS
    }
    assert told == held


def test_some_people_are_in_two_ehrs_and_some_in_three(cohort: Cohort):
    spread = Counter(len(member.ehrs) for member in cohort.people)
    assert spread[2] >= 5
    assert spread[3] >= 2
    for member in cohort.people:
        assert len(set(member.ids.values())) == len(member.ids), "logical ids differ between EHRs"


@pytest.mark.parametrize("seed", SEEDS)
def test_who_has_no_shared_identifier_has_the_same_name_birthday_and_sex_everywhere(seed: int):
    plain = []
    for person in build(seed, TODAY).persons:
        shared = set.intersection(
            *({(one.system, one.value.replace("-", "")) for one in face.identifiers} for face in person.faces.values())
        )
        if len(person.faces) > 1 and not shared:
            plain.append(person.id)
            assert len({face.names for face in person.faces.values()}) == 1
    assert plain == ["p10", "p15"]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_identifier_is_borne_by_two_people(seed: int):
    borne = Counter(
        identifier
        for person in build(seed, TODAY).persons
        for identifier in {
            (one.system, one.value.replace("-", "")) for face in person.faces.values() for one in face.identifiers
        }
    )
    assert set(borne.values()) == {1}


@pytest.mark.parametrize("seed", SEEDS)
def test_father_and_son_and_the_twins_look_alike_and_are_not_the_same(seed: int):
    cohort = build(seed, TODAY)
    son, father = cohort.person("p07"), cohort.person("p18")
    assert son.faces["lakeside"].names[0].family == father.faces["lakeside"].names[0].family
    assert son.faces["lakeside"].names[0].given[0] == father.faces["lakeside"].names[0].given[0]
    assert son.born != father.born
    one, other = cohort.person("p23"), cohort.person("p24")
    assert (one.born, one.sex) == (other.born, other.sex)
    assert one.faces["harbor"].names[0].family == other.faces["summit"].names[0].family
    assert one.faces["harbor"].address == other.faces["summit"].address
    assert one.faces["harbor"].names[0].given != other.faces["summit"].names[0].given


@pytest.mark.parametrize("seed", SEEDS)
def test_apart_from_the_look_alikes_no_two_people_share_name_and_birthday(seed: int):
    borne = Counter(
        (face.names[0].family, face.names[0].given[0], person.born)
        for person in build(seed, TODAY).persons
        for face in [next(iter(person.faces.values()))]
    )
    assert set(borne.values()) == {1}


def test_only_copied_results_are_in_two_ehrs(cohort: Cohort):
    copied = {
        (id_, happened.analyte.name)
        for id_, events in cohort.events.items()
        for happened in events
        if len(happened.where) > 1
    }
    assert copied == {("p01", "hba1c"), ("p08", "nt-probnp"), ("p11", "crp")}


def test_nobody_could_be_taken_for_a_real_person(cohort: Cohort):
    for person in cohort.persons:
        for face in person.faces.values():
            assert face.phone.startswith("555-01")  # kept for fiction
            assert face.address.country == "ZZ"  # ISO 3166-1: user-assigned
            for identifier in face.identifiers:
                if identifier.kind == "SS":
                    digits = identifier.value.replace("-", "")
                    # No social security number begins with 9; a taxpayer number there has a group of 50 or more.
                    assert digits[0] == "9"
                    assert int(digits[3:5]) < 50
                else:
                    assert ".example" in identifier.system or identifier.system.startswith("urn:oid:2.25.")

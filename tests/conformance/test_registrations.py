"""A town registers as its rates say: matching is judged by what is published, not by what it is good at."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from conformance.cohort.petnames import pet_names
from conformance.cohort.registrations import Rates, register
from tests.mappers.town import NAMES

COUNT = 3000


@pytest.fixture(scope="module")
def town():
    return register(NAMES, count=COUNT, seed=7)


def of_person(town):
    found = defaultdict(list)
    for each in town:
        found[each.who].append(each.patient)
    return found


def test_a_seed_tells_a_town(town):
    assert register(NAMES, count=COUNT, seed=7) == town
    assert register(NAMES, count=200, seed=8) != register(NAMES, count=200, seed=9)


def test_people_register_with_as_many_sources_as_told(town):
    sources = Counter(len(patients) for patients in of_person(town).values())
    assert sum(sources.values()) == COUNT
    assert sources[1] / COUNT == pytest.approx(0.3, abs=0.03)
    assert sources[2] / COUNT == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(
    ("field", "is_there", "missing"),
    [
        ("birthDate", lambda p: "birthDate" in p, 0.012),
        ("address", lambda p: "address" in p, 0.053),
        ("SSN", lambda p: len(p["identifier"]) == 2, 0.496),
        ("phone", lambda p: any(t["system"] == "phone" for t in p.get("telecom", ())), 0.306),
        ("email", lambda p: any(t["system"] == "email" for t in p.get("telecom", ())), 0.363),
    ],
)
def test_what_is_missing_is_missing_as_often_as_published(town, field, is_there, missing):
    share = sum(not is_there(each.patient) for each in town) / len(town)
    assert share == pytest.approx(missing, abs=0.02), field


def test_birth_dates_and_surnames_differ_in_about_as_many_pairs_as_told(town):
    pairs = [(p[0], p[1]) for p in of_person(town).values() if len(p) > 1]
    born = [a["birthDate"] != b["birthDate"] for a, b in pairs if "birthDate" in a and "birthDate" in b]
    families = [a["name"][0]["family"].lower() != b["name"][0]["family"].lower() for a, b in pairs]
    assert sum(born) / len(born) == pytest.approx(0.03, abs=0.015)
    assert sum(families) / len(families) == pytest.approx(0.09, abs=0.03)  # 5 % slips, the rest marriages and compounds


def test_there_are_twins_and_namesakes(town):
    first = [patients[0] for patients in of_person(town).values()]
    homes, full = Counter(), Counter()
    for each in first:
        name = each["name"][0]
        if "address" in each and "birthDate" in each:
            homes[each["address"][0]["line"][0], each["birthDate"]] += 1
        full[name["family"].lower(), name["given"][0].lower(), each.get("gender")] += 1
    assert sum(count > 1 for count in homes.values()) >= 10
    assert sum(count > 1 for count in full.values()) >= 20


def test_clerks_who_err_twice_as_often_leave_out_no_more():
    rates, twice = Rates(), Rates().times(2)
    assert twice.typo_given == 2 * rates.typo_given
    assert twice.married_name == 2 * rates.married_name
    assert twice.missing_ssn == rates.missing_ssn


def test_pet_names_lead_both_ways():
    assert "bill" in pet_names("william")
    assert "william" in pet_names("bill")
    assert pet_names("ludmila") == ()

"""Non-interference: an answer is the same to the byte with and without what its caller may not see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.refusal import Refusal
from gateway.api.shown import Gone, Shown
from gateway.home import Home
from security.policy import Caller
from tests.gateway.api.search.people import Records
from tests.gateway.api.search.ward import BASE, START, Desk, Hiding, Ward, caller, link, observation

SEED = 5
P0, P1 = f"s{SEED}-p0", f"s{SEED}-p1"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
RECORDS = Records(SEED, 4)
ALL = [(each, person) for person in RECORDS.people for each in RECORDS.of[person]]

QUERIES = [
    "Observation?_count=5", "Observation?_count=3&_sort=-date",
    "Observation?_sort=value-quantity,-date&_count=4", f"Observation?patient={P0}",
    f"Patient/{P0}/Observation?_count=2", f"Patient?_id={P0}", f"Patient?_id={P1},{P0}",
    "Observation?_summary=count", "Observation?_total=accurate&_count=2", "Patient?_summary=count",
    "Condition?_count=0", "Observation?_include=*&_count=4",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:location",
    "Observation?_revinclude=Provenance:target&_count=4", "Patient?_revinclude=Condition:patient&_count=2",
    "Observation?patient.gender=female&_count=3", "Observation?encounter.status=finished&_count=3",
    "Patient?_has:Observation:patient:status=final",
    "Patient?_has:Condition:patient:clinical-status=active&_sort=family",
    "Practitioner?_has:Observation:performer:status=preliminary",
    "Encounter?_has:Condition:encounter:code=718-7", "Observation?_elements=code&_count=3",
    "Observation?_sort=_lastUpdated&_count=3", "Patient?name=sch&_sort=birthdate",
    "Provenance?target:Observation.status=final",
    "Observation?_has:Provenance:target:recorded=gt2000&_count=2", "Observation?code:not=718-7&_count=5",
    "Observation?value-quantity:missing=true&_count=5", "Condition?_sort=-onset-date",
    "Observation?_lastUpdated=ge2026&_sort=-_lastUpdated&_count=4", "DiagnosticReport?result.status=final",
    "DiagnosticReport?_include=DiagnosticReport:result&_include:iterate=Observation:encounter",
    "Observation?colour=red",
]  # fmt: skip


def charted(keep: Callable[[dict[str, Any], str], bool]) -> Ward:
    """The ward with what is kept; what stays has the same times and versions in each."""
    ward = Ward()
    for each in RECORDS.shared:
        ward.put(each, updated=START)
    for number, (each, person) in enumerate(ALL):
        if each["resourceType"] == "Patient" and person not in ward._tenants:
            ward._tenants[person] = ""
        if keep(each, person):
            ward.put(each, person, updated=START.replace(minute=number // 60, second=number % 60))
    ward.clock = START.replace(hour=5)
    return ward


def answers(desk: Desk, query: str) -> list[bytes]:
    """All pages, with the sealed positions blotted out; a refusal is an answer, too."""
    found, url = [], query
    while url:
        try:
            body = desk.ask(url).body
        except Refusal as refusal:
            return [*found, repr((refusal.status, refusal.outcome(), refusal.headers)).encode()]
        assert isinstance(body, bytes)
        found.append(re.sub(rb"_page=[A-Za-z0-9_-]+", lambda token: b"_page=...%d" % (len(token[0]) // 999), body))
        url = link(json.loads(body), "next")
    return found


CALLERS: list[Caller] = [
    caller("user/*.cruds"),
    caller("user/Observation.rs", "user/Patient.rs", "user/Practitioner.rs"),
    caller(
        "user/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
        "user/Patient.rs",
    ),
    caller("patient/*.rs", patient=P0),
    caller("patient/Observation.rs?status=final", "patient/Patient.r", "patient/Encounter.rs", patient=P0),
    caller("user/Patient.s", "user/Observation.s", "user/Condition.s"),
]


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def same(full: Desk, bare: Desk) -> None:
    """Ask both all questions."""
    for query in QUERIES:
        assert answers(full, query) == answers(bare, query), query


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(st.sampled_from(CALLERS), st.sets(st.integers(0, len(ALL) - 1), min_size=10, max_size=60))
def test_what_consents_hide_changes_no_byte(home: Home, who: Caller, hidden: set[int]):
    names = {f"{ALL[n][0]['resourceType']}/{ALL[n][0]['id']}" for n in hidden}
    full = Desk(charted(lambda each, person: True), home, who, Hiding(lambda shown: shown_as(shown) in names))
    bare = Desk(charted(lambda each, person: f"{each['resourceType']}/{each['id']}" not in names), home, who)
    same(full, bare)


@pytest.mark.parametrize("type_", ["Encounter", "Condition", "Provenance", "Observation", "Patient"])
def test_a_class_that_consents_hide_changes_no_byte(home: Home, type_: str):
    full = Desk(charted(lambda each, person: True), home, consents=Hiding(lambda shown: shown.type == type_))
    bare = Desk(charted(lambda each, person: each["resourceType"] != type_), home)
    same(full, bare)


@pytest.mark.parametrize("who", CALLERS[3:5])
def test_other_patients_change_no_byte_for_one_patients_app(home: Home, who: Caller):
    full = Desk(charted(lambda each, person: True), home, who)
    bare = Desk(charted(lambda each, person: person == P0), home, who)
    same(full, bare)


def test_another_tenant_changes_no_byte(home: Home):
    full, bare = (charted(lambda each, person: True), charted(lambda each, person: person in (P0, P1)))
    for person in RECORDS.people:
        if person not in (P0, P1):
            full._tenants[person] = "north"
            bare._tenants.pop(person)
    same(Desk(full, home), Desk(bare, home))


@pytest.mark.parametrize("category", ["laboratory", "vital-signs"])
def test_what_a_constrained_scope_leaves_out_changes_no_byte(home: Home, category: str):
    own = ("user/Patient.rs", "user/Provenance.rs", "user/Encounter.rs", "user/DiagnosticReport.rs")
    who = caller(f"user/Observation.rs?category={CATEGORY}|{category}", *own)

    def allowed(each: dict[str, Any], person: str) -> bool:
        told = each.get("category", [{}])[0].get("coding", [{}])[0].get("code")
        return each["resourceType"] != "Observation" or told == category

    same(Desk(charted(lambda each, person: True), home, who), Desk(charted(allowed), home, who))


def test_an_older_version_that_is_hidden_does_not_say_where_a_newer_one_stands(home: Home):
    def ward(*, with_older: bool) -> Ward:
        made = Ward()
        made.admit("p1")
        for n in range(6):
            if with_older or n != 1:
                made.put(observation(f"o{n}", "p1"), "p1", updated=START + timedelta(seconds=n))
        return made

    bodies = []
    for with_older in (True, False):
        hiding = Hiding(lambda shown: shown.id == "o1" and shown.updated < START + timedelta(hours=1))
        desk = Desk(ward(with_older=with_older), home, consents=hiding)
        first = desk.get("Observation?patient=p1&_count=2")
        desk.ward.put(observation("o1", "p1"), "p1", updated=START + timedelta(hours=2))
        bodies.append(desk.ids(link(first, "next")))
    assert bodies[0] == bodies[1] == ["o3", "o2", "o0"]


def shown_as(shown: Shown | Gone) -> str:
    return f"{shown.type}/{shown.id}"


def test_every_answer_is_within_what_the_caller_may_see(home: Home):
    desk = Desk(charted(lambda each, person: True), home, caller("patient/*.rs", patient=P0))
    seen = 0
    for query in QUERIES:
        try:
            bundles = [*desk.pages(query)]
        except Refusal:
            continue
        for bundle in bundles:
            told = json.dumps(bundle.get("entry", []))
            assert not any(person in told for person in RECORDS.people if person != P0), query
            seen += len(bundle.get("entry", []))
    assert seen > 100
    assert BASE

"""One fact, all its sources: what two EHRs, a panel and its members, or a correction tell of one thing stands once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store import StoredResource, TwinRecord
from mappers import map_resource, read_json
from mappers.duplicates import Settled
from mappers.facts import Fact, Origin
from mappers.outbound import to_json
from mappers.sameness import agree
from tests.gateway.telling import AT, result
from twin_engine import Profile
from twin_engine.model import Need

Json = dict[str, Any]
LAB = {"system": "urn:oid:1.2.3.4", "value": "A-2026-17"}
MARKED = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]
}


def of(kind: str, name: str, system: str, code: str, **changes: Any) -> Json:
    coded = {"coding": [{"system": system, "code": code}]}
    return {"resourceType": kind, "id": name, "subject": {"reference": "Patient/1"}, "code": coded, **changes}


def diabetes(name: str = "d", **changes: Any) -> Json:
    return of("Condition", name, "http://snomed.info/sct", "44054006", **{"onsetDateTime": "2015-03-01", **changes})


def shot(name: str = "i", **changes: Any) -> Json:
    told = of("Immunization", name, "", "", **{"status": "completed", "occurrenceDateTime": "2025-10-02", **changes})
    vaccine = {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}]}
    return {**told, "vaccineCode": vaccine, "patient": told["subject"]}


def tablet(name: str, **changes: Any) -> Json:
    medicine = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]}
    return {
        "resourceType": "MedicationAdministration",
        "id": name,
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "medicationCodeableConcept": medicine,
        "effectiveDateTime": AT,
        **changes,
    }


def pressures(name: str = "p", **changes: Any) -> Json:
    panel = result(name, code="85354-9", **changes)
    parts = [(120, "8480-6"), (80, "8462-4")]
    panel["component"] = [
        {"code": part["code"], "valueQuantity": part["valueQuantity"]}
        for part in (result(value=value, unit="mm[Hg]", code=code) for value, code in parts)
    ]
    del panel["valueQuantity"]
    return panel


def stored(source: str, body: Json, version: Any = "r4") -> StoredResource:
    raw = to_json(body)
    origin = Origin(source, body["resourceType"], body["id"])
    return StoredResource(
        source, origin.resource, version, raw, tuple(map_resource(read_json(raw), version, origin, {}))
    )


def record(**sources: Sequence[Json]) -> TwinRecord:
    resources = tuple(stored(source, body) for source, bodies in sources.items() for body in bodies)
    return TwinRecord("twin", 1, datetime(2026, 1, 1, tzinfo=UTC), resources, len(resources))


def settled(**sources: Sequence[Json]) -> Settled:
    return record(**sources).settled


def places(fact: Fact) -> list[str]:
    origins = (fact.origin, *fact.also)
    return sorted(f"{each.source} {each.resource} {each.path}".strip() for each in origins)


def test_one_result_through_two_ehrs_is_one_fact_with_both_sources():
    told = settled(north=[result("a")], south=[result("b")])
    [fact] = told.facts
    assert places(fact) == ["north Observation/a", "south Observation/b"]
    assert (told.copies, told.overruled, told.possible) == (1, (), ())


def test_the_zone_in_which_a_time_is_told_makes_no_other_time():
    [fact] = settled(north=[result()], south=[result(effectiveDateTime="2026-03-04T10:36:07.000+05:30")]).facts
    assert len(fact.also) == 1


def test_a_value_that_was_converted_and_rounded_on_the_way_is_the_same():
    [fact] = settled(north=[result(value=5.5, unit="mmol/L")], south=[result(value=99)]).facts
    assert (str(fact.value.value), fact.original) == ("99", None)  # what was told in our unit speaks for both


def test_a_value_told_with_fewer_digits_is_the_same_and_the_finer_one_speaks():
    [fact] = settled(north=[result(value=99)], south=[result(value=99.4)]).facts
    assert str(fact.value.value) == "99.4"


@pytest.mark.parametrize(
    "change",
    [
        {"effectiveDateTime": "2026-03-04T05:07:07Z"},  # a minute later
        {"value": 101},
        {"value": 5.3, "unit": "mmol/L"},  # 95.5, and no rounding makes it 99
        {"code": "2160-0", "value": 1.1},
        {"effectivePeriod": {"start": AT, "end": "2026-03-04T06:06:07Z"}, "effectiveDateTime": None},
    ],
)
def test_what_differs_in_time_value_or_meaning_stays_two(change):
    told = settled(north=[result()], south=[result(**change)])
    assert [len(fact.also) for fact in told.facts] == [0, 0]
    assert told.possible == ()


@pytest.mark.parametrize("when", ["2026-03-04", "2026-03-04T00:00:00Z", "2026-03-04T00:00:00-05:00"])
def test_equal_results_of_one_date_are_counted_as_possible_and_never_joined(when):
    told = settled(north=[result(effectiveDateTime=when)], south=[result(effectiveDateTime=when)])
    assert [fact.flags for fact in told.facts] == [("possible-duplicate",)] * 2
    assert len(told.possible) == 1


def test_a_date_and_an_instant_of_that_day_may_be_one():
    told = settled(north=[result(effectiveDateTime="2026-03-04")], south=[result()])
    assert (len(told.facts), len(told.possible)) == (2, 1)


def test_an_identifier_that_both_tell_proves_it_for_a_date_too():
    by_date = {"effectiveDateTime": "2026-03-04", "identifier": [LAB]}
    assert settled(north=[result(**by_date)], south=[result(**by_date)]).copies == 1
    without = [{"value": LAB["value"]}]  # without a system, a number proves nothing
    told = settled(
        north=[result(**by_date | {"identifier": without})], south=[result(**by_date | {"identifier": without})]
    )
    assert (told.copies, len(told.possible)) == (0, 1)


def test_two_places_on_the_body_are_two_measurements():
    def arm(side: str) -> Json:
        return {"bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": side}]}}

    assert settled(north=[result(**arm("368208006"))], south=[result(**arm("368209003"))]).copies == 0
    assert settled(north=[result(**arm("368208006"))], south=[result()]).copies == 1


def test_a_result_that_two_panels_of_one_source_list_is_one():
    assert settled(north=[result("a"), result("b")]).copies == 1


def test_two_tablets_of_one_instant_in_one_source_may_be_two():
    told = settled(north=[tablet("a"), tablet("b")])
    assert (len(told.facts), len(told.possible)) == (2, 1)


def test_a_panel_and_its_members_are_one_fact_each():
    members = [
        result("s", 120, "mm[Hg]", "8480-6"),
        result("d", 80, "mm[Hg]", "8462-4"),
    ]
    told = settled(north=[pressures(), *members])
    assert sorted(fact.name for fact in told.facts) == ["diastolic-pressure", "systolic-pressure"]
    assert places(told.facts[0]) == ["north Observation/p component[0]", "north Observation/s"]
    assert {fact.origin.id for fact in told.facts} == {"s", "d"}  # the result of its own speaks


def test_a_panel_of_one_date_is_joined_with_the_members_that_it_names_only():
    day = {"effectiveDateTime": "2026-03-04"}
    members = [result("s", 120, "mm[Hg]", "8480-6", **day), result("d", 80, "mm[Hg]", "8462-4", **day)]
    told = settled(north=[pressures(hasMember=[{"reference": "Observation/s"}], **day), *members])
    assert {fact.name: len(fact.also) for fact in told.facts if fact.also} == {"systolic-pressure": 1}
    assert len(told.possible) == 1


def test_results_inside_a_report_and_the_same_ones_beside_it_are_one():
    report = of("DiagnosticReport", "r", "http://loinc.org", "24323-8", status="final", effectiveDateTime=AT)
    inner = {name: value for name, value in result("x").items() if name != "subject"}
    told = settled(north=[{**report, "contained": [inner], "result": [{"reference": "#x"}]}, result("g")])
    assert sorted(fact.kind for fact in told.facts) == ["measurement", "report"]
    assert told.copies == 1


def test_two_tablets_of_one_instant_stay_two_through_two_ehrs():
    told = settled(north=[tablet("a"), tablet("b")], south=[tablet("c"), tablet("e")])
    assert [places(fact) for fact in told.facts] == [
        ["north MedicationAdministration/a", "south MedicationAdministration/c"],
        ["north MedicationAdministration/b", "south MedicationAdministration/e"],
    ]


def test_a_diagnosis_is_a_state_and_told_twice_it_is_one():
    assert settled(north=[diabetes("a"), diabetes("b")], south=[diabetes()]).copies == 2
    closed = {
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]
        }
    }
    told = settled(north=[diabetes()], south=[diabetes(**closed)])
    assert (len(told.facts), told.possible) == (2, ())  # they contradict each other, and both are shown
    undated = {"onsetDateTime": None}
    told = settled(north=[diabetes(**undated)], south=[diabetes(**undated)])
    assert (len(told.facts), len(told.possible)) == (2, 1)


def test_one_vaccine_in_a_day_is_one_shot():
    assert settled(north=[shot()], south=[shot(occurrenceDateTime="2025-10-02T14:03:11Z")]).copies == 1
    assert settled(north=[shot()], south=[shot(occurrenceDateTime="2025-10-03")]).copies == 0


def test_the_corrected_result_holds_and_the_uncorrected_copy_is_shown_with_its_reason():
    told = settled(north=[result("a", 99, status="corrected")], south=[result("b", 990)])
    [fact], [old] = told.facts, told.overruled
    assert (fact.origin.source, fact.flags) == ("north", ("uncorrected-elsewhere",))
    assert (old.fact.origin.source, old.reason, old.by.source) == ("south", "corrected-elsewhere", "north")


def test_a_correction_that_came_under_another_id_takes_the_place_of_the_old_result():
    day = {"effectiveDateTime": "2026-03-04", "identifier": [LAB]}
    told = settled(north=[result("a", 990, **day), result("b", 99, status="amended", **day)])
    assert ([fact.origin.id for fact in told.facts], [each.fact.origin.id for each in told.overruled]) == (["b"], ["a"])


def test_two_corrections_that_contradict_each_other_both_stand():
    told = settled(north=[result(status="corrected")], south=[result(value=990, status="corrected")])
    assert (len(told.facts), told.overruled) == (2, ())


def test_a_correction_says_nothing_of_another_result_of_one_date():
    day = {"effectiveDateTime": "2026-03-04"}
    told = settled(north=[result(status="corrected", **day)], south=[result(value=990, **day)])
    assert (len(told.facts), told.overruled) == (2, ())


@pytest.mark.parametrize("identifier", [[], [LAB]])
def test_what_one_ehr_marks_as_an_error_does_not_stand_in_another(identifier):
    wrong = result("a", status="entered-in-error", identifier=identifier)
    told = settled(north=[wrong], south=[result("b", identifier=identifier)])
    [old] = told.overruled
    assert (told.facts, old.reason, old.by) == ((), "withdrawn", Origin("north", "Observation", "a"))


def test_an_error_whose_content_was_taken_out_is_found_by_its_identifier():
    wrong = result("a", status="entered-in-error", identifier=[LAB], effectiveDateTime=None, valueQuantity=None)
    assert settled(north=[wrong], south=[result("b", identifier=[LAB])]).facts == ()
    other = result("b", 1.1, code="2160-0", identifier=[LAB])  # another result of the same order
    assert len(settled(north=[wrong], south=[other]).facts) == 1


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4", "r4b", "r5"])
def test_an_error_is_found_whatever_the_version_that_tells_it(version):
    wrong, copy = result("a", status="entered-in-error"), result("b")
    resources = (stored("north", wrong, version), stored("south", copy))
    told = TwinRecord("twin", 1, datetime(2026, 1, 1, tzinfo=UTC), resources, 2).settled
    assert (told.facts, [each.reason for each in told.overruled]) == ((), ["withdrawn"])


def test_a_withdrawn_dose_and_a_withdrawn_allergy_are_found_too():
    told = settled(north=[tablet("a", status="entered-in-error")], south=[tablet("b")])
    assert (told.facts, [each.reason for each in told.overruled]) == ((), ["withdrawn"])
    allergy = of("AllergyIntolerance", "a", "http://snomed.info/sct", "91936005", identifier=[LAB])
    allergy["patient"] = allergy["subject"]
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    marked = {"verificationStatus": {"coding": [{"system": system, "code": "entered-in-error"}]}}
    told = settled(north=[allergy | marked], south=[allergy])
    assert (told.facts, [each.reason for each in told.overruled]) == ((), ["withdrawn"])


def test_a_document_repeats_what_stands_beside_it():
    patient = {"resourceType": "Patient", "id": "1", "birthDate": "1950-01-02"}
    whole = {**result("x"), "subject": {"reference": "Patient/1"}}
    entries = [
        {"fullUrl": f"https://a.example/{one['resourceType']}/{one['id']}", "resource": one} for one in (patient, whole)
    ]
    document = {"resourceType": "Bundle", "id": "doc", "type": "collection", "entry": entries}
    told = settled(north=[document, result("g")])
    assert [places(fact) for fact in told.facts if fact.name == "glucose"] == [
        ["north Bundle/doc entry[1].resource.ofType(Observation)", "north Observation/g"]
    ]


def test_an_error_that_was_entered_anew_stands_and_says_so():
    told = settled(north=[result("a", status="entered-in-error"), result("c")], south=[result("b")])
    [fact] = told.facts
    assert (len(fact.also), fact.flags) == (1, ("error-elsewhere",))


@pytest.mark.parametrize(("wrong", "other"), [("2026-03-04", "2026-03-05"), ("2026-03", "2026-04-02")])
def test_an_error_of_another_day_says_nothing_of_a_date(wrong, other):
    told = settled(
        north=[result("a", status="entered-in-error", effectiveDateTime=wrong)],
        south=[result("b", effectiveDateTime=other)],
    )
    [fact] = told.facts
    assert (fact.flags, told.overruled) == ((), ())


def test_an_error_of_another_value_or_time_is_another_result():
    wrong = result("a", 990, status="entered-in-error")
    [fact] = settled(north=[wrong], south=[result("b")]).facts
    assert fact.flags == ()


def test_a_diagnosis_that_one_ehr_withdrew_stands_in_another_with_a_flag():
    [fact] = settled(north=[diabetes(verificationStatus=MARKED)], south=[diabetes()]).facts
    assert fact.flags == ("error-elsewhere",)
    wrong = diabetes(verificationStatus=MARKED, identifier=[LAB])
    assert settled(north=[wrong], south=[diabetes(identifier=[LAB])]).facts == ()


def test_what_stands_inside_a_report_falls_with_it():
    report = of("DiagnosticReport", "r", "http://loinc.org", "24323-8", status="entered-in-error", effectiveDateTime=AT)
    inner = {name: value for name, value in result("x").items() if name != "subject"}
    told = settled(north=[{**report, "contained": [inner]}])
    assert (told.facts, [each.reason for each in told.overruled]) == ((), ["withdrawn"])


def test_the_order_in_which_resources_come_makes_no_difference():
    mixed = [
        ("north", result("a", 5.5, "mmol/L")),
        ("south", result("b", 99)),
        ("west", result("c", 990, status="corrected", effectiveDateTime="2026-03-05T05:06:07Z")),
        ("east", result("d", 99, effectiveDateTime="2026-03-05T05:06:07Z")),
        ("east", result("e", 99, effectiveDateTime="2026-03-04")),
    ]

    def told(order: Sequence[tuple[str, Json]]) -> Any:
        resources = tuple(stored(source, body) for source, body in order)
        found = TwinRecord("twin", 1, datetime(2026, 1, 1, tzinfo=UTC), resources, 0).settled
        facts = sorted((places(fact), fact.origin, fact.flags, str(fact.value)) for fact in found.facts)
        return facts, [(places(each.fact), each.reason) for each in found.overruled]

    expected = told(mixed)
    assert len(expected[0]) == 3
    assert all(told(order) == expected for order in itertools.permutations(mixed))


def test_every_statement_is_told_or_counted():
    resources = {
        "north": [result("a"), result("b"), pressures(), diabetes(), shot(), tablet("t")],
        "south": [result("a", status="corrected", value=990), result("b"), diabetes(), shot(), tablet("t")],
    }
    one = record(**resources)
    stated = [fact for resource in one.resources for fact in resource.facts]
    found = one.settled
    counted = sum(1 + len(fact.also) for fact in (*found.facts, *(each.fact for each in found.overruled)))
    assert counted == len(stated)


def test_a_model_answers_from_the_correction():
    need = Need(name="glucose", title="Glucose", unit="mg/dL", kind="measurement", bounds=(0.0, 2000.0), why="-")
    facts = tuple(record(north=[result(status="corrected")], south=[result(value=990)]).facts)
    answer = Profile(facts, datetime(2026, 3, 5, tzinfo=UTC)).find(need)
    assert answer.value == 99.0


def some(source: str, kind: str, when: str, value: Any, status: str, identifier: bool) -> tuple[str, Json]:
    told: Json = {"identifier": [LAB]} if identifier else {}
    if kind == "dose":
        return source, tablet("", effectiveDateTime=when, status="completed" if status == "final" else status, **told)
    number, unit = value
    return source, result("", number, unit, effectiveDateTime=when, status=status, **told)


STATEMENTS = st.builds(
    some,
    st.sampled_from(["north", "south", "west"]),
    st.sampled_from(["result", "result", "dose"]),
    st.sampled_from([AT, "2026-03-04T05:07:07Z", "2026-03-04", "2026-03-04T00:00:00Z"]),
    st.sampled_from([(99, "mg/dL"), (5.5, "mmol/L"), (100, "mg/dL"), (990, "mg/dL")]),
    st.sampled_from(["final", "final", "corrected", "entered-in-error"]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(STATEMENTS, max_size=7), st.randoms(use_true_random=False))
def test_no_statement_is_lost_or_doubled_and_no_order_makes_a_difference(told, random):
    bodies = [(source, {**body, "id": f"r{number}"}) for number, (source, body) in enumerate(told)]
    resources = [stored(source, body) for source, body in bodies]

    def look(found: Settled) -> Any:
        facts = sorted((places(fact), str(fact.origin), fact.flags, str(fact.value)) for fact in found.facts)
        fallen = sorted((places(each.fact), each.reason) for each in found.overruled)
        return facts, fallen, sorted(sorted(map(str, group)) for group in found.possible)

    def settle_all(order: Sequence[StoredResource]) -> Settled:
        return TwinRecord("twin", 1, datetime(2026, 1, 1, tzinfo=UTC), tuple(order), 0).settled

    found = settle_all(resources)
    stated = [place for fact in (*found.facts, *(each.fact for each in found.overruled)) for place in places(fact)]
    assert sorted(stated) == sorted(f"{one.source} {one.key}" for one in resources if any(one.facts))
    shuffled = list(resources)
    random.shuffle(shuffled)
    assert look(settle_all(shuffled)) == look(found)
    values = {f"{one.source} {one.key}": fact for one in resources for fact in one.facts}
    for fact in found.facts:
        copies = [values[place] for place in places(fact)]
        assert all(agree(one, other) for one, other in itertools.combinations(copies, 2))

"""Tables of a user's own: what they make of an EHR's codes, and what they must not."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import MAPPING, map_resource
from mappers.codes import BUILT_IN, SYSTEM, Codes
from mappers.facts import Coding, Fact, Origin, Refusal
from mappers.translations import BUILT_IN_ROWS, Row, Translations

LOCAL = "urn:oid:1.2.3"
GLUCOSE, CREATININE = Coding(SYSTEM["loinc"], "2345-7"), Coding(SYSTEM["loinc"], "2160-0")
DIABETES = Coding(SYSTEM["sct"], "44054006")


def row(code, to, relation="equal", *, system=LOCAL, source=""):
    return Row(Coding(system, code), to, relation, "the laboratory's catalogue", "codes/lab.toml", source)


def codes(*rows):
    return Codes(Translations((*rows, *BUILT_IN_ROWS)))


def coding(code, system=LOCAL):
    return {"system": system, "code": code} if system else {"code": code}


def measured(by=BUILT_IN, *, told=None, source="north", **value):
    told = [coding("GLU")] if told is None else told
    value = value or {"valueQuantity": {"value": 20, "system": "http://unitsofmeasure.org", "code": "mg/dL"}}
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2024-01-01",
        "code": {"coding": told},
        **value,
    }
    [outcome] = map_resource(resource, "r4", Origin(source, "Observation", "1"), {}, by)
    return outcome


def diagnosed(by=BUILT_IN, code="DM2"):
    resource = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p"},
        "onsetDateTime": "2010",
        "code": {"coding": [coding(code)], "text": "Zucker"},
    }
    [outcome] = map_resource(resource, "r4", Origin("north", "Condition", "1"), {}, by)
    return outcome


def test_a_code_that_no_table_has_is_refused_and_named():
    refusal = measured()
    assert (refusal.reason, refusal.codes) == ("unknown-code", (Coding(LOCAL, "GLU"),))


def test_an_equal_code_makes_a_fact_that_names_its_row_and_keeps_the_local_code():
    glu = row("GLU", GLUCOSE)
    fact = measured(codes(glu))
    assert (fact.name, fact.code, fact.equivalence) == ("glucose", GLUCOSE, "equal")
    assert fact.said == (Coding(LOCAL, "GLU"),)
    assert fact.mapping == f"{MAPPING}+{glu.id}"


def test_a_wider_code_makes_a_fact_that_says_so():
    fact = measured(codes(row("GLU", GLUCOSE, "wider")))
    assert (fact.name, fact.equivalence) == ("glucose", "wider")
    assert diagnosed(codes(row("DM2", DIABETES, "wider"))).name == "diabetes"


def test_a_narrower_code_gives_no_name_by_which_a_model_could_find_it():
    fact = diagnosed(codes(row("DM2", DIABETES, "narrower")))
    assert (fact.name, fact.code, fact.equivalence) == ("", DIABETES, "narrower")
    assert fact.said == (Coding(LOCAL, "DM2"),)
    refusal = measured(codes(row("GLU", GLUCOSE, "narrower")))  # a number needs to know what it measures
    assert refusal.reason == "narrower-code"


def test_a_code_that_nothing_matches_is_refused_for_that():
    assert measured(codes(row("GLU", None, "unmatched"))).reason == "unmatched-code"
    assert diagnosed(codes(row("DM2", None, "unmatched"))).reason == "unmatched-code"


def test_a_standard_code_of_the_ehr_goes_before_a_translation():
    told = [coding("GLU"), coding("2339-0", SYSTEM["loinc"])]  # glucose in blood
    fact = measured(codes(row("GLU", GLUCOSE)), told=told)
    assert (fact.name, fact.code.code, fact.equivalence, fact.mapping) == ("glucose", "2339-0", "equal", MAPPING)


def test_a_translation_that_contradicts_the_ehr_is_refused():
    told = [coding("GLU"), coding("2160-0", SYSTEM["loinc"])]
    assert measured(codes(row("GLU", GLUCOSE)), told=told).reason == "conflicting-codes"


def test_what_one_source_means_by_a_code_is_not_what_another_means():
    by = codes(
        row("GLU", GLUCOSE, source="north"),
        row("GLU", CREATININE, source="south"),
        row("KREA", CREATININE, system="", source="north"),
    )
    assert measured(by).name == "glucose"
    assert measured(by, source="south").name == "creatinine"
    assert measured(by, source="west").reason == "unknown-code"
    assert measured(by, told=[coding("KREA", "")]).name == "creatinine"
    assert measured(by, told=[coding("KREA", "")], source="south").reason == "unknown-code"


def test_a_users_row_goes_before_ours():
    old = row("6777-7", Coding(SYSTEM["loinc"], "2339-0"), system=SYSTEM["loinc"])
    assert measured(codes(old), told=[coding("6777-7", SYSTEM["loinc"])]).code.code == "2339-0"
    assert measured(told=[coding("6777-7", SYSTEM["loinc"])]).code.code == "2345-7"


def test_an_answer_is_translated_where_it_is_equal_only():
    asked, never = [coding("72166-2", SYSTEM["loinc"])], Coding(SYSTEM["sct"], "266919005")
    answer = {"valueCodeableConcept": {"coding": [coding("NEVER")]}}
    never_row = row("NEVER", never)
    fact = measured(codes(never_row), told=asked, **answer)
    assert (fact.name, fact.value) == ("smoking-status", never)
    assert fact.said[-1] == Coding(LOCAL, "NEVER")
    assert fact.mapping == f"{MAPPING}+{never_row.id}"
    for relation in ("wider", "narrower"):
        kept = measured(codes(row("NEVER", never, relation)), told=asked, **answer)
        assert kept.value == Coding(LOCAL, "NEVER")


def test_a_medicine_and_the_class_of_a_visit_are_translated_too():
    by = codes(row("M1", Coding(SYSTEM["rxnorm"], "36567")), row("STAT", Coding(SYSTEM["actcode"], "IMP")))
    order = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "authoredOn": "2024-01-01",
        "subject": {"reference": "Patient/p"},
        "medicationReference": {"reference": "Medication/m"},
    }
    medicine = {"resourceType": "Medication", "code": {"coding": [coding("M1")]}}
    [fact] = map_resource(order, "r4", Origin("north", "MedicationRequest", "1"), {"Medication/m": medicine}, by)
    assert (fact.name, fact.said[0].code) == ("simvastatin", "M1")
    visit = {
        "resourceType": "Encounter",
        "status": "finished",
        "subject": {"reference": "Patient/p"},
        "period": {"start": "2024-01-01"},
        "type": [{"coding": [coding("185349003", SYSTEM["sct"])]}],
        "class": coding("STAT"),
    }
    [fact] = map_resource(visit, "r4", Origin("north", "Encounter", "1"), {}, by)
    assert (fact.name, fact.value.code, fact.said[-1].code) == ("inpatient", "IMP", "STAT")


def test_what_was_read_by_one_table_is_not_remembered_for_another():
    one, other = codes(row("GLU", GLUCOSE)), codes(row("GLU", CREATININE))
    assert [measured(by).name for by in (one, other, one)] == ["glucose", "creatinine", "glucose"]
    assert measured().reason == "unknown-code"


def test_a_fact_holds_as_long_as_its_row_says_the_same():
    by = codes(row("GLU", GLUCOSE))
    fact = measured(by)
    assert by.holds(fact, MAPPING)
    cited = Row(Coding(LOCAL, "GLU"), GLUCOSE, "equal", "somebody else", "codes/other.toml")
    assert codes(cited).holds(fact, MAPPING)  # who says so does not change what is said
    assert not codes(row("GLU", CREATININE)).holds(fact, MAPPING)
    assert not BUILT_IN.holds(fact, MAPPING)
    assert not by.holds(fact, "5")
    kept = measured(told=[coding("2345-7", SYSTEM["loinc"])])
    assert by.holds(kept, MAPPING)


def test_codes_go_to_another_process_as_they_are():
    by = pickle.loads(pickle.dumps(codes(row("GLU", GLUCOSE, source="north")).of("north")))  # noqa: S301 - our own
    assert measured(by).name == "glucose"


RELATIONS = st.sampled_from(["equal", "wider", "narrower", "unmatched"])
LOCALS = st.sampled_from(["A", "B", "C", "GLU"])
TARGETS = st.sampled_from([GLUCOSE, CREATININE, DIABETES, Coding(SYSTEM["loinc"], "1-8")])
ROWS = st.lists(
    st.builds(
        lambda code, to, relation: row(code, None if relation == "unmatched" else to, relation),
        LOCALS,
        TARGETS,
        RELATIONS,
    ),
    max_size=4,
)


@given(ROWS, st.lists(LOCALS, min_size=1, max_size=3))
def test_no_table_makes_a_fact_that_hides_what_was_told(rows, told):
    by = codes(*rows)
    outcome = measured(by, told=[coding(each) for each in told])
    assert outcome == measured(codes(*rows), told=[coding(each) for each in told])
    if isinstance(outcome, Refusal):
        named = [each.code for each in outcome.codes if each.system == LOCAL]
        assert sorted(named) == sorted(told) or outcome.reason == "conflicting-codes"
        return
    assert isinstance(outcome, Fact)
    assert [each.code for each in outcome.said] == told
    made_by = [each for each in rows if outcome.mapping == f"{MAPPING}+{each.id}"]
    assert made_by
    assert all(each.to == outcome.code and each.relation == outcome.equivalence for each in made_by)
    assert outcome.equivalence in {"equal", "wider"}  # a number is never taken for more than was told


@pytest.mark.parametrize("kind", ["LL-1", "2345-7"])
def test_rows_say_in_their_number_what_they_say(kind):
    one = row(kind, GLUCOSE)
    assert one.id != row(kind, GLUCOSE, "wider").id != row(kind, CREATININE).id
    assert one.id == row(kind, GLUCOSE).id

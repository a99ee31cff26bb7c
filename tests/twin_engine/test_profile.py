"""What a patient's facts answer to a model's question, and when they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mappers.facts import Coding, Fact, Kind, Origin, Quantity, Value
from mappers.when import When, read_when
from twin_engine import WHYS, Found, Lack, Need, Profile

AT = datetime(2024, 6, 15, 12, tzinfo=UTC)
ANY = (-1e9, 1e9)
CREATININE = Need(
    "creatinine", "Creatinine", "mg/dL", "measurement", (0.1, 30.0), "Policy.", 365, "policy", near=("egfr",)
)
AGE = Need("age", "Age", "a", "demographic", (0.0, 120.0), "Policy.")
SEX = Need("sex", "Sex", "1", "demographic", (0.0, 1.0), "Two categories.")
BMI = Need("bmi", "Body mass index", "kg/m2", "measurement", (10.0, 80.0), "Policy.", 730, "policy")
DIABETES = Need("diabetes", "Diabetes", "1", "problem", (0.0, 1.0), "Yes or no.")
STROKE = Need("stroke", "Stroke", "1", "problem", (0.0, 0.0), "A first event only.", ever=True, presume_absent=True)
STATIN = Need("statin", "Statin", "1", "medication", (0.0, 1.0), "Yes or no.")
SNOMED = "http://snomed.info/sct"
SMOKING = Need(
    name="smoking",
    title="Smoking",
    unit="1",
    kind="status",
    bounds=(0.0, 1.0),
    why="Yes or no.",
    of=("smoking-status",),
    answers=((Coding(SNOMED, "449868002"), 1.0), (Coding(SNOMED, "8517006"), 0.0)),
)


def when(text: str) -> When:
    told = read_when(text)
    assert told
    return told


def fact(kind: Kind, name: str, value: Value, time: str = "", status: str = "final", **changes: object) -> Fact:
    origin = Origin(str(changes.pop("source", "north")), "Observation", str(changes.pop("id", "1")))
    until = changes.pop("until", None)
    assert not changes
    return Fact(
        kind=kind,
        name=name,
        code=Coding("http://loinc.org", "x"),
        value=value,
        when=when(time) if time else None,
        status=status,
        origin=origin,
        mapping="1",
        until=when(str(until)) if until else None,
    )


def creatinine(value: str, time: str = "2024-06-01T08:00:00Z", **changes: str) -> Fact:
    quantity = Quantity(Decimal(value), changes.pop("unit", "mg/dL"), changes.pop("comparator", ""))
    return fact("measurement", "creatinine", quantity, time, changes.pop("status", "final"), **changes)


def person(name: str, value: str, source: str = "north") -> Fact:
    return fact("demographic", name, value, status="", source=source)


def ask(need: Need, *facts: Fact, closed: tuple[str, ...] = (), assume: bool = False) -> Found | Lack:
    return Profile(facts, AT, frozenset(closed), assume).find(need)


def found(need: Need, *facts: Fact, closed: tuple[str, ...] = (), assume: bool = False) -> Found:
    answer = ask(need, *facts, closed=closed, assume=assume)
    assert isinstance(answer, Found), answer
    return answer


def lack(need: Need, *facts: Fact, closed: tuple[str, ...] = (), assume: bool = False) -> Lack:
    answer = ask(need, *facts, closed=closed, assume=assume)
    assert isinstance(answer, Lack), answer
    assert answer.why in WHYS
    assert answer.say.endswith(".")
    return answer


def test_the_latest_measurement_answers_with_the_fact_it_comes_from():
    old, new = creatinine("1.0", "2024-01-01T08:00:00Z"), creatinine("1.40", "2024-06-10T12:00:00Z")
    answer = found(CREATININE, new, old)
    assert (answer.value, answer.said, answer.unit, answer.basis) == (1.4, "1.40", "mg/dL", "measured")
    assert answer.facts == (new,)
    assert answer.age_days == 5


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((), "never-measured"),
        ((creatinine("1.0", status="cancelled"),), "never-measured"),
        ((creatinine("1.0", status="entered-in-error"),), "never-measured"),
        ((creatinine("1.0", status="preliminary"),), "preliminary"),
        ((creatinine("1.0", "2023-06-01T08:00:00Z"),), "too-old"),
        ((creatinine("1.0", "2024-06-15T12:00:01Z"),), "after"),
        ((creatinine("1.0", "2024-06-15"),), "after"),
        ((creatinine("1.0", "2024"),), "after"),
        ((creatinine("0.2", comparator="<"),), "comparator"),
        ((creatinine("88", unit="umol/L"),), "unit"),
        ((creatinine("31"),), "out-of-range"),
        ((fact("measurement", "creatinine", "high", "2024-06-01T08:00:00Z"),), "unknown-answer"),
    ],
)
def test_a_measurement_that_cannot_be_used_says_why(facts: tuple[Fact, ...], why: str):
    assert lack(CREATININE, *facts).why == why


def test_an_old_number_does_not_stand_in_for_a_new_bound():
    facts = (creatinine("1.0", "2024-05-01T08:00:00Z"), creatinine("0.2", comparator="<"))
    assert lack(CREATININE, *facts).why == "comparator"
    assert found(CREATININE, *facts, creatinine("0.19")).value == 0.19


def test_a_partial_date_answers_where_its_whole_span_is_past_and_young_enough():
    assert found(CREATININE, creatinine("1.0", "2024-05")).value == 1.0
    assert found(CREATININE, creatinine("1.0", "2023-07")).value == 1.0
    assert lack(CREATININE, creatinine("1.0", "2023-06")).why == "too-old"  # its first days are more than a year ago


def test_the_bounds_of_a_need_belong_to_it():
    assert found(CREATININE, creatinine("0.1")).value == 0.1
    assert found(CREATININE, creatinine("30.0")).value == 30.0
    assert (
        lack(CREATININE, creatinine("30.1")).say
        == "Creatinine is 30.1 mg/dL; the model holds from 0.1 to 30 mg/dL. Policy."
    )


def test_results_of_one_time_that_differ_beyond_rounding_are_a_conflict():
    north, lakeside = creatinine("1.04"), creatinine("1.2", source="lakeside")
    answer = lack(CREATININE, north, lakeside)
    assert answer.why == "conflict"
    assert set(answer.nearest) == {north, lakeside}


def test_results_of_one_time_that_differ_by_rounding_are_one_and_the_finest_answers():
    answer = found(CREATININE, creatinine("1.2", source="lakeside"), creatinine("1.24"))
    assert answer.value == 1.24
    assert found(CREATININE, creatinine("1.2"), creatinine("1.20", source="lakeside")).said == "1.20"


def test_a_result_dated_by_day_conflicts_with_one_of_an_hour_of_that_day():
    assert lack(CREATININE, creatinine("1.0", "2024-06-01"), creatinine("2.0")).why == "conflict"
    assert found(CREATININE, creatinine("1.0", "2024-05-31"), creatinine("2.0", "2024-06-01")).value == 2.0


def test_what_was_never_measured_names_the_nearest_facts():
    egfr = fact("measurement", "egfr", Quantity(Decimal(55), "mL/min"), "2024-01-01T00:00:00Z")
    assert lack(CREATININE, egfr).nearest == (egfr,)


def test_body_mass_index_is_derived_from_weight_and_height_and_says_so():
    weight = fact("measurement", "body-weight", Quantity(Decimal("81"), "kg"), "2024-06-01T08:00:00Z")
    height = fact("measurement", "body-height", Quantity(Decimal("180"), "cm"), "2023-01-01T08:00:00Z")
    answer = found(BMI, weight, height)
    assert (answer.value, answer.said, answer.basis) == (25.0, "25.0", "derived")
    assert answer.facts == (weight, height)
    assert answer.when == height.when
    assert lack(BMI, weight).why == "never-measured"
    measured = fact("measurement", "bmi", Quantity(Decimal("24.9"), "kg/m2"), "2024-02-01T08:00:00Z")
    assert found(BMI, weight, height, measured).basis == "measured"


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1974-06-15", 50),  # the birthday itself
        ("1974-06-16", 49),
        ("1974-05", 50),
        ("1974-07", 49),
        ("2024-06-15", 0),
    ],
)
def test_age_counts_completed_years(born: str, age: int):
    assert found(AGE, person("birth-date", born)).value == age


@pytest.mark.parametrize("born", ["1974", "1974-06"])
def test_an_age_that_a_partial_birth_date_leaves_open_is_not_guessed(born: str):
    assert lack(AGE, person("birth-date", born)).why == "imprecise"


def test_who_was_born_on_29_february_has_the_birthday_on_1_march():
    born = person("birth-date", "2000-02-29")
    assert Profile([born], AT).find(AGE, when("2023-02-28")) == Profile([born], AT).find(AGE, when("2022-12-01"))
    on_the_day = Profile([born], AT).find(AGE, when("2023-03-01"))
    assert isinstance(on_the_day, Found)
    assert on_the_day.value == 23


def test_an_age_can_be_asked_at_the_time_of_another_fact():
    answer = Profile([person("birth-date", "1974-06-15")], AT).find(AGE, when("2014-06-14T23:00:00-05:00"))
    assert isinstance(answer, Found)
    assert answer.value == 39  # the day counts as it was written where the patient was
    partial = Profile([person("birth-date", "1974-06-15")], AT).find(AGE, when("2014"))
    assert isinstance(partial, Lack)
    assert partial.why == "imprecise"


def test_sources_that_disagree_about_the_birth_date_are_a_conflict_that_lists_them():
    answer = lack(AGE, person("birth-date", "1974-06-15"), person("birth-date", "1975-08-20", "lakeside"))
    assert answer.why == "conflict"
    assert answer.say == "The sources disagree about the birth date: 1974-06-15 (north), 1975-08-20 (lakeside)."


def test_a_partial_birth_date_agrees_with_one_that_it_contains():
    assert found(AGE, person("birth-date", "1974", "lakeside"), person("birth-date", "1974-06-15")).value == 50
    assert lack(AGE, person("birth-date", "1973", "lakeside"), person("birth-date", "1974-06-15")).why == "conflict"


@pytest.mark.parametrize(
    ("told", "value", "why"),
    [
        (["female"], 1.0, ""),
        (["male"], 0.0, ""),
        (["male", "unknown"], 0.0, ""),
        (["male", "female"], None, "conflict"),
        (["other"], None, "unknown-answer"),
        (["unknown"], None, "unknown-answer"),
        ([], None, "never-measured"),
    ],
)
def test_sex_is_one_of_two_or_no_answer(told: list[str], value: float | None, why: str):
    answer = ask(SEX, *[person("sex", word, source) for word, source in zip(told, ["north", "lakeside"], strict=False)])
    assert (answer.value, "") == (value, why) if isinstance(answer, Found) else (None, answer.why) == (value, why)


def condition(status: str, time: str = "2020-01-01", name: str = "diabetes", until: str = "") -> Fact:
    return fact("condition", name, None, time, status, until=until)


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ([condition("active")], 1.0),
        ([condition("recurrence")], 1.0),
        ([condition("")], 1.0),
        ([condition("resolved")], 0.0),
        ([condition("active", until="2024-01-01")], 0.0),
        ([condition("resolved", until="2024-12-01")], 1.0),  # resolved since, but present at the time asked for
        ([condition("resolved"), condition("active", "2023-01-01")], 1.0),
        ([condition("remission")], "unknown-answer"),
        ([condition("inactive")], "unknown-answer"),
        ([condition("entered-in-error")], "unproven"),
        ([condition("active", "2024-07-01")], "unproven"),  # begins later
        ([], "unproven"),
    ],
)
def test_a_condition_is_present_by_its_status_and_its_end(facts: list[Fact], value: float | str):
    answer = ask(DIABETES, *facts)
    assert value == (answer.value if isinstance(answer, Found) else answer.why)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([condition("active", "2024")], "imprecise"),  # may have begun in December
        ([condition("active", "2024-06")], "imprecise"),
        ([condition("active", "2024-06-15")], "imprecise"),  # that day is not over
        ([condition("active", "2023")], 1.0),
        ([condition("active", "2024-07")], "unproven"),
        ([condition("active", "2024"), condition("active", "2020")], 1.0),
        ([condition("resolved", "2024")], 0.0),  # whenever it began, it is over
        ([condition("active", "2020", until="2024")], "imprecise"),  # may have ended in January
        ([condition("active", "2020", until="2023")], 0.0),
        ([condition("active", "2020", until="2025")], 1.0),
    ],
)
def test_what_a_partial_date_leaves_open_is_neither_yes_nor_no(facts: list[Fact], said: float | str):
    answer = ask(DIABETES, *facts)
    assert said == (answer.value if isinstance(answer, Found) else answer.why)


def test_an_event_that_may_be_to_come_is_not_presumed_absent():
    answer = lack(STROKE, condition("active", "2024", name="stroke"))
    assert answer.why == "imprecise"
    assert "recorded with the date 2024, which does not say whether it was so on 2024-06-15" in answer.say


def test_absence_is_an_answer_only_where_the_list_is_proven_whole():
    assert "cannot be proven whole" in lack(DIABETES).say
    answer = found(DIABETES, closed=("condition",))
    assert (answer.value, answer.said, answer.basis, answer.assumption) == (0.0, "no", "none recorded", "")
    assert lack(DIABETES, closed=("medication",)).why == "unproven"


def test_absence_that_the_user_assumes_is_said_with_the_result():
    answer = found(DIABETES, assume=True)
    assert (answer.value, answer.basis) == (0.0, "assumed absent")
    assert "assumed absent on request" in answer.assumption


def test_conditions_without_a_name_of_ours_are_counted_where_absence_is_concluded():
    answer = found(DIABETES, condition("active", name=""), closed=("condition",))
    assert "without a name in our tables, taken to be others: 1" in answer.assumption


def test_an_exclusion_counts_past_events_and_presumes_none_where_none_is_known():
    assert lack(STROKE, condition("resolved", name="stroke")).why == "out-of-range"
    answer = found(STROKE)
    assert answer.value == 0.0
    assert "cannot be proven whole" in answer.assumption


def drug(status: str, time: str = "2024-01-01", name: str = "atorvastatin", until: str = "") -> Fact:
    return fact("medication", name, None, time, status, until=until)


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ([drug("active")], 1.0),
        ([drug("active", until="2024-12-01")], 1.0),
        ([drug("active", until="2024-03-01")], 0.0),
        ([drug("stopped", until="2024-12-01")], 1.0),  # stopped since, but taken at the time asked for
        ([drug("stopped")], 0.0),
        ([drug("active", "2024-07-01")], 0.0),
        ([drug("active", name="metformin")], 0.0),
        ([], 0.0),
    ],
)
def test_a_medicine_is_taken_while_its_order_lasts(facts: list[Fact], value: float):
    assert found(STATIN, *facts, closed=("medication",)).value == value


@pytest.mark.parametrize("drug_", [drug("active", "2024"), drug("active", "2020", until="2024")])
def test_a_medicine_whose_dates_leave_it_open_is_neither_taken_nor_not(drug_: Fact):
    answer = lack(STATIN, drug_, closed=("medication",))
    assert (answer.why, answer.nearest) == ("imprecise", (drug_,))


def test_a_medicine_that_is_not_recorded_may_be_missing_from_the_list():
    stopped = drug("stopped")
    answer = lack(STATIN, stopped)
    assert answer.why == "unproven"
    assert answer.nearest == (stopped,)


def smoking(code: str, time: str = "2024-01-01T00:00:00Z") -> Fact:
    return fact("measurement", "smoking-status", Coding(SNOMED, code, "said"), time)


def test_a_coded_answer_becomes_the_number_that_the_model_gives_it():
    assert found(SMOKING, smoking("449868002")).value == 1.0
    answer = found(SMOKING, smoking("449868002", "2020-01-01T00:00:00Z"), smoking("8517006"))
    assert (answer.value, answer.said, answer.basis) == (0.0, "said", "recorded")


def test_a_coded_answer_that_the_model_does_not_know_is_not_guessed():
    assert lack(SMOKING, smoking("266927001")).why == "unknown-answer"
    assert lack(SMOKING, smoking("8517006", "2020-01-01T00:00:00Z"), smoking("266927001")).why == "unknown-answer"
    assert lack(SMOKING, smoking("449868002"), smoking("8517006")).why == "conflict"


def test_the_time_of_a_profile_is_in_utc():
    with pytest.raises(ValueError, match="UTC"):
        Profile([], datetime(2024, 6, 15))  # noqa: DTZ001 - the naive time is the point

"""The PREVENT base equations, against the published example and the released coefficients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_engine import Missing, Profile, Run, check_model, example_profile, model, simulate
from twin_engine.risk.prevent import COLUMNS, EQUATIONS, OUTCOMES, Prevent

PREVENT = Prevent()


def creatinine_for(egfr: float, age: float, female: bool) -> float:
    """Invert CKD-EPI 2021 above the knee of its spline, because the published examples give an eGFR."""
    kappa, factor = (0.7, 1.012) if female else (0.9, 1.0)
    creatinine = kappa * (142.0 * 0.9938**age * factor / egfr) ** (1 / 1.2)
    assert creatinine >= kappa
    return float(creatinine)


def table_s25(female: bool = True, **changes: float) -> Profile:
    """Make the person of the example in table S25 of the supplement of Khan 2024."""
    values = {
        "age": 50.0,
        "sex": float(female),
        "total_cholesterol": 200.0,
        "hdl_cholesterol": 45.0,
        "systolic_pressure": 160.0,
        "diabetes": 1.0,
        "smoking": 0.0,
        "bmi": 35.0,
        "antihypertensive": 1.0,
        "statin": 0.0,
        "creatinine": creatinine_for(90.0, 50.0, female),
    }
    return example_profile(PREVENT, **{**values, **changes})


def risks(profile: Profile) -> dict[str, float]:
    result = simulate(PREVENT, profile)
    assert isinstance(result, Run), result.say
    return {output.name: output.value for output in result.outputs}


def test_prevent_keeps_the_contract():
    assert check_model(model("prevent")) == ()


# Khan 2024, supplement table S25, as published to three decimals in the README of CRAN preventr 0.11.
PUBLISHED = {10: (0.147, 0.092, 0.081, 0.044, 0.054), 30: (0.530, 0.354, 0.390, 0.198, 0.221)}


def test_the_published_example_agrees_in_all_ten_risks():
    found = risks(table_s25())
    for years, expected in PUBLISHED.items():
        assert [round(found[f"{outcome}-{years}y"], 3) for outcome in OUTCOMES] == list(expected)


# Further digits of the same example, by another implementation than this one.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("total-cvd-10y", 0.14684),
        ("total-cvd-30y", 0.52985),
        ("ascvd-10y", 0.09195),
        ("ascvd-30y", 0.35426),
        ("heart-failure-10y", 0.08056),
        ("heart-failure-30y", 0.38960),
    ],
)
def test_the_published_example_agrees_to_five_digits(name: str, expected: float):
    assert risks(table_s25())[name] == pytest.approx(expected, abs=5e-6)


def test_the_same_example_for_a_man_agrees():
    found = risks(table_s25(female=False))
    expected = {10: (0.163, 0.102, 0.106, 0.056, 0.052), 30: (0.514, 0.349, 0.424, 0.216, 0.197)}
    for years, values in expected.items():
        assert [round(found[f"{outcome}-{years}y"], 3) for outcome in OUTCOMES] == list(values)


def test_the_coefficients_are_the_released_ones(shared_data: Path):
    released = json.loads((shared_data.parent / "spec" / "vectors" / "prevent_coefficients.json").read_text())
    for years, name in ((10, "base_10yr"), (30, "base_30yr")):
        ours = list(EQUATIONS[years].values())
        assert len(ours) == len(released[name]["terms"])
        for number, column in enumerate(COLUMNS):
            theirs = released[name][column.replace(" ", "_").replace("-", "_")]
            assert [row[number] for row in ours] == theirs


def test_heart_failure_needs_no_lipids_and_the_others_no_body_mass_index():
    needs = {wanted.name: set(wanted.needs) for wanted in PREVENT.yields}
    for years, rows in EQUATIONS.items():
        for outcome in OUTCOMES:
            columns = [COLUMNS.index(f"{sex} {outcome}") for sex in ("female", "male")]
            has = {term for term, row in rows.items() if any(row[column] for column in columns)}
            assert ("bmi" in needs[f"{outcome}-{years}y"]) == bool(has & {"bmi-below-30", "bmi-above-30", "age-bmi"})
            lipids = {"non-hdl", "hdl", "statin", "treated-non-hdl", "age-non-hdl", "age-hdl"}
            assert ("total-cholesterol" in needs[f"{outcome}-{years}y"]) == bool(has & lipids)
            assert ("statin" in needs[f"{outcome}-{years}y"]) == bool(has & lipids)


@pytest.mark.parametrize(("dropped", "kept"), [("bmi", 8), ("total-cholesterol", 2), ("hdl-cholesterol", 2)])
def test_an_input_that_is_missing_costs_only_the_risks_that_use_it(dropped: str, kept: int):
    profile = table_s25()
    facts = [fact for fact in profile.facts if fact.name != dropped]
    assert len(risks(Profile(facts, profile.at, profile.closed))) == kept


@pytest.mark.parametrize(("age", "count"), [(30, 10), (59, 10), (60, 5), (79, 5)])
def test_the_30_year_risks_are_for_30_to_59_years(age: int, count: int):
    assert len(risks(table_s25(age=age))) == count


@pytest.mark.parametrize(
    "change",
    [
        {"age": 29},
        {"age": 80},
        {"total_cholesterol": 129},
        {"total_cholesterol": 321},
        {"hdl_cholesterol": 19},
        {"hdl_cholesterol": 101},
        {"systolic_pressure": 89},
        {"systolic_pressure": 201},
        {"creatinine": 8.0},  # eGFR below 15
        {"creatinine": 0.1},  # eGFR above 140
    ],
)
def test_outside_the_published_ranges_there_is_no_atherosclerotic_risk(change: dict[str, float]):
    result = simulate(PREVENT, table_s25(**change))
    assert "ascvd-10y" in result.not_computed


@pytest.mark.parametrize("bmi", [18.4, 40.0])
def test_outside_the_range_of_body_mass_index_only_heart_failure_is_missing(bmi: float):
    assert {"heart-failure-10y", "heart-failure-30y"}.isdisjoint(risks(table_s25(bmi=bmi)))
    assert len(risks(table_s25(bmi=bmi))) == 8


def test_known_cardiovascular_disease_excludes():
    result = simulate(PREVENT, table_s25(known_cvd=1.0))
    assert isinstance(result, Missing)
    assert any("first event" in said for said in result.say)


AGES, FLAGS = st.integers(30, 79), st.sampled_from([0.0, 1.0])


@settings(deadline=None)
@given(age=AGES, sex=FLAGS, pressure=st.floats(110.0, 199.0), treated=FLAGS, smoking=FLAGS)
def test_ten_year_risk_rises_with_high_pressure_with_smoking_and_with_diabetes(
    age: int, sex: float, pressure: float, treated: float, smoking: float
):
    """Each of the three adds to the log odds at each age from 30 to 79, as its two coefficients imply."""
    base = table_s25(
        age=age, sex=sex, systolic_pressure=pressure, antihypertensive=treated, smoking=smoking, diabetes=0.0
    )
    worse = table_s25(age=age, sex=sex, systolic_pressure=pressure + 1.0, antihypertensive=treated, smoking=1.0)
    before, after = risks(base), risks(worse)
    assert all(after[name] > before[name] for name in before if name.endswith("10y"))


@settings(deadline=None)
@given(sex=FLAGS, younger=st.integers(30, 78))
def test_ten_year_risk_rises_with_age_for_a_person_without_risk_factors(sex: float, younger: int):
    healthy = {
        "diabetes": 0.0,
        "antihypertensive": 0.0,
        "systolic_pressure": 115.0,
        "bmi": 24.0,
        "creatinine": 0.8,
        "total_cholesterol": 180.0,
        "hdl_cholesterol": 55.0,
        "sex": sex,
    }
    before, after = (risks(table_s25(age=age, **healthy)) for age in (younger, younger + 1))
    assert all(after[name] > before[name] for name in before if name.endswith("10y"))


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "age": AGES,
            "sex": FLAGS,
            "creatinine": st.floats(0.8, 3.0),
            "bmi": st.floats(18.5, 39.9),
            "smoking": FLAGS,
            "statin": FLAGS,
        }
    )
)
def test_every_risk_is_a_probability(person: dict[str, float]):
    result = simulate(PREVENT, table_s25(**person))
    if isinstance(result, Run):
        assert all(0.0 < output.value < 1.0 for output in result.outputs)

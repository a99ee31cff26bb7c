"""Kidney function and the risk of kidney failure, against published and independent values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_engine import Run, check_model, example_profile, model, simulate
from twin_engine.physiology.renal import G_STAGES, SURVIVAL, Kidney, ckd_epi_2021, kfre

KIDNEY = Kidney()
CREATININE = st.floats(0.1, 30.0)
AGES = st.floats(18.0, 110.0)


def egfr(creatinine: float, age: float, female: bool) -> float:
    return float(ckd_epi_2021(np.array([creatinine]), np.array([age]), np.array([float(female)]))[0])


def risk(age: float, male: bool, filtration: float, acr: float, survival: float) -> float:
    one = [np.array([float(value)]) for value in (age, male, filtration, acr)]
    return float(kfre(*one, survival)[0])


def test_the_kidney_model_keeps_the_contract():
    assert check_model(model("kidney")) == ()


# The formula of Inker 2021, as kidney.org prints it, worked out to four decimals without this code.
@pytest.mark.parametrize(
    ("creatinine", "age", "female", "expected"),
    [(1.0, 50, False, 91.6915), (1.0, 50, True, 68.6335), (2.5, 70, False, 26.9638), (0.6, 30, True, 123.7579)],
)
def test_egfr_agrees_with_the_published_formula(creatinine: float, age: float, female: bool, expected: float):
    assert egfr(creatinine, age, female) == pytest.approx(expected, abs=5e-5)


def test_egfr_agrees_with_the_calculator_of_the_national_kidney_foundation():
    # kidney.org, eGFR calculator, CKD-EPI 2021: man, 55 years, creatinine 1.2 mg/dL: 71 mL/min/1.73 m2, stage G2.
    result = simulate(KIDNEY, example_profile(KIDNEY, creatinine=1.2, age=55, sex=0))
    assert isinstance(result, Run)
    assert (round(result.outputs[0].value), result.outputs[0].category) == (71, "G2")


# Calculated with kfre 0.1.18: North America 2 and 5 years, elsewhere 2 and 5 years.
@pytest.mark.parametrize(
    ("age", "male", "filtration", "acr", "expected"),
    [
        (63, True, 33, 100, (0.0361996, 0.1087344, 0.0243722, 0.0911211)),
        (46, False, 28, 500, (0.1401747, 0.3759403, 0.0961274, 0.3238579)),
        (70, False, 45, 30, (0.0037648, 0.0117070, 0.0025210, 0.0097265)),
        (87.24, True, 19, 1500, (0.2943416, 0.6632512, 0.2080838, 0.5948044)),
    ],
)
def test_kfre_agrees_with_values_known_beforehand(
    age: float, male: bool, filtration: float, acr: float, expected: tuple[float, ...]
):
    survivals = (*SURVIVAL["north-america"], *SURVIVAL["elsewhere"])
    assert [risk(age, male, filtration, acr, s) for s in survivals] == pytest.approx(expected, abs=5e-8)


ORACLE = """
import json, sys
from kfre import kfre_person
cases = json.load(sys.stdin)
json.dump([kfre_person(a, bool(m), e, u, bool(n), years=y) for a, m, e, u, n, y in cases], sys.stdout)
"""


def test_kfre_agrees_with_an_independent_package_over_its_range():
    cases = list(product((18, 40, 71, 95), (0, 1), (10, 31.4, 59.9), (0.5, 30, 4000), (0, 1), (2, 5)))
    # In a process of its own: importing kfre replaces the builtin help() and loads plotting libraries.
    told = subprocess.run(
        [sys.executable, "-c", ORACLE], input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=120
    )
    theirs = json.loads(told.stdout)
    ours = []
    for age, male, filtration, acr, north_america, years in cases:
        two, five = SURVIVAL["north-america" if north_america else "elsewhere"]
        ours.append(risk(age, bool(male), filtration, acr, two if years == 2 else five))
    assert ours == pytest.approx(theirs, rel=1e-9)


@settings(deadline=None)
@given(CREATININE, CREATININE, AGES, st.booleans())
def test_egfr_falls_as_creatinine_rises(one: float, other: float, age: float, female: bool):
    low, high = sorted((one, other))
    assert egfr(low, age, female) >= egfr(high, age, female)


@settings(deadline=None)
@given(CREATININE, AGES, AGES, st.booleans())
def test_egfr_falls_with_age(creatinine: float, one: float, other: float, female: bool):
    young, old = sorted((one, other))
    assert egfr(creatinine, young, female) >= egfr(creatinine, old, female)


@settings(deadline=None)
@given(AGES, st.booleans(), st.floats(10.0, 59.9), st.floats(0.1, 25000.0), st.floats(0.1, 25000.0))
def test_the_risk_of_kidney_failure_rises_with_albumin_and_with_time(
    age: float, male: bool, filtration: float, one: float, other: float
):
    low, high = sorted((one, other))
    two, five = SURVIVAL["north-america"]
    assert risk(age, male, filtration, low, two) <= risk(age, male, filtration, high, two)
    assert risk(age, male, filtration, low, two) <= risk(age, male, filtration, low, five)


@settings(deadline=None)
@given(AGES, st.booleans(), st.floats(10.0, 59.9), st.floats(10.0, 59.9), st.floats(0.1, 25000.0))
def test_the_risk_of_kidney_failure_falls_with_better_filtration(
    age: float, male: bool, one: float, other: float, acr: float
):
    low, high = sorted((one, other))
    assert risk(age, male, low, acr, 0.975) >= risk(age, male, high, acr, 0.975)


def test_the_region_chooses_the_baseline():
    profile = example_profile(KIDNEY, creatinine=2.0, age=63, sex=0, uacr=100)
    here, there = simulate(KIDNEY, profile), simulate(replace(KIDNEY, region="elsewhere"), profile)
    assert isinstance(here, Run)
    assert isinstance(there, Run)
    filtration, two, five = (output.value for output in here.outputs)
    assert (two, five) == pytest.approx(tuple(risk(63, True, filtration, 100, s) for s in SURVIVAL["north-america"]))
    assert [output.value for output in there.outputs[1:]] == pytest.approx(
        [risk(63, True, filtration, 100, s) for s in SURVIVAL["elsewhere"]]
    )
    assert there.settings == {"region": "elsewhere"}


# KDIGO 2024, table of GFR categories.
@pytest.mark.parametrize(
    ("value", "stage"),
    [(90, "G1"), (89, "G2"), (59.5, "G2"), (59.4, "G3a"), (45, "G3a"), (44, "G3b"), (29, "G4"), (14, "G5")],
)
def test_the_stage_is_that_of_the_number_shown(value: float, stage: str):
    assert KIDNEY.yields[0].category(value) == stage


def test_the_stages_are_listed_from_the_highest():
    assert sorted(G_STAGES, reverse=True) == list(G_STAGES)

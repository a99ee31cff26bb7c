"""The risk of a first cardiovascular event over 10 and 30 years: the AHA PREVENT base equations."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import ClassVar, Final

import numpy as np

from mappers.facts import Coding
from twin_engine.equation import Equation
from twin_engine.model import Array, Card, Need, NeedKind, Range, Yield
from twin_engine.physiology.renal import AGE, CREATININE, SEX, ckd_epi_2021, derive_egfr

__all__ = ["Prevent", "log_odds"]

KHAN = (
    "Khan SS, et al. Development and Validation of the American Heart Association's PREVENT Equations. "
    "Circulation 2024;149:430-449 (erratum 2024;149:e956)"
)
RANGES = "The PREVENT equations were developed for, and are offered within, this range (Khan 2024; AHA calculator)."
LIPIDS = (
    "policy, after the ACC/AHA 2019 Guideline on the Primary Prevention of Cardiovascular Disease: "
    "risk factors every 4 to 6 years"
)
MMOL_PER_MG_DL = 0.02586  # cholesterol; the factor with which the coefficients are used (Khan 2024, supplement)

# What Khan 2024 counts as an event, and so as known disease when it has happened.
CVD: Final = ("cardiovascular-disease", "coronary-heart-disease", "myocardial-infarction", "heart-failure", "stroke")

_READ = tomllib.loads((files("twin_engine.risk") / "prevent_base.toml").read_text(encoding="utf-8"))
COLUMNS: Final[list[str]] = _READ["columns"]
EQUATIONS: Final[dict[int, dict[str, list[float]]]] = {10: _READ["years-10"], 30: _READ["years-30"]}

SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"

OUTCOMES: Final[Mapping[str, tuple[str, Coding | None]]] = {
    "total-cvd": (
        "cardiovascular disease (atherosclerotic or heart failure)",
        Coding(SNOMED, "49601007", "Disorder of cardiovascular system"),
    ),
    "ascvd": ("atherosclerotic cardiovascular disease", None),  # SNOMED CT has no one code for this composite
    "heart-failure": ("heart failure", Coding(SNOMED, "84114007", "Heart failure")),
    "chd": (
        "coronary heart disease (myocardial infarction or coronary death)",
        Coding(SNOMED, "414545008", "Ischemic heart disease"),
    ),
    "stroke": ("stroke", Coding(SNOMED, "230690007", "Cerebrovascular accident")),
}

# PREVENT asks for cigarettes within the last 30 days. The codes are those of US Core and IPS smoking status (SNOMED CT)
# and of the LOINC answer list LL2201-3. "Smoker, current status unknown" (77176002, LA18979-7) and "unknown if ever
# smoked" are no answer.
SMOKES: Final = {
    SNOMED: ("449868002", "428041000124106", "428071000124103", "428061000124105", "230063004", "230060001"),
    LOINC: ("LA18976-3", "LA18977-1", "LA18981-3", "LA18982-1"),
}
DOES_NOT_SMOKE: Final = {SNOMED: ("8517006", "266919005"), LOINC: ("LA15920-4", "LA18978-9")}


def _answers(codes: Mapping[str, tuple[str, ...]], value: float) -> tuple[tuple[Coding, float], ...]:
    return tuple((Coding(system, code), value) for system, listed in codes.items() for code in listed)


def _measured(name: str, title: str, unit: str, bounds: tuple[float, float], *, days: int, by: str, near: str) -> Need:
    return Need(name, title, unit, "measurement", bounds, RANGES, days, by, near=tuple(near.split()))


def _asked(name: str, title: str, kind: NeedKind) -> Need:
    return Need(name, title, "1", kind, (0.0, 1.0), "The answer is yes or no.")


NEEDS: Final = (
    Need("age", "Age", "a", "demographic", (30.0, 79.0), RANGES),
    SEX,
    replace(CREATININE, max_age_days=730, age_why="policy"),
    replace(AGE, name="age-at-creatinine", of=("age",)),
    _measured(
        "systolic-pressure",
        "Systolic blood pressure",
        "mm[Hg]",
        (90.0, 200.0),
        days=365,
        by="policy",
        near="diastolic-pressure mean-pressure",
    ),
    _measured(
        "total-cholesterol", "Total cholesterol", "mg/dL", (130.0, 320.0), days=1826, by=LIPIDS, near="ldl-cholesterol"
    ),
    _measured(
        "hdl-cholesterol", "HDL cholesterol", "mg/dL", (20.0, 100.0), days=1826, by=LIPIDS, near="ldl-cholesterol"
    ),
    _measured("bmi", "Body mass index", "kg/m2", (18.5, 39.9), days=730, by="policy", near="body-weight body-height"),
    _asked("diabetes", "Diabetes", "problem"),
    Need(
        name="smoking",
        title="Current smoking",
        unit="1",
        kind="status",
        bounds=(0.0, 1.0),
        why="The answer is yes or no.",
        max_age_days=1096,
        age_why="policy",
        of=("smoking-status",),
        answers=_answers(SMOKES, 1.0) + _answers(DOES_NOT_SMOKE, 0.0),
    ),
    _asked("antihypertensive", "Medicine against high blood pressure", "medication"),
    _asked("statin", "Statin", "medication"),
    Need(
        name="known-cvd",
        title="Known cardiovascular disease",
        unit="1",
        kind="problem",
        bounds=(0.0, 0.0),
        why="PREVENT is for people without known cardiovascular disease: it predicts a first event (Khan 2024).",
        of=CVD,
        ever=True,
        presume_absent=True,
    ),
)

SHARED = (
    "known-cvd",
    "age",
    "sex",
    "creatinine",
    "age-at-creatinine",
    "systolic-pressure",
    "diabetes",
    "smoking",
    "antihypertensive",
)


def _yield(outcome: str, years: int) -> Yield:
    said, code = OUTCOMES[outcome]
    # The heart failure equations have no lipid and no statin term, and are the only ones that have body mass index.
    own = ("bmi",) if outcome == "heart-failure" else ("total-cholesterol", "hdl-cholesterol", "statin")
    return Yield(
        name=f"{outcome}-{years}y",
        title=f"Risk of {said} within {years} years (PREVENT, base equation)",
        kind="risk",
        unit="1",
        needs=SHARED + own,
        decimals=3,
        reference=KHAN,
        outcome=code,
        horizon_years=float(years),
    )


YIELDS: Final = tuple(_yield(outcome, years) for years in EQUATIONS for outcome in OUTCOMES)


@dataclass(frozen=True)
class Prevent(Equation):
    """The AHA PREVENT base equations for adults without known cardiovascular disease.

    Assumes that one reading of blood pressure and one lipid panel stand for the usual ones, that treatment goes on as
    it is, and that event rates are those of US adults followed between 1992 and 2017. eGFR is computed here by CKD-EPI
    2021 from creatinine at the age at that time, not taken from the EHR. The 30-year equations hold from 30 to 59 years
    of age.
    """

    name: ClassVar[str] = "prevent"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Risk of cardiovascular disease (AHA PREVENT, base)"
    citation: ClassVar[str] = f"{KHAN}."
    population: ClassVar[str] = "US adults from 30 to 79 years without known cardiovascular disease."
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    yields: ClassVar[tuple[Yield, ...]] = YIELDS
    holds_for: ClassVar[tuple[Range, ...]] = (
        Range("egfr", "eGFR (CKD-EPI 2021)", "mL/min/{1.73_m2}", 15.0, 140.0, RANGES),
        Range(
            name="age",
            title="Age",
            unit="a",
            low=30.0,
            high=59.0,
            why="The 30-year equations are for people from 30 to 59 years (Khan 2024).",
            yields=tuple(y.name for y in YIELDS if y.horizon_years == 30.0),
        ),
    )
    card: ClassVar[Card] = Card(
        context_of_use=(
            "Shows a clinician and a patient the risk of a first cardiovascular event, as a basis for a conversation "
            "about prevention. It does not start or stop a treatment."
        ),
        verification=(
            "All ten outputs agree to three decimals with the example of the AHA supplement (table S25) as published "
            "by CRAN preventr; further digits and a second, male example with another implementation. The "
            "coefficient table is compared number by number with the released one. Monotony is tested where the "
            "coefficients imply it."
        ),
        validation=(
            "By the authors, not here: 3,330,085 people from 21 data sets; median C statistic for total CVD 0.794 in "
            "women and 0.757 in men, calibration slope 1.03 and 0.94 (Khan 2024). Mean follow-up was 4.8 years, so the "
            "30-year risks rest on modelling over the age scale. Not assessed outside the United States, nor on the "
            "data of this installation."
        ),
        uncertainty=(
            "The equations give no interval for one person. Blood pressure varies from reading to reading; one reading "
            "is used. The interquartile interval of the calibration slope over the validation data sets was 0.81 to "
            "1.16 in women and 0.81 to 1.13 in men."
        ),
        limits=(
            "Not for people with known cardiovascular disease, outside 30 to 79 years, or with an input outside its "
            "range. Above a systolic pressure of 180 mmHg the pressure comes before the risk. Albuminuria, HbA1c and "
            "deprivation are not in the base equations, and a former smoker counts as a non-smoker however recent the "
            "last cigarette. The 30-year risk need not rise as eGFR falls."
        ),
    )

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Compute the eGFR at the time of the creatinine."""
        return derive_egfr(inputs, age="age-at-creatinine")

    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Compute the ten risks."""
        egfr = ckd_epi_2021(inputs["creatinine"], inputs["age-at-creatinine"], inputs["sex"])
        terms = _terms(inputs, egfr)
        return {
            f"{outcome}-{years}y": 1.0 / (1.0 + np.exp(-log_odds(outcome, years, inputs["sex"], terms)))
            for years in EQUATIONS
            for outcome in OUTCOMES
        }


def log_odds(outcome: str, years: int, female: Array, terms: Mapping[str, Array]) -> Array:
    """Add up the terms of one equation. A term that it does not have is not looked at, and so may be unknown."""
    women, men = COLUMNS.index(f"female {outcome}"), COLUMNS.index(f"male {outcome}")
    total = np.zeros_like(female)
    for name, row in EQUATIONS[years].items():
        if row[women] or row[men]:
            total = total + np.where(female == 1.0, row[women], row[men]) * terms[name]
    return total


def _terms(inputs: Mapping[str, Array], egfr: Array) -> Mapping[str, Array]:
    """Centre and scale the inputs as the supplement of Khan 2024 says."""
    age = (inputs["age"] - 55.0) / 10.0
    non_hdl = (inputs["total-cholesterol"] - inputs["hdl-cholesterol"]) * MMOL_PER_MG_DL - 3.5
    hdl = (inputs["hdl-cholesterol"] * MMOL_PER_MG_DL - 1.3) / 0.3
    pressure, bmi = inputs["systolic-pressure"], inputs["bmi"]
    high_pressure = (np.maximum(pressure, 110.0) - 130.0) / 20.0
    high_bmi = (np.maximum(bmi, 30.0) - 30.0) / 5.0
    low_egfr = (np.minimum(egfr, 60.0) - 60.0) / -15.0
    return {
        "age": age,
        "age-squared": age**2,
        "non-hdl": non_hdl,
        "hdl": hdl,
        "sbp-below-110": (np.minimum(pressure, 110.0) - 110.0) / 20.0,
        "sbp-above-110": high_pressure,
        "diabetes": inputs["diabetes"],
        "smoking": inputs["smoking"],
        "bmi-below-30": (np.minimum(bmi, 30.0) - 25.0) / 5.0,
        "bmi-above-30": high_bmi,
        "egfr-below-60": low_egfr,
        "egfr-above-60": (np.maximum(egfr, 60.0) - 90.0) / -15.0,
        "antihypertensive": inputs["antihypertensive"],
        "statin": inputs["statin"],
        "treated-sbp": inputs["antihypertensive"] * high_pressure,
        "treated-non-hdl": inputs["statin"] * non_hdl,
        "age-non-hdl": age * non_hdl,
        "age-hdl": age * hdl,
        "age-sbp": age * high_pressure,
        "age-diabetes": age * inputs["diabetes"],
        "age-smoking": age * inputs["smoking"],
        "age-bmi": age * high_bmi,
        "age-egfr": age * low_egfr,
        "constant": np.ones_like(age),
    }

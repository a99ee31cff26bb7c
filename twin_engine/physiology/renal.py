"""Kidney function from creatinine, and the risk of kidney failure from it and from albumin in the urine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mappers.facts import Coding
from twin_engine.equation import Equation
from twin_engine.model import Array, Card, Need, Range, Yield

__all__ = ["CKD_EPI_2021", "G_STAGES", "Kidney", "ckd_epi_2021", "kfre"]

CKD_EPI_2021 = (
    "Inker LA, et al. New creatinine- and cystatin C-based equations to estimate GFR without race. "
    "N Engl J Med 2021;385:1737-1749"
)
KFRE = (
    "Tangri N, et al. A predictive model for progression of chronic kidney disease to kidney failure. JAMA "
    "2011;305:1553-1559; recalibrated in Tangri N, et al. Multinational assessment of accuracy of equations for "
    "predicting risk of kidney failure. JAMA 2016;315:164-174"
)
KDIGO = (
    "KDIGO 2024 Clinical Practice Guideline for the Evaluation and Management of CKD. Kidney Int 2024;105(4S):S117-S314"
)
YEARLY = f"{KDIGO}, practice point 2.1.1: assess albuminuria and GFR at least annually in people with CKD"

# KDIGO GFR categories, mL/min/1.73 m2. G1 and G2 are no disease without another sign of kidney damage for three months.
G_STAGES = ((90.0, "G1"), (60.0, "G2"), (45.0, "G3a"), (30.0, "G3b"), (15.0, "G4"), (0.0, "G5"))

Region = Literal["north-america", "elsewhere"]

# Baseline survival without kidney failure after 2 and 5 years (Tangri 2016, 4-variable equation).
SURVIVAL: Mapping[Region, tuple[float, float]] = {"north-america": (0.9750, 0.9240), "elsewhere": (0.9832, 0.9365)}


def ckd_epi_2021(creatinine: Array, age: Array, female: Array) -> Array:
    """Estimate the glomerular filtration rate, mL/min/1.73 m2, from creatinine in mg/dL and age in years.

    Source: Inker 2021. For adults, and for creatinine by a method traceable to IDMS, in steady state.
    """
    kappa = np.where(female == 1.0, 0.7, 0.9)
    alpha = np.where(female == 1.0, -0.241, -0.302)
    ratio = creatinine / kappa
    low, high = np.minimum(ratio, 1.0) ** alpha, np.maximum(ratio, 1.0) ** -1.200
    return np.asarray(142.0 * low * high * 0.9938**age * np.where(female == 1.0, 1.012, 1.0))


def kfre(age: Array, male: Array, egfr: Array, acr: Array, survival: float) -> Array:
    """Estimate the probability of treated kidney failure by the 4-variable equation; ACR in mg/g.

    Source: Tangri 2016; `survival` is the baseline survival of a region and a horizon.
    """
    score = (
        -0.2201 * (age / 10.0 - 7.036)
        + 0.2467 * (male - 0.5642)
        - 0.5567 * (egfr / 5.0 - 7.222)
        + 0.4510 * (np.log(acr) - 5.137)
    )
    return np.asarray(1.0 - survival ** np.exp(score))


CREATININE = Need(
    name="creatinine",
    title="Creatinine in serum or plasma",
    unit="mg/dL",
    kind="measurement",
    bounds=(0.1, 30.0),
    why="Policy: a value outside that is taken for an error of measurement or of unit.",
    max_age_days=365,
    age_why=YEARLY,
    near=("egfr", "cystatin-c"),
)

AGE = Need(
    name="age",
    title="Age at the time of the creatinine",
    unit="a",
    kind="demographic",
    bounds=(18.0, 110.0),
    why="CKD-EPI 2021 was developed in adults; 110 is policy.",
    at="creatinine",
)

SEX = Need(
    name="sex",
    title="Sex",
    unit="1",
    kind="demographic",
    bounds=(0.0, 1.0),
    why="The equations were fitted to women and men.",
)

ACR = Need(
    name="uacr",
    title="Albumin-to-creatinine ratio in urine",
    unit="mg/g",
    kind="measurement",
    bounds=(0.1, 25000.0),
    why="Policy: the range that the AHA PREVENT calculator accepts; the equation takes the logarithm.",
    max_age_days=365,
    age_why=YEARLY,
    near=("urine-albumin", "urine-creatinine"),
)

REPLACED = Need(
    name="kidney-replacement",
    title="Dialysis, kidney transplant or kidney failure",
    unit="1",
    kind="problem",
    bounds=(0.0, 0.0),
    why="KFRE predicts the start of replacement therapy; it is not for people who have it, or have had it.",
    of=("end-stage-kidney-disease", "dialysis", "kidney-transplant"),
    ever=True,
    presume_absent=True,
)

FILTRATION = Yield(
    name="egfr",
    title="Estimated glomerular filtration rate (CKD-EPI 2021, creatinine)",
    kind="observation",
    unit="mL/min/{1.73_m2}",
    needs=("creatinine", "age", "sex"),
    decimals=0,
    reference=CKD_EPI_2021,
    code=Coding(
        "http://loinc.org",
        "98979-8",
        "Glomerular filtration rate [Volume Rate/Area] in Serum, Plasma or Blood "
        "by Creatinine-based formula (CKD-EPI 2021)/1.73 sq M",
    ),
    categories=G_STAGES,
)


def _failure(years: int) -> Yield:
    return Yield(
        name=f"kidney-failure-{years}y",
        title=f"Risk of kidney failure treated by dialysis or transplant within {years} years (KFRE, 4 variables)",
        kind="risk",
        unit="1",
        needs=(*FILTRATION.needs, "uacr", "kidney-replacement"),
        decimals=3,
        reference=KFRE,
        outcome=Coding("http://snomed.info/sct", "46177005", "End-stage renal disease"),
        horizon_years=float(years),
    )


FAILURES = (_failure(2), _failure(5))


@dataclass(frozen=True)
class Kidney(Equation):
    """Kidney function (CKD-EPI 2021) and the risk of kidney failure (KFRE) at the time of a creatinine.

    Assumes steady state (no acute kidney injury), usual muscle mass, a creatinine method traceable to IDMS, an ACR that
    still holds at the time of the creatinine, and for KFRE chronic disease with an eGFR from 10 to below 60. `region`
    chooses the baseline of KFRE: "north-america" or "elsewhere".
    """

    name: ClassVar[str] = "kidney"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Kidney function and risk of kidney failure"
    citation: ClassVar[str] = f"{CKD_EPI_2021}. {KFRE}."
    population: ClassVar[str] = (
        "eGFR: adults. KFRE: adults with chronic kidney disease G3 to G5, not on dialysis, not transplanted."
    )
    needs: ClassVar[tuple[Need, ...]] = (CREATININE, AGE, SEX, ACR, REPLACED)
    yields: ClassVar[tuple[Yield, ...]] = (FILTRATION, *FAILURES)
    holds_for: ClassVar[tuple[Range, ...]] = (
        Range(
            name="egfr",
            title="eGFR",
            unit="mL/min/{1.73_m2}",
            low=10.0,
            high=60.0,
            below=True,
            why="KFRE was developed in people with an eGFR from 10 to 59 (Tangri 2011) and has no meaning from 60 on.",
            yields=tuple(risk.name for risk in FAILURES),
        ),
    )
    valid_at: ClassVar[str] = "creatinine"
    card: ClassVar[Card] = Card(
        context_of_use=(
            "Shows a clinician the kidney function that a measured creatinine implies, and for CKD G3 to G5 the risk "
            "of dialysis or transplant that KDIGO 2024 (recommendation 2.2.1) asks to estimate. It informs referral "
            "and preparation; it does not decide on treatment or on the dose of a medicine."
        ),
        verification=(
            "eGFR agrees with values worked out from the published formula and with one of the NKF calculator. KFRE "
            "agrees to 1e-9 with the independent Python package kfre 0.1.18 over its range, both regions, both "
            "horizons. Monotony in creatinine, age and ACR is tested."
        ),
        validation=(
            "By the authors, not here. CKD-EPI 2021: 12 studies, 4,050 people; measured GFR underestimated by a median "
            "3.6 in Black and overestimated by 3.9 mL/min/1.73 m2 in other participants; 85 % or more within 30 % of "
            "it. KFRE: 31 cohorts, 721,357 people (Tangri 2016); with CKD-EPI 2021 eGFR in 59 cohorts, 312,424 people, "
            "good below 45 (Grams, J Am Soc Nephrol 2023;34:482). Not assessed on the data of this installation."
        ),
        uncertainty=(
            "The equations give no interval for one person. About 15 % of estimated GFR are more than 30 % off the "
            "measured one. A change of eGFR by 20 % or less is within expected variability (KDIGO 2024, practice point "
            "2.1.3)."
        ),
        limits=(
            "Not for acute kidney injury, pregnancy, dialysis, transplant, children, or unusual muscle mass. KFRE does "
            "not count death as a competing event and so overestimates in the old and the very ill, most over 5 years "
            "(Ravani, J Am Soc Nephrol 2019;30:2219). eGFR from creatinine and cystatin C is more accurate where both "
            "are measured."
        ),
    )

    region: Region = "north-america"

    def __post_init__(self) -> None:
        if self.region not in SURVIVAL:
            raise ValueError(f"region is one of {', '.join(SURVIVAL)}")

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Compute the eGFR, which decides whether KFRE holds."""
        return derive_egfr(inputs, age="age")

    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Compute the eGFR and, from it, the two risks."""
        age, female = inputs["age"], inputs["sex"]
        egfr = ckd_epi_2021(inputs["creatinine"], age, female)
        two, five = (kfre(age, 1.0 - female, egfr, inputs["uacr"], survival) for survival in SURVIVAL[self.region])
        return {"egfr": egfr, FAILURES[0].name: two, FAILURES[1].name: five}


def derive_egfr(inputs: Mapping[str, float], age: str) -> Mapping[str, float]:
    """Compute the eGFR where creatinine, sex and the age of that name are known, for a model's `derive`."""
    if not {"creatinine", "sex", age} <= inputs.keys():
        return {}
    creatinine, years, female = (np.array([inputs[name]]) for name in ("creatinine", age, "sex"))
    return {"egfr": float(ckd_epi_2021(creatinine, years, female)[0])}

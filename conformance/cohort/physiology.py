"""The arithmetic that makes a chart coherent: what follows from what.

The cohort has its own copies of these formulas, so that a mistake in a model of the twin does not hide in its test
data.
"""

from __future__ import annotations

import math

__all__ = [
    "bmi",
    "body_surface",
    "egfr",
    "egfr_mdrd",
    "friedewald",
    "hba1c_of_mean",
    "mean_pressure",
    "mixed_venous",
    "pounds_inches",
]


def egfr(creatinine: float, age: int, sex: str) -> float:
    """Estimate GFR, mL/min/1.73 m2, from creatinine in mg/dL: CKD-EPI 2021 (Inker 2021, N Engl J Med 385:1737)."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
    ratio = creatinine / kappa
    rate: float = 142.0 * min(ratio, 1.0) ** alpha * max(ratio, 1.0) ** -1.2 * 0.9938**age * factor
    return rate


def egfr_mdrd(creatinine: float, age: int, sex: str) -> float:
    """Estimate GFR as laboratories did before: MDRD, traceable to IDMS (Levey 2006, Ann Intern Med 145:247)."""
    rate: float = 175.0 * creatinine**-1.154 * age**-0.203 * (0.742 if sex == "female" else 1.0)
    return rate


def friedewald(total: float, hdl: float, triglycerides: float) -> float:
    """Calculate LDL cholesterol in mg/dL (Friedewald 1972, Clin Chem 18:499); not for triglycerides above 400."""
    return total - hdl - triglycerides / 5.0


def hba1c_of_mean(glucose: float) -> float:
    """Return the HbA1c (%) that belongs to a mean glucose in mg/dL: ADAG (Nathan 2008, Diabetes Care 31:1473)."""
    return (glucose + 46.7) / 28.7


def bmi(kilograms: float, centimetres: float) -> float:
    """Return the body mass index, kg/m2."""
    return kilograms / (centimetres / 100.0) ** 2


def mean_pressure(systolic: float, diastolic: float) -> float:
    """Return the usual estimate of mean arterial pressure from a cuff, mm[Hg]."""
    return diastolic + (systolic - diastolic) / 3.0


def body_surface(kilograms: float, centimetres: float) -> float:
    """Return the body surface, m2 (Mosteller 1987, N Engl J Med 317:1098)."""
    return math.sqrt(kilograms * centimetres / 3600.0)


def mixed_venous(saturation: float, haemoglobin: float, index: float) -> float:
    """Return the mixed venous saturation, %, that Fick's principle leaves: haemoglobin in g/dL, index in L/min/m2.

    A gram of haemoglobin carries 1.36 mL of oxygen; 125 mL/min/m2 are taken up at rest, as is assumed where catheters
    are laid.
    """
    return saturation - 100.0 * 125.0 / (index * 13.6 * haemoglobin)


def pounds_inches(kilograms: float, centimetres: float) -> tuple[float, float]:
    """Convert to the units in which weight and height are made here."""
    return kilograms / 0.45359237, centimetres / 2.54

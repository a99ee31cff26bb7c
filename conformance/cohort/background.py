"""What every adult's chart holds beside their story: smoking, vaccinations, cover, allergies, a plan."""

from __future__ import annotations

from datetime import date

from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, lipids, vital_signs

__all__ = ["autumn", "background", "check_up"]


def background(chart: Chart, smoking: str = "never-smoker", allergy: str = "none", reaction: str = "") -> None:
    """Write smoking status, allergy, the last influenza vaccination and the insurance into the EHR of the moment."""
    chart.measure("smoking", smoking, chart.at(int(chart.rng.integers(40, 160)), 10))
    chart.allergy(allergy, chart.day(2200), reaction)
    chart.vaccine("influenza", autumn(chart))
    chart.paper("coverage", "Statutory cover, member since birth", chart.day(1500))


def autumn(chart: Chart, years: int = 0) -> date:
    """Return a day of last October or, `years` before that."""
    year = chart.today.year - years - (1 if (chart.today.month, chart.today.day) <= (10, 28) else 0)
    return date(year, 10, 4 + int(chart.rng.integers(0, 24)))


def check_up(
    chart: Chart,
    ago: int,
    *,
    systolic: float,
    diastolic: float,
    kilograms: float,
    centimetres: float,
    creatinine: float,
    cholesterol: tuple[float, float, float] | None,
    glucose: float = 91.0,
    haemoglobin: float = 14.2,
    pulse: float = 68.0,
) -> str:
    """Write a yearly check-up; `cholesterol` is total, HDL and triglycerides in mg/dL, `None` where not drawn."""
    when = chart.at(ago, 9)
    visit = chart.visit(when)
    vital_signs(chart, when, systolic, diastolic, visit=visit, pulse=pulse)
    body(chart, kilograms, centimetres, when, visit=visit)
    basics(chart, when, visit=visit, creatinine=creatinine, glucose=glucose)
    blood_count(chart, when, visit=visit, haemoglobin=haemoglobin)
    if cholesterol:
        lipids(chart, when, *cholesterol, visit=visit)
    return visit

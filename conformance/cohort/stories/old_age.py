"""A very old woman with many problems."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, lipids, vital_signs

__all__ = ["tell"]


def tell(chart: Chart) -> None:
    """At `harbor`: too old for the risks of adults, lipids nine years old, a vaccination declined, dates known by the
    year.
    """
    background(chart, "never-smoker", "penicillin", "rash")
    chart.vaccine("zoster", chart.day(300), given=False)
    for name, years in (("hypertension", 35), ("osteoporosis", 20), ("atrial-fibrillation", 12)):
        chart.problem(name, f"{chart.today.year - years}")
    chart.problem("alzheimer", f"{chart.today.year - 3}-02")
    chart.problem("ckd-3a", chart.day(1500))
    chart.problem("anaemia", chart.day(900), verification="provisional")
    for name, dose, daily in (("amlodipine", 5, 1), ("apixaban", 5, 2), ("metoprolol", 50, 1)):
        chart.medicine(name, chart.day(2500), kind="statement", dose=dose, unit="mg", daily=daily)
    chart.medicine("colecalciferol", chart.day(2500), kind="statement", dose=800, unit="[IU]", daily=1)
    lipids(chart, chart.at(9 * 365 + 20, 9), 224, 66, 119)
    for half in range(7):
        when = chart.at(33 + 182 * (6 - half), 10)
        visit = chart.visit(when, "follow-up")
        vital_signs(chart, when, 148, 72, visit=visit, pulse=70, saturation=95)
        body(chart, 52.0 - 0.5 * half, 151.0, when, visit=visit, height=half == 0)
        basics(chart, when, visit=visit, creatinine=0.98 + 0.008 * half, urea=25)
        blood_count(chart, when, visit=visit, haemoglobin=11.3)
    chart.measure("haemoglobin", 11.1, chart.day(600).isoformat()[:7], note="From a letter of the nursing home.")
    chart.measure("crp", 9, chart.at(215, 10), unit="missing", note="From a letter of the nursing home.")
    chart.measure("frailty", 11.3, chart.at(33, 10), coded=False)
    chart.procedure("echocardiography", f"{chart.today.year - 6}", status="completed")
    chart.paper("plan", "Comfort before length; no intensive care", chart.day(200), problem="alzheimer")

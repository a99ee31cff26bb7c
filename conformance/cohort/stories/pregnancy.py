"""A pregnancy with gestational diabetes, in its 32nd week."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import blood_count, pressure

__all__ = ["tell"]

WEEKS = 32


def tell(chart: Chart) -> None:
    """At `harbor`: weight and week at each visit, a glucose tolerance test in week 26. Lipids nobody asked for."""
    background(chart, "never-smoker")
    chart.problem("gestational-diabetes", chart.day(7 * (WEEKS - 26)))
    for week in (8, 12, 16, 20, 24, 26, 28, 30, 32):
        when = chart.at(7 * (WEEKS - week) + 2, 14)
        visit = chart.visit(when, "prenatal")
        chart.measure("pregnancy", "pregnant", when, visit=visit)
        chart.measure("gestational-age", week, when, visit=visit)
        pressure(chart, 112 + 0.25 * week + chart.noise(3), 70 + chart.noise(2), when, visit=visit)
        chart.measure("body-weight", (66.0 + 0.36 * max(0, week - 8)) / 0.45359237, when, visit=visit)
        if week == 8:
            chart.measure("body-height", 169 / 2.54, when, visit=visit)
        if week in (8, 20, 28):
            blood_count(chart, when, visit=visit, haemoglobin=13.0 - 0.06 * week, leukocytes=9.0)
            chart.measure("creatinine", 0.55 + chart.noise(0.02), when, visit=visit)
        if week == 26:
            chart.measure("glucose", 96, when, visit=visit)
            chart.measure("glucose-2h", 161, when, visit=visit)
    for ago in range(28, 0, -1):
        chart.measure("glucose", 88 + chart.noise(5), chart.at(ago, 7), note="Finger prick, fasting.")
    chart.vaccine("tdap", chart.day(14))
    chart.paper(
        "plan", "Induction from week 39; glucose four times a day", chart.day(40), problem="gestational-diabetes"
    )

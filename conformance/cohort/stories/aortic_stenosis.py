"""Aortic stenosis on its way to a new valve."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, echo, lipids, vital_signs

__all__ = ["tell"]


def tell(chart: Chart) -> None:
    """Echo every year at `harbor`: the area shrinks, gradient and velocity rise as Bernoulli would have it.

    Lipids were last drawn nine years ago. `summit` is where the valve is to be replaced, and knows what surgeons ask.
    """
    background(chart, "former-smoker")
    chart.problem("aortic-stenosis", chart.day(1900))
    chart.problem("hypertension", chart.day(6000))
    chart.medicine("amlodipine", chart.day(3000), dose=5, unit="mg", daily=1)
    lipids(chart, chart.at(9 * 365, 8), 208, 49, 122)
    for ago, area, gradient, velocity in (
        (1890, 1.34, 19, 2.9),
        (1500, 1.21, 24, 3.2),
        (1130, 1.05, 31, 3.6),
        (760, 0.92, 38, 3.9),
        (390, 0.81, 45, 4.3),
        (45, 0.70, 53, 4.6),
    ):
        when = chart.at(ago, 11)
        visit = chart.visit(when, "follow-up", "aortic-stenosis")
        vital_signs(chart, when, 136, 74, visit=visit, pulse=68)
        echo(
            chart,
            when,
            fraction=60 + chart.noise(1),
            diastolic_volume=104 + chart.noise(3),
            visit=visit,
            valve=(area, gradient, velocity),
            conclusion="Calcified aortic valve with restricted opening.",
        )
        basics(chart, when, visit=visit, creatinine=1.04, urea=18)
    chart.measure("nt-probnp", 1340, chart.at(45, 12))

    chart.ehr = "summit"
    when = chart.at(12, 9)
    visit = chart.visit(when, "problem", "aortic-stenosis")
    chart.problem("aortic-stenosis", chart.day(12))
    vital_signs(chart, when, 138, 76, visit=visit, pulse=70, saturation=97)
    body(chart, 78.0, 172.0, when, visit=visit)
    basics(chart, when, visit=visit, creatinine=1.06, urea=19)
    blood_count(chart, when, visit=visit, haemoglobin=13.1)
    chart.measure("inr", 1.0, when, visit=visit)
    chart.measure("frailty", 5.2, when, visit=visit, coded=False)
    chart.paper(
        "request",
        "Transcatheter aortic valve replacement, planned in three weeks",
        chart.day(12),
        problem="aortic-stenosis",
    )

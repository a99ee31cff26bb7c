"""Prostate cancer: PSA rises, falls under androgen deprivation, and begins to rise again."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, vital_signs

__all__ = ["tell"]

# Days ago and PSA, ng/mL: doubling in about a year, nadir under treatment, and the start of resistance.
PSA = (
    (1500, 4.1),
    (1300, 5.6),
    (1120, 7.7),
    (960, 10.2),
    (860, 12.6),
    (790, 3.10),
    (700, 0.62),
    (610, 0.21),
    (520, 0.10),
    (430, 0.10),
    (340, 0.16),
    (250, 0.28),
    (160, 0.51),
    (70, 0.90),
    (10, 1.30),
)


def tell(chart: Chart) -> None:
    """All at `lakeside`. HDL was never measured there, so a cardiovascular risk lacks it."""
    background(chart, "former-smoker")
    chart.problem("prostate-cancer", chart.day(850))
    chart.problem("hypertension", chart.day(4000))
    chart.medicine("amlodipine", chart.day(3900), dose=5, unit="mg", daily=1)
    chart.procedure("prostate-biopsy", chart.at(855, 9), note="Twelve cores, six with tumour.")
    chart.measure("gleason", 7, chart.at(853, 9))
    for ago, value in PSA:
        chart.measure("psa", value, chart.at(ago, 8))
    for ago in (830, 740, 650, 560, 470, 380, 290, 200, 110, 20):
        day = chart.at(ago, 11)
        visit = chart.visit(day, "follow-up", "prostate-cancer")
        chart.medicine(
            "leuprolide", day, kind="administration", status="completed", dose=22.5, unit="mg", visit=visit, digits=1
        )
        vital_signs(chart, day, 136, 80, visit=visit)
        if ago in (830, 470, 20):
            body(chart, 84.0, 174.0, day, visit=visit)
            basics(chart, day, visit=visit, creatinine=1.05, glucose=101)
    chart.measure("total-cholesterol", 196, chart.at(110, 8))
    chart.measure("frailty", 4.1, chart.at(20, 11), coded=False)
    chart.vaccine("covid", chart.day(500), given=False)
    chart.measure("psa", 1.42, chart.at(3, 8), preliminary=True)
    blood_count(chart, day, visit=visit, haemoglobin=12.8)

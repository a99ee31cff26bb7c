"""Chronic obstructive lung disease in a smoker."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, lipids, vital_signs

__all__ = ["tell"]


def tell(chart: Chart) -> None:
    """Spirometry every year and one exacerbation at `lakeside`; check-ups at `harbor`. He is the father of p07, of the
    same name.

    An echo in the emergency room contradicts itself: 60 % cannot leave 150 of 200 mL behind.
    """
    background(chart, "daily-smoker")
    chart.problem("copd", chart.day(2200))
    chart.vaccine("pneumococcal", chart.day(900))
    chart.medicine("albuterol", chart.day(2200), dose=2, unit="{puff}", text="When short of breath")
    chart.medicine("fluticasone-salmeterol", chart.day(1500), dose=1, unit="{puff}", daily=2)
    for year in range(6):
        when = chart.at(70 + 365 * (5 - year), 10)
        visit = chart.visit(when, "follow-up", "copd")
        chart.procedure("spirometry", when, visit=visit)
        blown, capacity = round(1.92 - 0.055 * year, 2), round(3.42 - 0.03 * year, 2)
        keys = [
            chart.measure("fev1", blown, when, visit=visit),
            chart.measure("fvc", capacity, when, visit=visit),
            chart.measure("fev1-fvc", 100 * blown / capacity, when, visit=visit),
        ]
        chart.report("spirometry-report", keys, when, visit=visit, conclusion="Obstruction, not reversible.")
        vital_signs(chart, when, 137, 80, visit=visit, pulse=84, saturation=93)
    ill = chart.at(230, 19)
    stay = chart.visit(ill, "emergency", "copd", "emergency", 480)
    vital_signs(chart, ill, 146, 84, visit=stay, pulse=112, saturation=87)
    chart.measure("inhaled-oxygen", 2, ill, visit=stay)
    chart.measure("crp", 46, ill, visit=stay)
    blood_count(chart, ill, visit=stay, leukocytes=13.1, haemoglobin=15.8)
    chart.problem("pulmonary-embolism", chart.day(230), verification="refuted")

    chart.ehr = "harbor"
    background(chart, "daily-smoker")
    chart.problem("copd", chart.day(2100))
    for year in range(3):
        when = chart.at(110 + 365 * (2 - year), 9)
        visit = chart.visit(when)
        vital_signs(chart, when, 139, 81, visit=visit, pulse=82, saturation=94)
        body(chart, 74.0 - year, 179.0, when, visit=visit)
        basics(chart, when, visit=visit, creatinine=0.98, glucose=99)
        lipids(chart, when, 197, 58, 118, visit=visit)

    chart.ehr = "lakeside"
    when = chart.at(229, 1)
    chart.procedure("echocardiography", when, visit=stay)
    found = {"end-diastolic-volume": 200, "end-systolic-volume": 150, "ejection-fraction": 60}
    keys = [chart.measure(name, value, when, visit=stay, note="Poor window.") for name, value in found.items()]
    chart.report("echo-report", keys, when, visit=stay, conclusion="Right ventricle not enlarged.")

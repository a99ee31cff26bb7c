"""Lung cancer under chemotherapy and radiotherapy: diameters over time."""

from __future__ import annotations

from datetime import timedelta

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, vital_signs

__all__ = ["tell"]

# Longest and cross diameter of the target lesion, mm: growth, response, and regrowth after a nadir.
SCANS = ((330, 52, 41), (290, 55, 43), (225, 41, 32), (170, 33, 25), (110, 28, 21), (50, 29, 22), (8, 33, 26))


def tell(chart: Chart) -> None:
    """Oncology at `summit`; the cough began at `lakeside`; the last scan, in centimetres, was made at `harbor`."""
    background(chart, "former-smoker", "penicillin", "rash")
    chart.problem("lung-cancer", chart.day(300))
    chart.problem("pulmonary-embolism", chart.day(210), verification="refuted")
    chart.measure("stage", "stage-3", chart.at(285, 12))
    for ago, longest, other in SCANS[:-1]:
        _scan(chart, ago, longest, other)
    chart.procedure(
        "radiotherapy", chart.at(275, 8), end=chart.at(233, 16), note="60 Gy in 30 fractions to the right upper lobe."
    )
    for cycle in range(4):
        ago = 278 - 21 * cycle
        day = chart.at(ago, 10)
        visit = chart.visit(day, "follow-up", "lung-cancer", minutes=300)
        chart.procedure("chemotherapy", day, visit=visit, note=f"Cycle {cycle + 1} of 4.")
        chart.medicine(
            "cisplatin",
            day,
            kind="administration",
            status="completed",
            dose=132,
            unit="mg",
            visit=visit,
            end=day + timedelta(hours=2),
        )
        chart.medicine(
            "paclitaxel",
            day + timedelta(hours=2),
            kind="administration",
            status="completed",
            dose=300,
            unit="mg",
            visit=visit,
        )
        blood_count(chart, day, visit=visit, haemoglobin=12.9 - 0.5 * cycle, leukocytes=5.8, neutrophils=3.6)
        basics(chart, day, visit=visit, creatinine=0.78 + 0.03 * cycle)
        # The white cells are lowest ten days after.
        blood_count(
            chart,
            chart.at(ago - 10, 9),
            haemoglobin=12.5 - 0.5 * cycle,
            leukocytes=2.1,
            neutrophils=0.9 - 0.1 * cycle,
            platelets=130,
        )
    for ago, score, kilograms in ((280, 0, 68.0), (200, 1, 64.5), (110, 1, 65.5), (50, 1, 65.0)):
        when = chart.at(ago, 14)
        visit = chart.visit(when, "follow-up", "lung-cancer")
        vital_signs(chart, when, 122, 74, visit=visit, pulse=82, saturation=95)
        body(chart, kilograms, 166.0, when, visit=visit, height=ago == 280)
        chart.measure("ecog", score, when, visit=visit)
    chart.paper("plan", "Consolidation; scan every two months", chart.day(170), problem="lung-cancer")
    chart.paper("claim", "Radiotherapy, 30 fractions", chart.day(230), procedure="radiotherapy")

    chart.ehr = "lakeside"
    for ago in (345, 318):
        when = chart.at(ago, 16)
        visit = chart.visit(when, "problem", "pneumonia" if ago == 345 else "")
        vital_signs(chart, when, 128, 78, visit=visit, pulse=88, saturation=94)
        chart.measure("crp", 38 if ago == 345 else 24, when, visit=visit, also=("summit",), note="Result of lakeside.")
    chart.problem("pneumonia", chart.day(345), clinical="resolved", abated=chart.day(320))
    chart.measure("smoking", "former-smoker", chart.at(345, 16))

    chart.ehr = "harbor"
    chart.problem("lung-cancer", chart.day(310).isoformat()[:7])
    _scan(chart, *SCANS[-1])


def _scan(chart: Chart, ago: int, longest: float, other: float) -> None:
    """Write one CT with the lesion that is followed."""
    when = chart.at(ago, 15)
    size = chart.parts(
        "tumour-size", {"tumour-longest": longest, "tumour-other": other}, when, body_site="Right upper lobe of lung"
    )
    chart.report(
        "chest-ct-report", [size], when, conclusion=f"Right upper lobe mass of {longest:.0f} x {other:.0f} mm."
    )

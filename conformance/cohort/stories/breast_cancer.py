"""Breast cancer with receptors, treated before and after surgery."""

from __future__ import annotations

from datetime import datetime

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, echo, vital_signs

__all__ = ["tell"]


def tell(chart: Chart) -> None:
    """ER and PR positive, HER2 positive, stage 2A; shrinks before surgery at `summit`, where trastuzumab has the heart
    looked at. `harbor` knows her by her former name.

    Whether she ever smoked is unknown, so a cardiovascular risk cannot be had without asking.
    """
    background(chart, "unknown-smoker")
    chart.problem("breast-cancer", chart.day(400))
    biopsy = chart.at(395, 10)
    keys = [
        chart.measure("er-status", "positive", biopsy),
        chart.measure("pr-status", "positive", biopsy),
        chart.measure("her2-status", "positive", biopsy),
        chart.measure("ki67", 32, biopsy),
    ]
    chart.report("pathology-report", keys, biopsy, conclusion="Invasive carcinoma of no special type, grade 2.")
    chart.measure("stage", "stage-2a", chart.at(388, 9))
    for ago, longest, other in ((398, 27, 21), (340, 22, 17), (285, 15, 11), (240, 9, 7)):
        when = chart.at(ago, 11)
        size = chart.parts(
            "tumour-size",
            {"tumour-longest": longest, "tumour-other": other},
            when,
            body_site="Upper outer quadrant of left breast",
        )
        chart.report("imaging-report", [size], when, conclusion=f"Left breast mass, {longest} mm.")
    for cycle in range(6):
        day = chart.at(370 - 21 * cycle, 9)
        visit = chart.visit(day, "follow-up", "breast-cancer", minutes=240)
        for drug, dose in (("paclitaxel", 140.0), ("trastuzumab", 420.0 if cycle else 560.0)):
            chart.medicine(drug, day, kind="administration", status="completed", dose=dose, unit="mg", visit=visit)
        blood_count(chart, day, visit=visit, haemoglobin=13.2 - 0.3 * cycle, leukocytes=5.2, neutrophils=3.1)
        _look(chart, day, visit, 71.0 - 0.4 * cycle, full=cycle == 0)
    chart.procedure("lumpectomy", chart.at(225, 8), end=chart.at(225, 10, 30))
    chart.medicine("anastrozole", chart.day(200), dose=1, unit="mg", daily=1)
    _look(chart, chart.at(35, 10), chart.visit(chart.at(35, 10), "follow-up", "breast-cancer"), 70.0, full=True)
    chart.paper("goal", "Five years of endocrine treatment", chart.day(200), problem="breast-cancer")

    chart.ehr = "harbor"
    chart.problem("appendicitis", f"{chart.today.year - 24}", clinical="resolved", abated=f"{chart.today.year - 24}")
    chart.procedure("appendectomy", f"{chart.today.year - 24}-03")
    chart.vaccine("hepatitis-b", chart.day(5000))
    when = chart.at(1800, 9)
    basics(chart, when, visit=chart.visit(when), creatinine=0.7)
    chart.measure("tsh", 0.01, when, comparator="<", note="Below the limit of detection; repeated and normal.")
    chart.measure("potassium", 9.8, when, void=True, note="Haemolysed sample of another person.")

    chart.ehr = "summit"  # before, under and after trastuzumab (Lyon 2022, Eur Heart J 43:4229)
    for ago, fraction in ((374, 64), (290, 60), (200, 57), (36, 61)):
        echo(chart, chart.at(ago, 13), fraction=fraction, diastolic_volume=93, conclusion="Normal wall motion.")


def _look(chart: Chart, when: datetime, visit: str, kilograms: float, *, full: bool) -> None:
    """Examine before a cycle."""
    vital_signs(chart, when, 121, 76, visit=visit, pulse=78)
    body(chart, kilograms, 164.0, when, visit=visit, height=full)
    basics(chart, when, visit=visit, creatinine=0.72)

"""High blood pressure: treated and followed at home, and newly found."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, echo, home_pressure, lipids, pressure, vital_signs

__all__ = ["tell", "tell_new"]


def tell(chart: Chart) -> None:
    """Pressure at `summit` falls by 12 after amlodipine and 8 more after losartan; lipids are drawn at `harbor`."""
    background(chart, "former-smoker")
    chart.problem("hypertension", chart.day(700))
    chart.problem("sinusitis", chart.day(1200), clinical="resolved", abated=chart.day(1185))
    chart.medicine("amlodipine", chart.day(540), dose=5, unit="mg", daily=1)
    chart.medicine("losartan", chart.day(240), dose=50, unit="mg", daily=1)
    chart.medicine(
        "hydrochlorothiazide",
        chart.day(680),
        end=chart.day(560),
        status="stopped",
        dose=25,
        unit="mg",
        daily=1,
        text="Stopped: low potassium",
    )
    course = (
        (700, 161, 97),
        (620, 157, 95),
        (545, 158, 96),
        (480, 147, 90),
        (380, 145, 88),
        (245, 146, 89),
        (180, 138, 84),
        (90, 135, 83),
        (28, 134, 82),
    )
    for ago, systolic, diastolic in course:
        when = chart.at(ago, 11)
        visit = chart.visit(when, "follow-up", "hypertension")
        vital_signs(chart, when, systolic, diastolic, visit=visit, pulse=74)
        if ago in (700, 245, 28):
            body(chart, 76.0, 165.0, when, visit=visit)
            low = 3.3 if ago == 620 else 4.1
            basics(chart, when, visit=visit, creatinine=0.82, potassium=low, glucose=96)
    for ago in range(56, 0, -1):
        home_pressure(chart, ago, 131, 80)
    chart.paper("plan", "Home pressure twice a day for eight weeks", chart.day(58), problem="hypertension")

    chart.ehr = "harbor"
    background(chart, "former-smoker")
    chart.problem("hypertension", f"{chart.today.year - 2}")
    for year in range(3):
        when = chart.at(120 + 365 * (2 - year), 8)
        visit = chart.visit(when)
        lipids(chart, when, 218 - 2 * year, 55, 131, visit=visit)
        pressure(chart, (162, 146, 137)[year], (96, 89, 84)[year], when, visit=visit)
        chart.measure("tsh", 1.9, when, visit=visit)
    blood_count(chart, when, visit=visit, haemoglobin=13.6)

    chart.ehr = "summit"
    echo(
        chart,
        chart.at(178, 13),
        fraction=65,
        diastolic_volume=96,
        conclusion="Concentric remodelling, normal systolic function.",
    )


def tell_new(chart: Chart) -> None:
    """Found at `lakeside`, confirmed at home, treated with lisinopril: the son who bears his father's name."""
    background(chart, "never-smoker")
    for ago, systolic, diastolic in ((420, 138, 88), (150, 152, 96), (100, 151, 95), (60, 137, 86), (20, 132, 84)):
        when = chart.at(ago, 9)
        visit = chart.visit(when, "check-up" if ago == 420 else "follow-up", "hypertension" if ago < 150 else "")
        vital_signs(chart, when, systolic, diastolic, visit=visit, pulse=76)
        if ago in (420, 150, 20):
            body(chart, 91.0, 183.0, when, visit=visit)
            basics(chart, when, visit=visit, creatinine=1.01, glucose=94)
        if ago in (420, 20):
            lipids(chart, when, 201, 47, 142, visit=visit)
    for ago in range(140, 112, -1):  # a cuff at home, whose readings come without a UCUM code
        home_pressure(chart, ago, 146, 92, unit="text")
    chart.problem("hypertension", chart.day(100))
    chart.medicine("lisinopril", chart.day(98), dose=20, unit="mg", daily=1)
    chart.paper("goal", "Pressure below 130/80 within six months", chart.day(98), problem="hypertension")
    blood_count(chart, when, visit=visit, haemoglobin=14.9)

"""Chronic kidney disease, G3b and G4: creatinine over years, albumin in the urine, potassium."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, lipids, pressure, vital_signs

__all__ = ["tell_g3b", "tell_g4"]


def tell_g3b(chart: Chart) -> None:
    """Creatinine is followed at `harbor`, albumin in the urine at `summit`: a risk of kidney failure needs both."""
    background(chart, "former-smoker")
    chart.problem("ckd-3b", chart.day(1000))
    chart.problem("hypertension", chart.day(5200))
    chart.medicine("losartan", chart.day(2000), dose=50, unit="mg", daily=2)
    for half in range(11):
        when = chart.at(55 + 182 * (10 - half), 9)
        visit = chart.visit(when, "follow-up", "ckd-3b")
        vital_signs(chart, when, 144 - 0.6 * half, 84, visit=visit)
        basics(
            chart,
            when,
            visit=visit,
            creatinine=1.42 + 0.055 * half,
            potassium=4.5 + 0.04 * half,
            urea=24 + half,
            bicarbonate=23,
        )
        if half % 4 == 2:
            body(chart, 88.0, 178.0, when, visit=visit)
    chart.measure("body-temperature", 209.5, chart.at(420, 9), note="Fahrenheit typed into a field of degrees Celsius.")

    chart.ehr = "summit"
    background(chart, "former-smoker")
    chart.problem("ckd-3b", chart.day(980))
    chart.problem("hyperlipidaemia", chart.day(1500))
    chart.medicine("atorvastatin", chart.day(1480), dose=40, unit="mg", daily=1)
    for year, ratio in enumerate((210, 265, 320)):
        when = chart.at(100 + 365 * (2 - year), 8)
        visit = chart.visit(when, "follow-up", "ckd-3b")
        chart.measure("uacr", ratio + chart.noise(10), when, visit=visit)
        lipids(chart, when, 188 - 6 * year, 44, 170, visit=visit)
        body(chart, 88.0 + year, 178.0, when, visit=visit)
        pressure(chart, 141, 82, when, visit=visit)
    chart.paper("plan", "Nephrology twice a year; avoid NSAIDs", chart.day(460), problem="ckd-3b")
    blood_count(chart, when, visit=visit, haemoglobin=12.7)


def tell_g4(chart: Chart) -> None:
    """A steady fall from G3b to G4 at `lakeside`, with rising potassium and anaemia; `summit` saw her in the emergency
    room.
    """
    background(chart, "former-smoker")
    chart.problem("ckd-4", chart.day(500))
    chart.problem("hypertension", chart.day(7000))
    chart.problem("anaemia", chart.day(360))
    chart.medicine("lisinopril", chart.day(3000), dose=20, unit="mg", daily=1)
    chart.medicine("furosemide", chart.day(500), dose=40, unit="mg", daily=1)
    chart.medicine("atorvastatin", chart.day(2500), dose=40, unit="mg", daily=1)
    for quarter in range(14):
        when = chart.at(26 + 91 * (13 - quarter), 8)
        visit = chart.visit(when, "follow-up", "ckd-4")
        vital_signs(chart, when, 148 - 0.5 * quarter, 82, visit=visit)
        basics(
            chart,
            when,
            visit=visit,
            creatinine=1.62 + 0.055 * quarter,
            potassium=4.7 + 0.04 * quarter,
            urea=34 + quarter,
            bicarbonate=23 - 0.2 * quarter,
        )
        if quarter % 3 == 1:
            blood_count(chart, when, visit=visit, haemoglobin=11.8 - 0.12 * quarter)
            chart.measure("uacr", 420 + 25 * quarter + chart.noise(20), when, visit=visit)
        if quarter in (5, 13):
            lipids(chart, when, 183, 51, 166, visit=visit)
            body(chart, 70.0, 161.0, when, visit=visit)
    chart.paper("request", "Fistula, seen by a vascular surgeon", chart.day(26), problem="ckd-4")

    chart.ehr = "summit"
    when = chart.at(140, 21)
    visit = chart.visit(when, "emergency", "acute-kidney-injury", "emergency", 600)
    chart.problem("acute-kidney-injury", chart.day(140), clinical="resolved", abated=chart.day(125))
    basics(chart, when, visit=visit, creatinine=3.05, potassium=5.9, urea=62, bicarbonate=18)
    vital_signs(chart, when, 104, 58, visit=visit, pulse=102)
    chart.measure("urine-output", 180, chart.at(139, 3), visit=visit)

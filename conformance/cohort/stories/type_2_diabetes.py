"""Type 2 diabetes: a man whose care is split over two houses, and a woman whose kidneys suffer."""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, lipids, pressure, vital_signs

__all__ = ["tell", "tell_kidney", "tell_prediabetes"]


def tell(chart: Chart) -> None:
    """Visits, creatinine and finger pricks at `lakeside`; lipids, albumin in the urine and smoking at `summit`.

    HbA1c falls after metformin and again after empagliflozin, and the finger pricks of the last weeks fit the last one.
    """
    chart.problem("type-2-diabetes", chart.day(1500))
    chart.problem("hypertension", chart.day(2600))
    chart.problem("obesity", chart.day(2600))
    chart.allergy("none", chart.day(2600))
    chart.vaccine("pneumococcal", chart.day(700))
    chart.medicine("metformin", chart.day(1480), dose=1000, unit="mg", daily=2)
    chart.medicine("empagliflozin", chart.day(560), dose=10, unit="mg", daily=1)
    chart.medicine("lisinopril", chart.day(2500), dose=20, unit="mg", daily=1)
    for half, (sugar, kilograms) in enumerate(
        ((8.9, 104.0), (7.9, 102.5), (7.8, 102.0), (7.9, 102.5), (8.1, 103.0), (7.3, 100.0), (7.1, 98.5), (7.0, 97.5))
    ):
        ago = 40 + 182 * (7 - half)
        when = chart.at(ago, 8)
        visit = chart.visit(when, "follow-up", "type-2-diabetes")
        vital_signs(chart, when, 146 - 1.5 * half, 88 - half, visit=visit, pulse=78)
        body(chart, kilograms, 177.0, when, visit=visit)
        basics(chart, when, visit=visit, creatinine=1.02 + 0.01 * half, glucose=28.7 * sugar - 46.7 - 18)
        chart.measure("hba1c", sugar + chart.noise(0.08), when, visit=visit)
    chart.measure("body-height", 1.8 / 2.54, chart.at(900, 8), note="Metres typed into a field of centimetres.")
    for ago in range(42, 0, -1):
        chart.measure("glucose", 132 + chart.noise(12), chart.at(ago, 7), note="Finger prick, fasting.")
        if ago % 2:
            chart.measure("glucose", 172 + chart.noise(20), chart.at(ago, 20), note="Finger prick, after dinner.")
    chart.measure("hba1c", 7.2, chart.at(300, 9), unit="text", unit_text="percent", note="Typed from a letter.")

    chart.ehr = "summit"
    background(chart, "former-smoker")
    chart.problem("type-2-diabetes", chart.day(1490))
    chart.problem("hyperlipidaemia", chart.day(1400))
    chart.medicine("atorvastatin", chart.day(1390), dose=40, unit="mg", daily=1)
    for year, (total, high, fat) in enumerate(((231, 38, 210), (182, 40, 176), (171, 41, 162))):
        when = chart.at(90 + 365 * (2 - year), 8)
        visit = chart.visit(when, "follow-up", "hyperlipidaemia")
        lipids(chart, when, total, high, fat, visit=visit)
        chart.measure("uacr", 34 - 5 * year + chart.noise(2), when, visit=visit)
    chart.paper("claim", "Laboratory, lipid panel", chart.day(90))
    blood_count(chart, when, visit=visit, haemoglobin=14.6)


def tell_kidney(chart: Chart) -> None:
    """Diabetes with kidney disease G3a: creatinine at `harbor`, albumin in the urine and the rest of the risks at
    `summit`.
    """
    background(chart, "never-smoker")
    chart.problem("type-2-diabetes", chart.day(4400))
    chart.problem("diabetic-kidney-disease", chart.day(1500))
    chart.problem("ckd-3a", chart.day(1100))
    chart.problem("hypertension", chart.day(5000))
    chart.medicine("losartan", chart.day(1400), dose=50, unit="mg", daily=2)
    chart.medicine("metformin", chart.day(4300), dose=1000, unit="mg", daily=1)
    chart.medicine("dapagliflozin", chart.day(420), dose=10, unit="mg", daily=1)
    chart.medicine("colecalciferol", chart.day(600), dose=800, unit="[IU]", daily=1)
    for half in range(8):
        when = chart.at(35 + 182 * (7 - half), 9)
        visit = chart.visit(when, "follow-up", "ckd-3a")
        vital_signs(chart, when, 141 - half, 80 - 0.5 * half, visit=visit)
        basics(chart, when, visit=visit, creatinine=1.02 + 0.018 * half, potassium=4.6, glucose=142, urea=21)
        chart.measure("hba1c", 7.6 - 0.06 * half + chart.noise(0.1), when, visit=visit)
        chart.measure("uacr", 62 - 3 * half + chart.noise(4), when, visit=visit)

    chart.ehr = "summit"
    background(chart, "never-smoker")
    chart.problem("type-2-diabetes", chart.day(4400))
    chart.problem("hyperlipidaemia", chart.day(2000))
    chart.medicine("atorvastatin", chart.day(1900), dose=40, unit="mg", daily=1)
    for year in range(3):
        when = chart.at(60 + 365 * (2 - year), 10)
        visit = chart.visit(when, "follow-up", "type-2-diabetes")
        body(chart, 79.0 - year, 162.0, when, visit=visit)
        pressure(chart, 138 - 2 * year, 78, when, visit=visit)
        lipids(chart, when, 176 - 4 * year, 52, 148, visit=visit)
        chart.measure("uacr", 58 - 6 * year + chart.noise(3), when, visit=visit)
    chart.paper("plan", "Kidney check every six months", chart.day(300), problem="diabetic-kidney-disease")
    blood_count(chart, when, visit=visit, haemoglobin=12.4)


def tell_prediabetes(chart: Chart) -> None:
    """HbA1c between 5.7 and 6.4 %, weight to lose, and everything that a ten-year risk needs, at `lakeside`."""
    background(chart, "daily-smoker", "ibuprofen", "rash")
    chart.problem("prediabetes", chart.day(800))
    chart.problem("obesity", chart.day(1800))
    chart.problem("ankle-sprain", chart.day(400).isoformat()[:7], clinical="resolved", abated=chart.day(370))
    for year, (sugar, kilograms) in enumerate(((5.8, 99.0), (6.0, 101.0), (6.1, 102.5), (5.9, 98.0))):
        when = chart.at(50 + 365 * (3 - year), 9)
        visit = chart.visit(when)
        vital_signs(chart, when, 133, 84, visit=visit, pulse=80)
        body(chart, kilograms, 175.0, when, visit=visit)
        basics(chart, when, visit=visit, creatinine=0.94, glucose=28.7 * sugar - 46.7 - 12)
        lipids(chart, when, 214 - 3 * year, 39 + year, 188 - 6 * year, visit=visit)
        chart.measure("hba1c", sugar + chart.noise(0.05), when, visit=visit)
    chart.measure("glucose", 104, chart.at(200, 16), unit="missing", note="Pharmacy campaign.")
    chart.paper("goal", "Lose seven kilograms in a year", chart.day(50), problem="prediabetes")
    chart.paper("plan", "Diabetes prevention course", chart.day(50), problem="prediabetes")
    blood_count(chart, when, visit=visit, haemoglobin=15.2)

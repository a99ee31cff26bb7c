"""Heart failure, with reduced and with preserved ejection fraction, followed by echo and natriuretic peptide.

What the catheters find is post-capillary pulmonary hypertension without a resistance of its own: wedge above 15 mm[Hg],
2 Wood units at most (Humbert 2022, Eur Heart J 43:3618, table 5). Their output is the echo's stroke volume times the
heart rate.
"""

from __future__ import annotations

from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, body, catheter, echo, lipids, pressure, vital_signs

__all__ = ["tell", "tell_preserved"]


def tell(chart: Chart) -> None:
    """After an infarction: under four drugs the ventricle shrinks and NT-proBNP falls.

    Cardiology is at `summit`, the practice at `lakeside`, one stay at `harbor`. Kidney function is G3a, so albumin
    in the urine is measured too. A catheter follows the last echo.
    """
    background(chart, "former-smoker")
    chart.problem("old-infarction", chart.day(1100))
    chart.problem("hfref", chart.day(900))
    chart.problem("ckd-3a", chart.day(700))
    chart.procedure("coronary-intervention", chart.day(1100))
    for name, ago, dose, daily in (
        ("carvedilol", 880, 25, 2),
        ("lisinopril", 840, 20, 1),
        ("spironolactone", 820, 25, 1),
        ("dapagliflozin", 600, 10, 1),
        ("atorvastatin", 1095, 40, 1),
        ("aspirin", 1095, 81, 1),
    ):
        chart.medicine(name, chart.day(ago), dose=dose, unit="mg", daily=daily)
    for ago, fraction, volume in ((895, 27, 212), (700, 31, 196), (430, 36, 178), (100, 39, 168)):
        when = chart.at(ago, 13)
        visit = chart.visit(when, "follow-up", "hfref")
        echo(
            chart,
            when,
            fraction=fraction,
            diastolic_volume=volume + chart.noise(3),
            visit=visit,
            conclusion="Dilated left ventricle with reduced systolic function; anterior akinesia.",
        )
    for step, (peptide, kilograms) in enumerate(
        ((4200, 88), (2900, 85), (2100, 84), (1500, 83), (1150, 82), (980, 82))
    ):
        when = chart.at(60 + 150 * (5 - step), 9)
        visit = chart.visit(when, "follow-up", "hfref")
        vital_signs(chart, when, 112, 68, visit=visit, pulse=84 - 3 * step, saturation=96)
        body(chart, kilograms, 176.0, when, visit=visit, height=step == 5)
        basics(chart, when, visit=visit, creatinine=1.38 + 0.01 * step, potassium=4.8, sodium=137, urea=27)
        chart.measure("nt-probnp", peptide * (1 + chart.noise(0.03)), when, visit=visit)
    chart.measure("uacr", 41 + chart.noise(2), chart.at(60, 9))

    chart.ehr = "lakeside"
    chart.problem("hfref", chart.day(890))
    chart.measure("smoking", "former-smoker", chart.at(210, 10))
    chart.medicine("furosemide", chart.day(870), kind="statement", dose=40, unit="mg", daily=1)
    for ago in (400, 210, 45):
        when = chart.at(ago, 10)
        visit = chart.visit(when, "follow-up", "hfref")
        vital_signs(chart, when, 114, 70, visit=visit, pulse=72)
        body(chart, 82.0, 176.0, when, visit=visit, height=False)
        lipids(chart, when, 141, 38, 128, visit=visit)
    for ago in range(30, 0, -1):
        chart.measure("body-weight", (82.0 + chart.noise(0.4)) / 0.45359237, chart.at(ago, 7), note="Home scales.")

    chart.ehr = "harbor"
    stay = chart.at(905, 18)
    visit = chart.visit(stay, "inpatient", "hfref", "inpatient", 7 * 24 * 60)
    chart.problem("hfref", chart.day(905))
    for day in range(7):
        when = chart.at(905 - day, 7)
        pressure(chart, 98 + 2 * day, 60 + day, when, visit=visit)
        chart.measure("heart-rate", 108 - 4 * day + chart.noise(2), when, visit=visit)
        chart.measure("body-weight", (94.0 - 0.9 * day) / 0.45359237, when, visit=visit)
        basics(chart, when, visit=visit, creatinine=1.62 - 0.03 * day, potassium=4.4, sodium=133 + 0.5 * day, urea=38)
    chart.measure("nt-probnp", 7350, stay, visit=visit, also=("summit",), note="Result of harbor.")
    blood_count(chart, stay, visit=visit, haemoglobin=12.4)

    chart.ehr = "summit"
    when = chart.at(93, 10)
    visit = chart.visit(when, "follow-up", "hfref", minutes=240)
    blood_count(chart, when, visit=visit, haemoglobin=13.0)
    vital_signs(chart, when, 112, 68, visit=visit, pulse=70, saturation=96)
    catheter(
        chart,
        when,
        pulmonary=(38, 18),
        wedge=17,
        atrium=8,
        output=4.6,
        size=(82.0, 176.0),
        blood=(96.0, 13.0),
        visit=visit,
        conclusion="Isolated post-capillary pulmonary hypertension; output held under medication.",
    )


def tell_preserved(chart: Chart) -> None:
    """A stiff heart with atrial fibrillation, at `summit`, and a catheter in it; one heart rate cannot be true."""
    background(chart, "never-smoker", "penicillin", "rash")
    chart.problem("hfpef", chart.day(800))
    chart.problem("atrial-fibrillation", chart.day(1200))
    chart.problem("hypertension", chart.day(7000))
    chart.problem("pulmonary-embolism", chart.day(820), verification="refuted")
    chart.medicine("apixaban", chart.day(1190), dose=5, unit="mg", daily=2)
    chart.medicine("metoprolol", chart.day(1190), dose=50, unit="mg", daily=1)
    chart.medicine("furosemide", chart.day(790), dose=40, unit="mg", daily=1)
    chart.medicine("empagliflozin", chart.day(300), dose=10, unit="mg", daily=1)
    for ago, fraction, volume in ((800, 58, 88), (330, 57, 86)):
        when = chart.at(ago, 14)
        echo(
            chart,
            when,
            fraction=fraction,
            diastolic_volume=volume,
            conclusion="Preserved function, large left atrium, E/e' 16.",
        )
    for step, peptide in enumerate((1850, 1600, 1420, 1300, 1210)):
        when = chart.at(50 + 170 * (4 - step), 10)
        visit = chart.visit(when, "follow-up", "hfpef")
        vital_signs(chart, when, 142 - 2 * step, 78, visit=visit, pulse=88 - 3 * step, saturation=95)
        body(chart, 81.0 - 0.6 * step, 159.0, when, visit=visit, height=step == 0)
        basics(chart, when, visit=visit, creatinine=1.06, potassium=4.1, urea=24, glucose=108)
        chart.measure("nt-probnp", peptide + chart.noise(60), when, visit=visit)
    chart.measure("heart-rate", 720, chart.at(51, 10), note="Typed by hand.")
    when = chart.at(322, 10)
    visit = chart.visit(when, "follow-up", "hfpef", minutes=240)
    blood_count(chart, when, visit=visit, haemoglobin=12.6)
    vital_signs(chart, when, 138, 78, visit=visit, pulse=80, saturation=95)
    catheter(
        chart,
        when,
        pulmonary=(40, 19),
        wedge=19,
        atrium=11,
        output=3.9,
        size=(79.8, 159.0),
        blood=(95.0, 12.6),
        visit=visit,
        conclusion="Post-capillary pulmonary hypertension.",
    )
    blood_count(chart, chart.at(50, 10), haemoglobin=12.5)

"""Surgery: colon cancer, a planned resection, the anaesthetic record and the days after."""

from __future__ import annotations

from datetime import timedelta

from conformance.cohort.background import background, check_up
from conformance.cohort.chart import Chart
from conformance.cohort.workup import basics, blood_count, pressure, vital_signs

__all__ = ["tell"]

MINUTES = 180  # from induction to waking


def tell(chart: Chart) -> None:
    """All at `summit`: found by colonoscopy, assessed (ASA 3), operated on eight days ago, at home since yesterday."""
    background(chart, "former-smoker")
    chart.problem("colon-cancer", chart.day(40))
    chart.problem("hypertension", chart.day(4500))
    chart.medicine("lisinopril", chart.day(4400), dose=20, unit="mg", daily=1)
    chart.procedure("colonoscopy", chart.at(42, 10), end=chart.at(42, 10, 45))
    check_up(
        chart,
        20,
        systolic=139,
        diastolic=82,
        kilograms=83.0,
        centimetres=175.0,
        creatinine=1.08,
        cholesterol=(187, 46, 139),
        haemoglobin=11.4,
    )
    seen = chart.at(14, 10)
    visit = chart.visit(seen, "check-up", "colon-cancer")
    chart.measure("asa-class", "asa-3", seen, visit=visit)
    chart.measure("inr", 1.1, seen, visit=visit)
    chart.measure("albumin", 3.6, seen, visit=visit)
    chart.measure("crp", 6, seen, visit=visit, unit="missing", note="Bedside test.")
    chart.vaccine("pneumococcal", chart.day(14), given=False)
    chart.paper("request", "Laparoscopic right hemicolectomy", chart.day(14), procedure="colectomy")

    admitted = chart.at(9, 17)
    stay = chart.visit(admitted, "inpatient", "colon-cancer", "inpatient", 7 * 24 * 60)
    knife = chart.at(8, 8, 0)
    chart.procedure("general-anaesthesia", knife, end=knife + timedelta(minutes=MINUTES), visit=stay)
    chart.procedure("colectomy", knife + timedelta(minutes=25), end=knife + timedelta(minutes=MINUTES - 20), visit=stay)
    for name, minute, dose, unit in (
        ("remifentanil", 0, 0.2, "ug/kg/min"),
        ("propofol", 1, 160.0, "mg"),
        ("rocuronium", 2, 50.0, "mg"),
        ("propofol", 5, 0.1, "mg/kg/min"),
        ("rocuronium", 70, 15.0, "mg"),
    ):
        chart.medicine(
            name,
            knife + timedelta(minutes=minute),
            kind="administration",
            status="completed",
            dose=dose,
            unit=unit,
            visit=stay,
            digits=1,
        )
    for minute in range(0, MINUTES + 1, 5):
        when = knife + timedelta(minutes=minute)
        systolic, pulse = _course(minute)
        pressure(chart, systolic + chart.noise(3), 0.56 * systolic + chart.noise(2), when, visit=stay)
        chart.measure("heart-rate", pulse + chart.noise(2), when, visit=stay)
        chart.measure("oxygen-saturation", min(100.0, 98.5 + chart.noise(0.6)), when, visit=stay)
        if minute >= 5:
            chart.measure("end-tidal-carbon-dioxide", (38 if minute > 35 else 34) + chart.noise(1), when, visit=stay)
    chart.measure("blood-loss", 220, knife + timedelta(minutes=MINUTES), visit=stay, coded=False)

    # C-reactive protein peaks on the second day and halves about every 19 hours after that.
    for day, (protein, haemoglobin, cells, pain) in enumerate(
        (
            (42, 10.4, 11.8, 5),
            (148, 10.1, 12.6, 4),
            (92, 10.0, 10.1, 3),
            (41, 10.2, 8.9, 3),
            (18, 10.4, 7.8, 2),
            (9, 10.6, 7.1, 1),
        )
    ):
        when = chart.at(7 - day, 6)
        vital_signs(chart, when, 128, 72, visit=stay, pulse=92 - 3 * day, saturation=96)
        basics(chart, when, visit=stay, creatinine=1.12 - 0.01 * day, glucose=118)
        blood_count(chart, when, visit=stay, haemoglobin=haemoglobin, leukocytes=cells)
        chart.measure("crp", protein, when, visit=stay)
        chart.measure("pain", pain, when, visit=stay)
    chart.paper("claim", "Colon resection with stay", chart.day(2), procedure="colectomy", visit=stay)


def _course(minute: int) -> tuple[float, float]:
    """Return systolic pressure and heart rate: induction lowers both, laryngoscopy lifts them for minutes, waking
    restores.
    """
    if minute < 5:
        return 142.0, 78.0
    if minute == 5:
        return 98.0, 62.0
    if minute == 10:
        return 148.0, 92.0
    if minute < 35:
        return 104.0, 66.0
    if minute < MINUTES - 15:
        return 116.0, 70.0
    return 134.0, 84.0

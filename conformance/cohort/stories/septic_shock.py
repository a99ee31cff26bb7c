"""Intensive care: septic shock from pneumonia, 48 hours of it hour by hour."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from conformance.cohort import physiology
from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.concept import analyte
from conformance.cohort.workup import basics, body, kidney, lipids

__all__ = ["tell"]

HOURS = 48


def tell(chart: Chart) -> None:
    """At `harbor`. She arrives in shock, is ventilated and given norepinephrine, is worst after eight hours and then
    mends.
    """
    background(chart, "daily-smoker", "penicillin", "anaphylaxis")
    chart.problem("hypertension", chart.day(3000))
    usual = chart.at(200, 9)
    basics(chart, usual, visit=chart.visit(usual), creatinine=0.84, glucose=97)
    body(chart, 72.0, 167.0, usual)
    lipids(chart, usual, 206, 50, 141)

    arrival = chart.at(6, 4, 0)
    visit = chart.visit(arrival, "intensive-care", "septic-shock", "inpatient", 4 * 24 * 60)
    for name in ("septic-shock", "pneumonia"):
        chart.problem(name, arrival)
    chart.problem("acute-kidney-injury", arrival + timedelta(hours=10))
    chart.problem("pulmonary-embolism", arrival, verification="refuted")
    chart.procedure("intubation", arrival + timedelta(hours=1), visit=visit)
    chart.procedure("ventilation", arrival + timedelta(hours=1), end=arrival + timedelta(hours=44), visit=visit)
    for dose in range(4):
        chart.medicine(
            "vancomycin",
            arrival + timedelta(hours=1 + 12 * dose),
            kind="administration",
            status="completed",
            dose=1250,
            unit="mg",
            visit=visit,
        )
    for hour in range(HOURS + 1):
        _hour(chart, arrival + timedelta(hours=hour), hour, visit)


def illness(hour: int) -> float:
    """Return how ill she is, between 0 and 1: from 0.75 to 1 within eight hours, then halved every 13 hours."""
    return 0.75 + 0.25 * hour / 8.0 if hour < 8 else 0.5 ** ((hour - 8) / 13.0)


def _hour(chart: Chart, when: datetime, hour: int, visit: str) -> None:
    ill = illness(hour)
    ventilated = 1 <= hour < 44
    systolic = 124.0 - 34.0 * ill + chart.noise(3)
    diastolic = 68.0 - 22.0 * ill + chart.noise(2)
    high, low = (
        float(analyte(name).value(value)) for name, value in (("systolic", systolic), ("diastolic", diastolic))
    )
    chart.parts("blood-pressure", {"systolic": high, "diastolic": low}, when, visit=visit, note="Arterial line.")
    chart.measure("mean-pressure", physiology.mean_pressure(high, low), when, visit=visit)
    chart.measure("heart-rate", 82 + 44 * ill + chart.noise(3), when, visit=visit)
    chart.measure("respiratory-rate", 18 if ventilated else 22 + 10 * ill, when, visit=visit)
    chart.measure("oxygen-saturation", min(100.0, 98 - 7 * ill + chart.noise(0.6)), when, visit=visit)
    oxygen = float(np.clip(round((28 + 47 * ill) / 5) * 5, 30, 80))
    if ventilated:
        chart.measure("inspired-oxygen", oxygen, when, visit=visit)
    chart.measure("urine-output", max(8.0, 72 - 58 * ill + chart.noise(5)), when, visit=visit)
    if hour % 4 == 0:
        chart.measure("body-temperature", 98.6 + 4.4 * ill + chart.noise(0.2), when, visit=visit)
        chart.measure(
            "glasgow-coma",
            3 if ventilated and ill > 0.35 else 10 if ventilated else 13 + round(2 * (1 - ill)),
            when,
            visit=visit,
        )
        if ill > 0.2:
            chart.medicine(
                "norepinephrine",
                when,
                kind="administration",
                status="completed",
                dose=0.42 * ill,
                unit="ug/kg/min",
                visit=visit,
                digits=2,
                end=when + timedelta(hours=4),
            )
    if hour % 6 == 0:
        pressure = (310 - 190 * ill) * oxygen / 100
        keys = [
            chart.measure("arterial-ph", 7.40 - 0.19 * ill + chart.noise(0.01), when, visit=visit),
            chart.measure("arterial-oxygen", pressure + chart.noise(3), when, visit=visit),
            chart.measure("arterial-carbon-dioxide", 38 + 5 * ill + chart.noise(1), when, visit=visit),
            chart.measure("bicarbonate", 25 - 9 * ill + chart.noise(0.5), when, visit=visit),
            chart.measure("lactate", 1.0 + 6.4 * ill + chart.noise(0.2), when, visit=visit),
        ]
        chart.report("blood-gas", keys, when, visit=visit)
    if hour % 12 == 0:
        late = illness(max(0, hour - 10)) if hour >= 10 else 0.45  # the kidneys follow half a day behind
        kidney(chart, 0.84 + 1.5 * late, when, visit=visit)
        for name, value in (
            ("bilirubin", 0.6 + 1.9 * ill),
            ("platelets", 240 - 150 * ill),
            ("leukocytes", 9 + 13 * ill),
            ("crp", 60 + 230 * ill),
            ("potassium", 4.1 + 0.7 * ill),
            ("sodium", 139.0),
            ("glucose", 110 + 80 * ill),
            ("haemoglobin", 11.6),
            ("urea-nitrogen", 16 + 28 * late),
        ):
            chart.measure(name, value * (1 + chart.noise(0.02)), when, visit=visit)

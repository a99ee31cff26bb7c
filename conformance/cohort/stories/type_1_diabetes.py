"""Type 1 diabetes under a glucose sensor: a woman on injections, and an adolescent whose sugar runs higher."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from conformance.cohort import physiology
from conformance.cohort.background import background
from conformance.cohort.chart import Chart
from conformance.cohort.event import Series
from conformance.cohort.glucose import Meal, meals_of_a_day, sensor_days
from conformance.cohort.workup import basics, blood_count, body, lipids, vital_signs

__all__ = ["tell", "tell_adolescent"]

SENSOR_DAYS = 14
HOURLY_DAYS = 6


def tell(chart: Chart) -> None:
    """Two weeks of sensor, meals and insulin at `summit`; visits every three months; the general practice is at
    `lakeside`.
    """
    background(chart, "never-smoker", "penicillin", "hives")
    chart.problem("type-1-diabetes", chart.day(19 * 365))
    chart.medicine("insulin-lispro", chart.day(1900), dose=6, unit="[IU]", daily=3, text="With meals, 1 unit for 10 g")
    chart.medicine("insulin-glargine", chart.day(1900), dose=18, unit="[IU]", daily=1, text="At bedtime")

    days = [meals_of_a_day(chart.rng) for _ in range(SENSOR_DAYS)]
    readings = sensor_days(chart.rng, days, base=150.0, sensitivity=26.0)
    for number, (meals, values) in enumerate(zip(days, readings, strict=True)):
        midnight = chart.at(SENSOR_DAYS - number, 0, 0)
        series = Series(midnight, 5, tuple(None if value is None else Decimal(value) for value in values))
        chart.measure("glucose-sensor", series, midnight)
        _log(chart, midnight, meals)
    mean = _mean(readings)

    for quarter, drift in enumerate((0.9, 0.7, 0.6, 0.3, 0.2, 0.0)):
        ago = 30 + 91 * (5 - quarter)
        when = chart.at(ago, 10)
        visit = chart.visit(when, "follow-up", "type-1-diabetes")
        vital_signs(chart, when, 118, 74, visit=visit)
        body(chart, 64.0 - drift, 168.0, when, visit=visit, height=quarter == 0)
        last = quarter == 5
        chart.measure(
            "hba1c",
            physiology.hba1c_of_mean(mean) + drift + chart.noise(0.05),
            when,
            visit=visit,
            also=("lakeside",) if last else (),
            note="Result copied from summit." if last else "",
        )
    when = chart.at(30, 8)
    basics(chart, when, creatinine=0.74, glucose=mean)
    lipids(chart, when, 172, 61, 78)
    chart.measure("uacr", 9 + chart.noise(2), when)
    chart.measure("tsh", 2.1 + chart.noise(0.2), when)
    chart.paper(
        "goal", "HbA1c below 7 %, less than 4 % of time under 70 mg/dL", chart.day(121), problem="type-1-diabetes"
    )

    chart.ehr = "lakeside"
    seen = chart.at(75, 11)
    visit = chart.visit(seen, "problem", "sinusitis")
    chart.problem("sinusitis", chart.day(75), clinical="resolved", abated=chart.day(61))
    chart.problem("type-1-diabetes", str(chart.today.year - 19))
    chart.measure("glucose", 168 + chart.noise(8), seen, visit=visit)
    chart.vaccine("tdap", chart.day(75))
    chart.medicine("ibuprofen", seen, end=chart.day(68), status="completed", dose=200, unit="mg", daily=3, visit=visit)
    blood_count(chart, seen, visit=visit, haemoglobin=13.1)


def tell_adolescent(chart: Chart) -> None:
    """Hourly sensor values in mmol/L at `harbor`, an HbA1c that fits them, and a body that grows."""
    chart.allergy("peanut", chart.day(3300), "anaphylaxis", high=True)
    chart.vaccine("tdap", chart.day(900))
    chart.problem("type-1-diabetes", chart.day(2100))
    chart.medicine("insulin-lispro", chart.day(2000), dose=7, unit="[IU]", daily=3)
    chart.medicine("insulin-glargine", chart.day(2000), dose=24, unit="[IU]", daily=1)
    days = [meals_of_a_day(chart.rng, 1.2) for _ in range(HOURLY_DAYS)]
    readings = sensor_days(chart.rng, days, base=186.0, sensitivity=30.0)
    for number, values in enumerate(readings):
        midnight = chart.at(HOURLY_DAYS - number, 0, 0)
        for hour in range(24):
            value = values[hour * 12]
            if value is not None:
                chart.measure("glucose-sensor", value, midnight + timedelta(hours=hour))
    mean = _mean(readings)
    for half in range(5):
        ago = 25 + 182 * (4 - half)
        when = chart.at(ago, 15)
        visit = chart.visit(when, "follow-up", "type-1-diabetes")
        vital_signs(chart, when, 108 + 2 * half, 64 + half, visit=visit, pulse=76)
        body(chart, 44.0 + 4.5 * half, 156.0 + 4.0 * half, when, visit=visit)
        gap = (0.6, 0.4, 0.5, 0.2, 0.0)[half]
        chart.measure("hba1c", physiology.hba1c_of_mean(mean) + gap + chart.noise(0.05), when, visit=visit)
    chart.measure("creatinine", 0.68, chart.at(25, 15))
    chart.measure("tsh", 2.6, chart.at(25, 15))
    chart.paper(
        "plan", "Sensor at school; parents are called below 4 mmol/L", chart.day(150), problem="type-1-diabetes"
    )


def _log(chart: Chart, midnight: datetime, meals: tuple[Meal, ...]) -> None:
    """Write what was eaten and injected on one day."""
    for meal in meals:
        when = midnight + timedelta(minutes=meal.minute)
        chart.measure("carbohydrate", meal.grams, when)
        chart.medicine(
            "insulin-lispro", when, kind="administration", status="completed", dose=meal.units, unit="[IU]", digits=1
        )
    chart.medicine(
        "insulin-glargine",
        midnight + timedelta(hours=22),
        kind="administration",
        status="completed",
        dose=18,
        unit="[IU]",
    )


def _mean(readings: list[list[int | None]]) -> float:
    values = [value for day in readings for value in day if value is not None]
    return sum(values) / len(values)

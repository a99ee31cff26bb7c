"""People in good health, and two young sisters with one small problem each."""

from __future__ import annotations

from conformance.cohort.background import autumn, background, check_up
from conformance.cohort.chart import Chart

__all__ = ["tell_asthma", "tell_hypothyroidism", "tell_man", "tell_woman"]


def tell_man(chart: Chart) -> None:
    """Three check-ups at `summit`; a weight there was entered in error."""
    background(chart, "never-smoker")
    for year in range(3):
        check_up(
            chart,
            60 + 365 * (2 - year),
            systolic=119,
            diastolic=75,
            kilograms=79.0 + 0.5 * year,
            centimetres=182.0,
            creatinine=0.96,
            cholesterol=(178, 54, 88),
            haemoglobin=15.1,
            pulse=60,
        )
    chart.measure("body-weight", 1742.0, chart.at(60, 9), void=True, note="Decimal point lost.")
    chart.vaccine("covid", chart.day(420))


def tell_woman(chart: Chart) -> None:
    """Three check-ups at `lakeside`."""
    background(chart, "never-smoker")
    for year in range(3):
        check_up(
            chart,
            130 + 365 * (2 - year),
            systolic=116,
            diastolic=72,
            kilograms=63.0,
            centimetres=169.0,
            creatinine=0.76,
            cholesterol=(189, 66, 84),
            haemoglobin=13.4,
            pulse=64,
        )
    for year in (1, 2, 3):
        chart.vaccine("influenza", autumn(chart, year))
    chart.measure("body-weight", 1390.0, chart.at(130, 9), void=True, note="Decimal point lost.")
    chart.measure("total-cholesterol", 185, chart.day(1130).isoformat()[:7], note="From a letter.")
    chart.paper("goal", "Walk thirty minutes a day", chart.day(130))


def tell_hypothyroidism(chart: Chart) -> None:
    """The one twin, at `harbor`: thyrotropin falls into its range under levothyroxine."""
    background(chart, "never-smoker")
    chart.problem("hypothyroidism", chart.day(700))
    chart.medicine("levothyroxine", chart.day(690), dose=75, unit="ug", daily=1)
    for ago, value in ((700, 11.4), (630, 5.2), (540, 2.9), (180, 2.10)):
        chart.measure("tsh", value, chart.at(ago, 8))
    check_up(
        chart,
        180,
        systolic=117,
        diastolic=74,
        kilograms=67.0,
        centimetres=170.0,
        creatinine=0.78,
        cholesterol=(194, 60, 101),
        haemoglobin=13.2,
    )


def tell_asthma(chart: Chart) -> None:
    """The other twin, at `summit`: mild asthma since childhood."""
    background(chart, "never-smoker")
    chart.problem("asthma", f"{chart.person.born.year + 9}")
    chart.medicine("albuterol", chart.day(1200), dose=2, unit="{puff}", text="When short of breath")
    for year in range(2):
        check_up(
            chart,
            85 + 365 * (1 - year),
            systolic=115,
            diastolic=73,
            kilograms=66.0,
            centimetres=170.0,
            creatinine=0.74,
            cholesterol=(183, 63, 90),
            haemoglobin=13.6,
        )
    chart.measure("fev1", 2.86, chart.at(85, 11))
    chart.measure("fvc", 3.70, chart.at(85, 11))
    chart.measure("fev1-fvc", 77, chart.at(85, 11))

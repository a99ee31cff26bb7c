"""The examinations that stories share: vital signs, laboratory panels, echo and catheter, the questions of every visit.

A panel is drawn around the few values that matter to the story; the others are those of a healthy adult, with noise.
What can be derived (eGFR, BMI, LDL, mean pressure, cardiac index) is derived from the values as reported, so that a
reader can check it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from conformance.cohort import physiology
from conformance.cohort.chart import Chart
from conformance.cohort.concept import analyte

__all__ = [
    "basics",
    "blood_count",
    "body",
    "catheter",
    "echo",
    "home_pressure",
    "kidney",
    "lipids",
    "pressure",
    "vital_signs",
]

Unit = Literal["coded", "text", "missing"]


def pressure(
    chart: Chart,
    systolic: float,
    diastolic: float,
    when: datetime,
    *,
    visit: str = "",
    unit: Unit = "coded",
    note: str = "",
) -> str:
    """Write a blood pressure with its two components."""
    return chart.parts(
        "blood-pressure", {"systolic": systolic, "diastolic": diastolic}, when, visit=visit, unit=unit, note=note
    )


def home_pressure(chart: Chart, ago: int, systolic: float, diastolic: float, *, unit: Unit = "coded") -> None:
    """Write a day of home readings: morning and evening, the evening a little lower."""
    for hour, lower in ((7, 0.0), (20, 4.0)):
        pressure(
            chart,
            systolic - lower + chart.noise(6.0),
            diastolic - lower / 2 + chart.noise(4.0),
            chart.at(ago, hour),
            unit=unit,
            note="Home reading, average of two.",
        )


def body(
    chart: Chart, kilograms: float, centimetres: float, when: datetime, *, visit: str = "", height: bool = True
) -> None:
    """Write weight and, unless it was not taken, height and body mass index."""
    pounds, inches = physiology.pounds_inches(kilograms, centimetres)
    chart.measure("body-weight", pounds, when, visit=visit)
    if height:
        chart.measure("body-height", inches, when, visit=visit)
        chart.measure("bmi", physiology.bmi(kilograms, centimetres), when, visit=visit)


def vital_signs(
    chart: Chart,
    when: datetime,
    systolic: float,
    diastolic: float,
    *,
    visit: str = "",
    pulse: float = 72.0,
    saturation: float = 98.0,
) -> None:
    """Write the vital signs of a visit."""
    pressure(chart, systolic + chart.noise(3.0), diastolic + chart.noise(2.0), when, visit=visit)
    chart.measure("heart-rate", pulse + chart.noise(3.0), when, visit=visit)
    chart.measure("respiratory-rate", 15.0 + chart.noise(1.2), when, visit=visit)
    chart.measure("oxygen-saturation", min(100.0, saturation + chart.noise(0.5)), when, visit=visit)
    chart.measure("body-temperature", 98.2 + chart.noise(0.3), when, visit=visit)


def kidney(chart: Chart, creatinine: float, when: datetime, *, visit: str = "") -> list[str]:
    """Write a creatinine and the eGFR that the laboratory makes of it.

    `lakeside` still reports by MDRD, and what is above 60 as ">60".
    """
    reported = float(analyte("creatinine").value(creatinine))
    keys = [chart.measure("creatinine", reported, when, visit=visit)]
    age, sex = chart.age_at(when), chart.person.sex
    if age < 18:  # neither equation is for children
        return keys
    if chart.ehr == "lakeside":
        rate = physiology.egfr_mdrd(reported, age, sex)
        high = round(rate) > 60
        keys.append(
            chart.measure("egfr-mdrd", 60.0 if high else rate, when, visit=visit, comparator=">" if high else "")
        )
    else:
        keys.append(chart.measure("egfr", physiology.egfr(reported, age, sex), when, visit=visit))
    return keys


def basics(
    chart: Chart,
    when: datetime,
    *,
    visit: str = "",
    creatinine: float = 0.9,
    potassium: float = 4.2,
    glucose: float = 92.0,
    sodium: float = 140.0,
    urea: float = 14.0,
    bicarbonate: float = 25.0,
) -> str:
    """Write a basic metabolic panel."""
    keys = [
        chart.measure("sodium", sodium + chart.noise(1.2), when, visit=visit),
        chart.measure("potassium", potassium + chart.noise(0.12), when, visit=visit),
        chart.measure("chloride", 103.0 + chart.noise(1.5), when, visit=visit),
        chart.measure("bicarbonate", bicarbonate + chart.noise(0.8), when, visit=visit),
        chart.measure("urea-nitrogen", urea + chart.noise(1.0), when, visit=visit),
        chart.measure("calcium", 9.4 + chart.noise(0.2), when, visit=visit),
        chart.measure("glucose", glucose + chart.noise(4.0), when, visit=visit),
        *kidney(chart, creatinine * (1.0 + chart.noise(0.02)), when, visit=visit),
    ]
    return chart.report("basic-metabolic", keys, when, visit=visit)


def lipids(chart: Chart, when: datetime, total: float, hdl: float, triglycerides: float, *, visit: str = "") -> str:
    """Write a lipid panel; LDL follows from the other three."""
    made = {
        "total-cholesterol": round(total + chart.noise(4.0)),
        "hdl": round(hdl + chart.noise(1.5)),
        "triglycerides": round(triglycerides + chart.noise(8.0)),
    }
    keys = [chart.measure(name, value, when, visit=visit) for name, value in made.items()]
    low = physiology.friedewald(made["total-cholesterol"], made["hdl"], made["triglycerides"])
    keys.append(chart.measure("ldl", low, when, visit=visit))
    return chart.report("lipid-panel", keys, when, visit=visit)


def blood_count(
    chart: Chart,
    when: datetime,
    *,
    visit: str = "",
    haemoglobin: float = 14.0,
    leukocytes: float = 6.5,
    platelets: float = 245.0,
    neutrophils: float | None = None,
) -> str:
    """Write a blood count; the haematocrit is three times the haemoglobin, as it is in health."""
    made = round(haemoglobin + chart.noise(0.2), 1)
    keys = [
        chart.measure("haemoglobin", made, when, visit=visit),
        chart.measure("haematocrit", made * 3.0, when, visit=visit),
        chart.measure("leukocytes", max(0.3, leukocytes + chart.noise(0.4)), when, visit=visit),
        chart.measure("platelets", platelets + chart.noise(10.0), when, visit=visit),
    ]
    if neutrophils is not None:
        keys.append(chart.measure("neutrophils", max(0.1, neutrophils + chart.noise(0.1)), when, visit=visit))
    return chart.report("blood-count", keys, when, visit=visit)


def echo(
    chart: Chart,
    when: datetime,
    *,
    fraction: float,
    diastolic_volume: float,
    visit: str = "",
    valve: tuple[float, float, float] | None = None,
    conclusion: str = "",
) -> str:
    """Write an echocardiogram: volumes, the ejection fraction that follows from them, and the aortic valve.

    `valve` is area in cm2, mean gradient in mm[Hg] and peak velocity in m/s.
    """
    chart.procedure("echocardiography", when, visit=visit)
    full = round(diastolic_volume)
    empty = round(diastolic_volume * (1.0 - fraction / 100.0))
    keys = [
        chart.measure("end-diastolic-volume", full, when, visit=visit),
        chart.measure("end-systolic-volume", empty, when, visit=visit),
        chart.measure("ejection-fraction", 100.0 * (full - empty) / full, when, visit=visit),
    ]
    if valve:
        names = ("aortic-valve-area", "aortic-mean-gradient", "aortic-peak-velocity")
        keys += [chart.measure(name, value, when, visit=visit) for name, value in zip(names, valve, strict=True)]
    return chart.report("echo-report", keys, when, visit=visit, conclusion=conclusion)


def catheter(
    chart: Chart,
    when: datetime,
    *,
    pulmonary: tuple[float, float],
    wedge: float,
    atrium: float,
    output: float,
    size: tuple[float, float],
    blood: tuple[float, float],
    visit: str = "",
    conclusion: str = "",
) -> str:
    """Write a right-heart catheterisation at rest: pressures in mm[Hg] and the output by thermodilution in L/min.

    `pulmonary` is systolic and diastolic, `size` kilograms and centimetres, `blood` arterial saturation and
    haemoglobin; mean pressure, index and mixed venous saturation follow.
    """
    chart.procedure("right-heart-catheter", when, visit=visit)
    high, low = pulmonary
    flow = float(analyte("cardiac-output").value(output))
    index = flow / physiology.body_surface(*size)
    parts = {
        "pulmonary-systolic": high,
        "pulmonary-diastolic": low,
        "pulmonary-mean": physiology.mean_pressure(high, low),
    }
    keys = [
        chart.parts("pulmonary-pressure", parts, when, visit=visit),
        chart.measure("wedge-pressure", wedge, when, visit=visit),
        chart.measure("central-venous-pressure", atrium, when, visit=visit),
        chart.measure("cardiac-output", flow, when, visit=visit),
        chart.measure("cardiac-index", index, when, visit=visit),
        chart.measure("mixed-venous-saturation", physiology.mixed_venous(*blood, index), when, visit=visit),
    ]
    return chart.report("catheter-report", keys, when, visit=visit, conclusion=conclusion)

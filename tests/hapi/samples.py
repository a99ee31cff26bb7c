"""Results as the models give them, for tests of what is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from mappers.facts import Coding
from mappers.outbound import Attention, Result, ResultInput, ResultOutput

SNOMED = "http://snomed.info/sct"
ESRD = Coding(SNOMED, "46177005", "End-stage renal disease")
HEART_FAILURE = Coding(SNOMED, "84114007", "Heart failure")
MADE_AT = datetime(2026, 11, 24, 2, 3, 4, tzinfo=UTC)


def used(name: str = "creatinine", **changes: Any) -> ResultInput:
    told: dict[str, Any] = {
        "name": name,
        "title": name.capitalize(),
        "value": "1.20",
        "unit": "mg/dL",
        "when": "2024-02-29T08:30:00+01:00",
        "reference": "Observation/12/_history/3",
        "source": "north",
        "local": True,
    }
    return ResultInput(**told | changes)


def age_and_sex(patient: str = "Patient/7/_history/1") -> tuple[ResultInput, ...]:
    """Two inputs that one resource version says."""
    return (
        used("age", value="61", unit="a", reference=patient),
        used("sex", value="female", unit="", when="", reference=patient),
    )


def egfr(**changes: Any) -> ResultOutput:
    told: dict[str, Any] = {
        "name": "egfr",
        "title": "eGFR (CKD-EPI 2021)",
        "kind": "observation",
        "code": Coding("http://loinc.org", "98979-8"),
        "value": Decimal("51.50"),
        "unit": "mL/min/{1.73_m2}",
        "horizon_years": None,
        "outcome": None,
        "decimals": 0,
    }
    return ResultOutput(**told | changes)


def risk(name: str, value: str, years: int, **changes: Any) -> ResultOutput:
    told: dict[str, Any] = {
        "name": name,
        "title": "Kidney failure",
        "kind": "risk",
        "code": None,
        "value": Decimal(value),
        "unit": "1",
        "horizon_years": years,
        "outcome": ESRD,
        "decimals": 2,
    }
    return ResultOutput(**told | changes)


def kidney(**changes: Any) -> Result:
    told: dict[str, Any] = {
        "model": "kidney",
        "version": "sample",
        "title": "Kidney function and risk of kidney failure",
        "citation": "Inker 2021, doi:10.1056/NEJMoa2102953; Tangri 2016, doi:10.1001/jama.2015.18202",
        "limits": "Adults only; not for acute kidney injury.",
        "made_at": MADE_AT,
        "valid_at": "2024-02-29T08:30:00+01:00",
        "inputs": (used(), *age_and_sex()),
        "outputs": (egfr(), risk("kf2", "0.0123", 2), risk("kf5", "0.0300", 5)),
        "assumptions": ("Creatinine is at a steady state.",),
        "run": "5f2c9a",
    }
    return Result(**told | changes)


def prevent(**changes: Any) -> Result:
    """Risks alone, with a day's precision and an input of another EHR."""
    elsewhere = "https://lakeside.example/fhir/Observation/9/_history/2"
    told: dict[str, Any] = {
        "model": "prevent",
        "version": "sample",
        "title": "Cardiovascular risk (PREVENT base)",
        "citation": "Khan 2024, doi:10.1161/CIRCULATIONAHA.123.067626",
        "valid_at": "2024-02-29",
        "inputs": (
            used("systolic-pressure", value="142", unit="mm[Hg]", when="2024-02-29"),
            used("hdl-cholesterol", value="48", reference=elsewhere, source="lakeside", local=False),
            *age_and_sex(),
        ),
        "outputs": (
            risk("hf10", "0.0815", 10, title="Heart failure", outcome=HEART_FAILURE, decimals=1),
            risk("cvd30", "0.4", 30, title="Total cardiovascular disease", outcome=None, decimals=1),
        ),
        "run": "77aa01",
    }
    return kidney(**told | changes)


HYPOGLYCAEMIA = Coding(SNOMED, "302866003", "Hypoglycemia")


def falling(**changes: Any) -> Result:
    """A forecast of glucose: a risk over an hour, on one reading."""
    told: dict[str, Any] = {
        "model": "glucose",
        "version": "sample",
        "title": "Glucose under meals and insulin",
        "citation": "Cappon 2023, doi:10.1109/TBME.2022.3221305",
        "limits": "Not for dosing.",
        "valid_at": "2026-11-24T03:03:00+01:00",
        "inputs": (used("interstitial-glucose", value="82", when="2026-11-24T03:03:00+01:00"), *age_and_sex()),
        "outputs": (
            risk(
                "low",
                "0.62",
                0,
                title="Glucose below 70 mg/dL",
                outcome=HYPOGLYCAEMIA,
                decimals=0,
                horizon_years=None,
                horizon_minutes=60,
            ),
        ),
        "assumptions": (),
        "run": "33bb07",
    }
    return kidney(**told | changes)


def warning() -> Attention:
    """The warning that goes with it."""
    return Attention(
        name="low-2026-11-24T02:03:00Z",
        title="Glucose is expected below 70 mg/dL",
        said="62 % within 60 minutes.",
        severity="high",
        begins=MADE_AT + timedelta(minutes=25),
        ends=MADE_AT + timedelta(minutes=60),
        code=HYPOGLYCAEMIA,
    )


def flow(**changes: Any) -> ResultOutput:
    """An output of an ensemble, with the middle 95 % of it."""
    told: dict[str, Any] = {
        "name": "cardiac-output",
        "title": "Cardiac output",
        "code": Coding("http://loinc.org", "8741-1"),
        "value": Decimal("4.8312"),
        "unit": "L/min",
        "decimals": 1,
        "low": Decimal("4.0961"),
        "high": Decimal("5.65"),
    }
    return egfr(**told | changes)


def heart(**changes: Any) -> Result:
    """An observation with an interval, one without, and a risk with one."""
    told: dict[str, Any] = {
        "model": "circulation",
        "title": "Circulation of the blood",
        "outputs": (
            flow(),
            flow(name="heart-rate", title="Heart rate", code=None, unit="/min", decimals=0, low=None, high=None),
            risk("shock", "0.0400", 1, low=Decimal("0.0150"), high=Decimal("0.0821"), decimals=1),
        ),
        "run": "19be55",
    }
    return kidney(**told | changes)


VALVE = "Aortic valve: Edwards Magna Ease 23 mm"


def valve(**changes: Any) -> Result:
    """What would follow if a valve were replaced."""
    told: dict[str, Any] = {
        "model": "circulation",
        "title": "Circulation of the blood",
        "valid_at": "2026-11-24T03:03:00+01:00",
        "outputs": (
            risk(
                "low-output",
                "0.125",
                0,
                title="Cardiac output below 4 L/min",
                outcome=HEART_FAILURE,
                decimals=0,
                horizon_years=None,
                horizon_minutes=360,
                rationale="Cardiac output 3.9 (3.4 to 4.5) L/min before, 4.8 (4.1 to 5.7) L/min after.",
            ),
            risk("mismatch", "0.5", 0, title="Prosthesis mismatch", outcome=None, decimals=0, horizon_years=None),
        ),
        "run": "c0ffee",
        "hypothesis": VALVE,
    }
    return kidney(**told | changes)

"""A virtual person with type 1 diabetes under a glucose sensor, for the demonstration: five days, and the next hours.

The course is that of a UVA/Padova patient, another and larger model than the one that a twin is calibrated with, and
of a sensor that errs as real ones do. It is made once and shipped (`virtual_wear.json`), so that a demonstration waits
for no compiler; `simulate_wear` makes it again, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

import msgspec
import numpy as np

__all__ = ["SPACING", "Given", "VirtualWear", "resources", "shipped_wear", "simulate_wear"]

SPACING: Final = 5  # minutes from one reading to the next

_DAY: Final = 1440
_PAST, _AHEAD = 5 * _DAY, 720  # minutes of readings before the present, and after it
_PATIENT: Final = "virtual-wearer"
_BASAL: Final = 19.0  # units of glargine a day
_MEALS: Final = ((-400, 45.0), (-1160, 70.0), (-1535, 60.0))  # minutes before a day's end, and grams
_NOW: Final = ((-95, 40.0, 12.0), (45, 30.0, 0.0), (300, 70.0, 5.5), (560, 30.0, 2.5))  # twice the bolus, then juice
_SHOWN: Final = 15  # minutes later than that it is shown: glucose falls so surely then that any calibration warns
_SEEDS: Final = (9, 11)
_TWICE: Final = (3, 5, 8, 11)
_TOLD: Final = {
    "carbohydrate": ("http://snomed.info/sct", "788472008", "Carbohydrate intake"),
    "insulin-bolus": ("http://www.nlm.nih.gov/research/umls/rxnorm", "86009", "insulin lispro"),
    "insulin-basal": ("http://www.nlm.nih.gov/research/umls/rxnorm", "274783", "insulin glargine"),
}


class Given(msgspec.Struct, frozen=True, array_like=True):
    """What was eaten or injected: minutes from the present, the plan input, and grams or units."""

    minute: int
    input: str
    amount: float


class VirtualWear(msgspec.Struct, frozen=True):
    """Readings in mg/dL, every `SPACING` minutes from `first` on; minute 0 is the present of whoever shows them."""

    made_by: str
    first: int
    readings: tuple[int, ...]
    given: tuple[Given, ...]


def shipped_wear() -> VirtualWear:
    """Read the wear that is shipped."""
    return msgspec.json.decode(files("gateway").joinpath("virtual_wear.json").read_bytes(), type=VirtualWear)


def simulate_wear() -> VirtualWear:
    """Simulate the wear: the mean UVA/Padova patient, three counted meals a day, a factory-calibrated sensor."""
    from twin_engine.glycaemia.sensor import FactoryError, FactorySensor  # noqa: PLC0415 - only to make it again
    from twin_engine.physiology.virtual_patient import (  # noqa: PLC0415
        VirtualPatient,
        at_rest,
        schedule_of,
        simulate_patients,
    )

    eaten = sorted((*_past_meals(), *_NOW))
    patient, rates = VirtualPatient().vector[None, :], np.array([_BASAL / 24.0])
    schedule = schedule_of([[(minute + _PAST, grams, units) for minute, grams, units in eaten]], rates)
    count = (_PAST + _AHEAD) // SPACING
    glucose = simulate_patients(patient, at_rest(patient, rates), schedule, count * SPACING, every=SPACING)[1][0]
    wearing = FactorySensor(error=FactoryError()).wear(np.random.default_rng(_SEEDS[1]), count)
    told = [Given(minute, "carbohydrate", grams) for minute, grams, _ in eaten]
    told += [Given(minute, "insulin-bolus", units) for minute, _, units in eaten if units]
    told += [Given(day * _DAY - 960, "insulin-basal", _BASAL) for day in range(-4, 2)]
    return VirtualWear(
        made_by="gateway.virtual_wear.simulate_wear; synthetic, nobody's data",
        first=SPACING - _PAST,
        readings=tuple(int(value) for value in np.rint(wearing.read_all(glucose)))[_SHOWN // SPACING :],
        given=tuple(
            msgspec.structs.replace(one, minute=one.minute - _SHOWN)
            for one in sorted(told, key=lambda one: (one.minute, one.input))
        ),
    )


def _past_meals() -> Iterator[tuple[int, float, float]]:
    """Draw meals as somebody counts them; four times the bolus is taken about twice, as the last one is."""
    rng = np.random.default_rng(_SEEDS[0])
    planned = [(day * _DAY + before, grams) for day in range(-4, 1) for before, grams in _MEALS]
    for number, (minute, grams) in enumerate(planned):
        eaten = round(grams * rng.uniform(0.8, 1.2))
        units = round(eaten / 13.0 * rng.uniform(0.75, 1.25) * 2) / 2  # pens count in half units
        moved = minute + int(rng.integers(-25, 26))
        if moved > -_PAST:
            yield moved, float(eaten), float(round(units * 2.2)) if number in _TWICE else units


def resources(wear: VirtualWear, present: datetime, begin: int, end: int) -> Iterator[dict[str, Any]]:
    """Yield as FHIR R4 what is told from minute `begin` (included) to `end` (not included) of the present.

    The person comes with the beginning of the wear.
    """
    if begin <= wear.first:
        yield from _person(present + timedelta(minutes=wear.first))
    for number, value in enumerate(wear.readings):
        minute = wear.first + number * SPACING
        if begin <= minute < end:
            yield _observation(
                f"glucose-{number}",
                ("http://loinc.org", "99504-3", "Glucose [Mass/volume] in Interstitial fluid"),
                present + timedelta(minutes=minute),
                value,
                "mg/dL",
            )
    for number, given in enumerate(wear.given):
        if begin <= given.minute < end:
            when = present + timedelta(minutes=given.minute)
            if given.input == "carbohydrate":
                yield _observation(f"meal-{number}", _TOLD[given.input], when, given.amount, "g")
            else:
                yield _administration(f"dose-{number}", _TOLD[given.input], when, given.amount)


def _person(since: datetime) -> Iterator[dict[str, Any]]:
    yield {
        "resourceType": "Patient",
        "id": _PATIENT,
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "name": [{"family": "Synthetic-Wearer", "given": ["Virtual"]}],
        "gender": "female",
        "birthDate": "1991-05-17",
    }
    weight = ("http://loinc.org", "29463-7", "Body weight")
    yield _observation("weight", weight, since - timedelta(days=9), 56.5, "kg")
    yield {
        "resourceType": "Condition",
        "id": "diabetes",
        "clinicalStatus": _concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": _concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
        "code": _concept("http://snomed.info/sct", "46635009", "Type 1 diabetes mellitus"),
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "onsetDateTime": "2003",
    }


def _observation(name: str, code: tuple[str, str, str], when: datetime, value: float, unit: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": _concept(*code),
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "effectiveDateTime": _time(when),
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def _administration(name: str, code: tuple[str, str, str], when: datetime, units: float) -> dict[str, Any]:
    dose = {"value": units, "unit": "units", "system": "http://unitsofmeasure.org", "code": "[IU]"}
    return {
        "resourceType": "MedicationAdministration",
        "id": name,
        "status": "completed",
        "medicationCodeableConcept": _concept(*code),
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "effectiveDateTime": _time(when),
        "dosage": {"dose": dose},
    }


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    coding = {"system": system, "code": code, **({"display": display} if display else {})}
    return {"coding": [coding]}


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")

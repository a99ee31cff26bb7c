"""Facts of every kind as valid R4 resources, which say no more than was told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import pytest
from fhir.resources.R4B import get_fhir_model_class

from mappers.facts import Coding, Fact, Kind, Origin, Quantity
from mappers.outbound.fact import write_fact
from mappers.when import read_when

SNOMED = Coding("http://snomed.info/sct", "44054006", "Type 2 diabetes")


def fact(kind: Kind = "measurement", **changes: Any) -> Fact:
    told: dict[str, Any] = {
        "kind": kind,
        "name": "x",
        "code": SNOMED,
        "value": None,
        "when": read_when("2024-02"),
        "status": "completed",
        "origin": Origin("north", "Observation", "1"),
        "mapping": "4",
        **changes,
    }
    return Fact(**told)


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("status", ["active", "completed", "final", "resolved", "strange", ""])
def test_every_kind_becomes_a_resource_that_is_valid(kind, status):
    written = write_fact(fact(kind, status=status), "Patient/1")
    get_fhir_model_class(written["resourceType"]).model_validate(written)
    told = written.get("status", written.get("clinicalStatus", {}).get("coding", [{}])[0].get("code", ""))
    if status and told != status:
        assert f"Its status is told as: {status}." in written["note"][0]["text"]


UCUM = {"system": "http://unitsofmeasure.org"}
CODED = {"system": SNOMED.system, "code": SNOMED.code, "display": SNOMED.display}


@pytest.mark.parametrize(
    ("value", "element", "written"),
    [
        (
            Quantity(Decimal("7.10"), "%", "<"),
            "valueQuantity",
            {"value": Decimal("7.10"), "comparator": "<", "unit": "%", "code": "%", **UCUM},
        ),
        (Quantity(Decimal(3), ""), "valueQuantity", {"value": Decimal(3)}),  # a missing unit is no unit
        (SNOMED, "valueCodeableConcept", {"coding": [CODED]}),
        (Coding("local", "x", "said"), "valueCodeableConcept", {"text": "said"}),
        (True, "valueBoolean", True),
        ("words", "valueString", "words"),
    ],
)
def test_values_keep_their_digits_and_units(value, element, written):
    assert write_fact(fact(value=value), "Patient/1")[element] == written


def test_a_series_keeps_its_gaps():
    series = write_fact(fact(value=(Decimal("1.0"), None, Decimal(2)), period_ms=Decimal(4)), "Patient/1")
    assert series["valueSampledData"] == {"origin": {"value": 0}, "period": 4, "dimensions": 1, "data": "1.0 E 2"}


@pytest.mark.parametrize(
    ("when", "until", "written"),
    [
        ("2024-02", None, {"effectiveDateTime": "2024-02"}),  # partial stays partial
        (None, None, {}),
        ("2024-02-03T10:11Z", None, {"effectiveDateTime": "2024-02-03T10:11:00Z"}),
        ("2024", "2025-01-01", {"effectivePeriod": {"start": "2024", "end": "2025-01-01"}}),
        ("2025-01-03", "2024", {"effectiveDateTime": "2025-01-03"}),
    ],
)
def test_times_are_no_more_precise_than_told(when, until, written):
    found = write_fact(fact(when=read_when(when), until=read_when(until)), "Patient/1")
    assert {key: value for key, value in found.items() if key.startswith("effective")} == written


def test_what_r4_cannot_hold_is_said_in_a_note():
    odd = fact(
        "condition",
        relative=Coding("urn:x", "FTH", "father"),
        original=Quantity(Decimal("1.50"), "mmol/L"),
        flags=("unusual",),
        equivalence="wider",
        status="active",
    )
    written = write_fact(odd, "Patient/1")
    assert written["resourceType"] == "Observation"  # it is no condition of the patient
    for words in ("a relative: father", "told as 1.50 mmol/L", "unusual", "wider than what was told"):
        assert words in written["note"][0]["text"]

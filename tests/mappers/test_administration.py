"""Doses that were given: when, of what, how much; and what is not said is not made up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappers import map_resource
from mappers.facts import Fact, Origin, Quantity, Refusal
from mappers.versions import VERSIONS, FhirVersion

LISPRO = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "86009"}]}
UCUM = "http://unitsofmeasure.org"


def given(version: FhirVersion = "r4", **changes: Any) -> Fact | Refusal:
    dose = {"value": Decimal("4.5"), "unit": "units", "system": UCUM, "code": "[IU]"}
    shapes: dict[str, dict[str, Any]] = {
        "r4": {"subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-11-12T07:30:00-05:00"},
        "dstu2": {"patient": {"reference": "Patient/p"}, "effectiveTimeDateTime": "2026-11-12T07:30:00-05:00"},
    }
    shapes["stu3"] = shapes["r4b"] = shapes["r4"]
    shapes["r5"] = {
        "subject": {"reference": "Patient/p"},
        "occurenceDateTime": "2026-11-12T07:30:00-05:00",
        "medication": {"concept": LISPRO},
    }
    resource = {
        "resourceType": "MedicationAdministration",
        "id": "a",
        "status": "completed",
        **({} if version == "r5" else {"medicationCodeableConcept": LISPRO}),
        "dosage": {"quantity" if version == "dstu2" else "dose": dose},
        **shapes[version],
        **changes,
    }
    [outcome] = map_resource(resource, version, Origin("north", "MedicationAdministration", "a"), {})
    assert isinstance(outcome, (Fact, Refusal))
    return outcome


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dose_of_insulin_is_a_fact_in_international_units(version: FhirVersion) -> None:
    fact = given(version)
    assert isinstance(fact, Fact)
    assert (fact.kind, fact.name, fact.status) == ("administration", "insulin-lispro", "completed")
    assert fact.value == Quantity(Decimal("4.5"), "[iU]")
    assert fact.when is not None
    assert fact.when.earliest.isoformat() == "2026-11-12T12:30:00+00:00"


def test_a_dose_of_which_no_amount_is_told_has_none() -> None:
    fact = given(dosage={"text": "as usual"})
    assert isinstance(fact, Fact)
    assert fact.value is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "not-done"}, "not-done"),
        ({"status": "entered-in-error"}, "status"),
        ({"notGiven": True}, "not-done"),
        ({"dosage": {"dose": {"value": Decimal(4)}}}, "no-unit"),
        ({"dosage": {"dose": {"value": "four", "unit": "mg"}}}, "bad-value"),
        ({"effectiveDateTime": "yesterday"}, "bad-date"),
        (
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/x"}},
            "unresolved-reference",
        ),
    ],
)
def test_what_was_not_given_or_cannot_be_read_is_refused(changes: dict[str, Any], reason: str) -> None:
    outcome = given(**changes)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == reason

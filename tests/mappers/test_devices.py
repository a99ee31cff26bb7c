"""What devices send: codes of ISO/IEEE 11073 beside LOINC, each with our name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappers import map_resource
from mappers.analytes import ANALYTES, find_analytes
from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.rows import read_table

MDC = "urn:iso:std:iso:11073:10101"
ROWS = read_table("mdc")["code"]
NAMES = {analyte.name for analyte in ANALYTES}

# IEEE 11073-10101: partition and term of some codes, as the standard and open implementations write them.
PUBLISHED = {
    "MDC_PULS_OXIM_SAT_O2": (2, 19384),
    "MDC_PULS_OXIM_PULS_RATE": (2, 18458),
    "MDC_PRESS_BLD_NONINV_SYS": (2, 18949),
    "MDC_PRESS_BLD_NONINV_DIA": (2, 18950),
    "MDC_TEMP_BODY": (2, 19292),
    "MDC_MASS_BODY_ACTUAL": (2, 57664),
    "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD": (2, 29112),
    "MDC_CONC_GLU_ISF": (2, 29140),
    "MDC_CONC_HBA1C": (2, 29148),
    "MDC_ECG_HEART_RATE": (2, 16770),
    "MDC_ECG_ELEC_POTL_II": (2, 258),
}


@pytest.mark.parametrize("row", ROWS, ids=[row["ref"] for row in ROWS])
def test_each_row_means_something_that_we_have_and_cites_where_it_is_from(row: dict[str, Any]) -> None:
    assert row["means"] in NAMES
    assert row["cite"]
    assert int(row["code"]) >> 16 == 2  # all are of the partition of physiological measurements
    [(analyte, _)] = find_analytes([Coding(MDC, row["code"])])
    assert analyte.name == row["means"]


def test_no_code_and_no_reference_identifier_stands_twice() -> None:
    for column in ("code", "ref"):
        assert len({row[column] for row in ROWS}) == len(ROWS)


def test_codes_are_partition_and_term_as_published() -> None:
    ours = {row["ref"]: int(row["code"]) for row in ROWS}
    assert {ref: ours[ref] for ref in PUBLISHED} == {
        ref: (part << 16) + term for ref, (part, term) in PUBLISHED.items()
    }


def mapped(code: str, value: str, unit: str, also: str = "") -> list[Any]:
    coding = [{"system": MDC, "code": code}, *([{"system": "http://loinc.org", "code": also}] if also else [])]
    resource = {
        "resourceType": "Observation",
        "id": "1",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-03-01T08:00:00Z",
        "code": {"coding": coding},
        "valueQuantity": {"value": Decimal(value), "system": "http://unitsofmeasure.org", "code": unit, "unit": unit},
    }
    return map_resource(resource, "r4", Origin("phd", "Observation", "1"), {})


@pytest.mark.parametrize(
    ("code", "value", "unit", "also", "name", "quantity"),
    [
        ("150456", "97", "%", "59408-5", "oxygen-saturation", Quantity(Decimal(97), "%")),
        ("149530", "62", "/min", "8867-4", "heart-rate", Quantity(Decimal(62), "/min")),
        ("150021", "16.0", "kPa", "", "systolic-pressure", Quantity(Decimal("120.0"), "mm[Hg]")),
        ("188736", "160", "[lb_av]", "29463-7", "body-weight", Quantity(Decimal("72.57"), "kg")),
        ("150364", "98.6", "[degF]", "", "body-temperature", Quantity(Decimal("37.00"), "Cel")),
        ("160212", "5.5", "mmol/L", "99504-3", "interstitial-glucose", Quantity(Decimal("99.1"), "mg/dL")),
        ("160184", "101", "mg/dL", "", "glucose", Quantity(Decimal(101), "mg/dL")),
    ],
)
def test_a_device_code_means_what_its_loinc_twin_means(
    code: str, value: str, unit: str, also: str, name: str, quantity: Quantity
) -> None:
    [fact] = mapped(code, value, unit, also)
    assert isinstance(fact, Fact)
    assert (fact.name, fact.value) == (name, quantity)


@pytest.mark.parametrize(
    ("code", "unit", "also", "reason"),
    [
        ("160208", "mg/dL", "", "unknown-code"),  # the control solution of a glucose meter is nobody's blood
        ("150388", "Cel", "", "unknown-code"),  # the temperature of skin
        ("150456", "%", "8867-4", "conflicting-codes"),
        ("149530", "mg/dL", "", "unit-not-convertible"),
    ],
)
def test_what_a_device_measures_elsewhere_is_not_taken_for_the_patients(
    code: str, unit: str, also: str, reason: str
) -> None:
    [refusal] = mapped(code, "40", unit, also)
    assert refusal.reason == reason

"""The codes of the cohort: no slip of the pen survives the check digits, and units are UCUM."""

from __future__ import annotations

import pytest
from ucumvert import PintUcumRegistry

from conformance.cohort.concept import ANALYTES, LOINC, TERMS, UCUM

# Verhoeff's dihedral check: SNOMED CT Technical Implementation Guide, "Check-digit computation".
MULTIPLY = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
FIRST = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        moved = int(digit)
        for _ in range(place % 8):
            moved = FIRST[moved]
        check = MULTIPLY[check][moved]
    return check == 0


def luhn(digits: str) -> bool:
    """LOINC's mod 10 check digit (LOINC Users' Guide, appendix C)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


CODINGS = sorted(
    {
        (scale.coding.system, scale.coding.code)
        for analyte in ANALYTES.values()
        for scale in analyte.scales.values()
        if scale.coding.system != "local"
    }
    | {(one.system, one.code) for rows in TERMS.values() for term in rows.values() for one in term.codings("sct")}
)


@pytest.mark.parametrize(("system", "code"), CODINGS)
def test_the_check_digit_is_right(system: str, code: str):
    if system == LOINC:
        assert luhn(code.replace("-", ""))
    else:
        assert verhoeff(code)


def test_a_slip_of_the_pen_would_be_found():
    assert not luhn("21600".replace("2", "3"))
    assert not verhoeff("44054007")


def test_every_unit_is_ucum():
    registry = PintUcumRegistry()
    units = {scale.unit for analyte in ANALYTES.values() for scale in analyte.scales.values() if scale.unit}
    for unit in sorted(units - {"[pH]", "{INR}", "{score}"}):
        registry.from_ucum(unit)
    assert UCUM == "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        # AMA Manual of Style, 11th ed., table 17.5-1, and the IFCC-NGSP master equation.
        ("creatinine", 1.0, "88"),
        ("glucose", 100.0, "5.6"),
        ("total-cholesterol", 200.0, "5.17"),
        ("triglycerides", 150.0, "1.69"),
        ("hba1c", 7.0, "53"),
        ("haemoglobin", 14.0, "140"),
        ("bilirubin", 1.0, "17"),
        ("arterial-oxygen", 75.0, "10.0"),
        ("body-temperature", 98.6, "37.0"),
        ("uacr", 30.0, "3.4"),
        ("calcium", 10.0, "2.50"),
        ("urea-nitrogen", 14.0, "5.0"),
    ],
)
def test_harbor_reports_in_si_units(name: str, value: float, expected: str):
    analyte = ANALYTES[name]
    assert str(analyte.scales["harbor"].report(analyte.value(value))) == expected


def test_every_medicine_is_known_to_rxnorm_or_to_atc():
    for term in TERMS["medicine"].values():
        assert term.codings("rxnorm", "atc")

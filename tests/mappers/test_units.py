from __future__ import annotations

import re
import warnings
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.rows import read_table
from mappers.units import COMMON, UNITS, convert, find_unit, step_between, units_of

UCUM = "http://unitsofmeasure.org"
NOT_IN_PINT = re.compile(r"^\{.*\}$|^\[pH\]$|^1$")  # annotations, which pint counts as nothing, and pH, a logarithm


@pytest.fixture(scope="module")
def pint():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        yield PintUcumRegistry()


def test_every_factor_is_that_of_ucumvert_and_pint(pint):
    first = {}
    for unit in UNITS.values():
        first.setdefault(unit.dimension, unit)
    compared = 0
    for unit in UNITS.values():
        if NOT_IN_PINT.match(unit.code) or unit.offset:
            continue
        one = pint.from_ucum(unit.code)
        base = pint.from_ucum(first[unit.dimension].code)
        # pint's inch of mercury is the conventional one, 133.322387; UCUM rounds to 133.322.
        assert one.to(base.units).magnitude / base.magnitude == pytest.approx(float(unit.size), rel=5e-6), unit.code
        compared += 1
    assert compared > 170


@pytest.mark.parametrize("code", ["Cel", "[degF]"])
def test_temperatures_are_those_of_pint(pint, code):
    step = step_between(UNITS[code], UNITS["K"])
    for value in (-40, 0, 36.6, 98.6, 1000):
        expected = pint.Quantity(value, pint.from_ucum(code).units).to("kelvin").magnitude
        assert float(Fraction(str(value)) * step.slope + step.offset) == pytest.approx(expected, rel=1e-12)


def test_units_of_different_dimensions_do_not_convert():
    for one, other in [
        ("mg/dL", "mmol/L"),
        ("mL/min", "mL/min/{1.73_m2}"),
        ("%", "1"),
        ("U/L", "[IU]/L"),
        ("mg/g", "mg/mmol"),
    ]:
        assert step_between(UNITS[one], UNITS[other]) is None


@pytest.mark.parametrize(
    ("value", "one", "other", "expected"),
    [
        ("7.10", "g/L", "g/dL", "0.710"),  # only the decimal point moves: no digit is lost, none is made up
        ("1.3", "g/L", "mg/L", "1300"),
        ("98.6", "[degF]", "Cel", "37.00"),
        ("32", "[degF]", "Cel", "0.00"),
        ("70.5", "[in_i]", "cm", "179.1"),
        ("154", "[lb_av]", "kg", "69.85"),
        ("5", "kPa", "mm[Hg]", "37.5"),  # at least three digits
        ("0", "[lb_av]", "kg", "0.00"),
        ("1E+2", "g", "mg", "100000"),
    ],
)
def test_a_conversion_has_one_digit_more_than_was_told(value, one, other, expected):
    assert str(convert(Decimal(value), step_between(UNITS[one], UNITS[other]))) == expected


@given(
    st.decimals(min_value=Decimal("0.001"), max_value=Decimal(100_000), places=3),
    st.sampled_from(
        [("[lb_av]", "kg"), ("[in_i]", "cm"), ("kPa", "mm[Hg]"), ("ukat/L", "U/L"), ("wk", "d"), ("g/L", "mg/dL")]
    ),
)
def test_there_and_back_is_where_we_were(value, units):
    there = step_between(UNITS[units[0]], UNITS[units[1]])
    back = step_between(UNITS[units[1]], UNITS[units[0]])
    assert convert(convert(value, there), back) == pytest.approx(value, rel=Decimal("0.01"))
    assert there.slope * back.slope == 1


def test_every_spelling_is_a_unit_and_none_hides_a_code():
    assert find_unit("mmHg") is UNITS["mm[Hg]"]
    assert find_unit("mL/min/1.73m2") is UNITS["mL/min/{1.73_m2}"]
    assert find_unit("Mm[Hg]") is None
    for code, unit in UNITS.items():
        assert find_unit(code) is unit


@pytest.mark.parametrize(
    ("quantity", "code", "words"),
    [
        ({"unit": "mg/dl", "system": UCUM, "code": "mg/dL"}, "mg/dL", "mg/dl"),
        ({"unit": "mg/dl", "system": f"{UCUM}/", "code": "mg/dL"}, "mg/dL", "mg/dl"),
        ({"unit": "mg/dl"}, "", "mg/dl"),
        ({"code": "mg/dL"}, "", "mg/dL"),  # a code of no system is a word
        ({"unit": "mg/dl", "system": "http://snomed.info/sct", "code": "258797006"}, "", "mg/dl"),
        ({"system": "http://snomed.info/sct", "code": "258797006"}, "", ""),
        ({"unit": " ", "system": UCUM, "code": ""}, "", ""),
        ({"unit": 7, "system": [UCUM], "code": {}}, "", ""),
    ],
)
def test_a_unit_is_its_ucum_code_or_its_words(quantity, code, words):
    assert units_of(quantity) == (code, words)


@pytest.mark.parametrize(
    "value", ["1E+30", "9.99E-30", "1234567890123456789012345678901234567890", "-0", "0E+3", "0E-40"]
)
def test_no_number_is_too_large_or_too_long_to_convert(value):
    """Python's default context has 28 digits: a longer number was rounded, a larger one raised."""
    for one, other in [("g/L", "pg/L"), ("pg/L", "g/L"), ("[lb_av]", "kg"), ("[degF]", "Cel"), ("mmol/L", "nmol/L")]:
        step = step_between(UNITS[one], UNITS[other])
        made = convert(Decimal(value), step)
        exact = Fraction(Decimal(value)) * step.slope + step.offset
        assert made.as_tuple().exponent <= 0
        if step.places is not None:
            assert Fraction(made) == exact
        else:
            assert abs(Fraction(made) - exact) <= abs(exact) / 100


def test_every_spelling_says_where_it_was_seen_and_stands_once():
    table = read_table("units")
    spellings = [spelling for source in table["aliases"] for spelling in source["spelt"]]
    assert all(source["cite"] and source["spelt"] for source in table["aliases"])
    assert len(spellings) == len(set(spellings))
    assert not set(spellings) & set(UNITS)
    assert len(spellings) > 450


def test_units_for_hints_are_of_their_dimension():
    for dimension, codes in COMMON.items():
        assert {UNITS[code].dimension for code in codes} == {dimension}

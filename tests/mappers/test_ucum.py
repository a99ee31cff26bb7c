"""UCUM codes that our table does not have: read exactly, by the standard's own definitions, and checked by pint."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
import warnings
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files

import pytest
from lark.exceptions import LarkError
from pint.errors import PintError

from mappers.analytes import ANALYTES, step_to, to_canonical
from mappers.rows import read_table
from mappers.ucum import read_ucum
from mappers.units import UNITS, find_unit, read_code

AT_60_F = {"[in_i'H2O]", "[in_i'Hg]"}  # pint's columns are at 60 degrees Fahrenheit, UCUM's conventional
OURS = {"mol", "eq", "osm", "%"}  # of their own kind here; in pint a mole, two moles and a number


def named(name):
    return next(analyte for analyte in ANALYTES if analyte.name == name)


@pytest.fixture(scope="module")
def pint():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        yield PintUcumRegistry()


def examples():
    """The 850 codes that UCUM and LOINC publish as examples of use."""
    told = files("ucumvert").joinpath("vendor/ucum_examples.tsv").read_text("utf-8")
    return [row[1] for row in csv.reader(told.splitlines()[1:], delimiter="\t") if len(row) > 1]


def test_the_published_examples_of_ucum_mean_what_pint_says(pint):
    compared = refused = 0
    for code in examples():
        meaning = read_ucum(code)
        if meaning is None:
            refused += 1
            continue
        if any(base.startswith("[") or base in OURS for base, _ in meaning.dimensions):
            continue  # pint takes an arbitrary unit for 1, and a per cent and 1/100 for the same
        if code in AT_60_F:
            continue
        told = pint.from_ucum(code).to_base_units()
        if {base for base, _ in meaning.dimensions} & {"C", "cd", "rad"}:
            continue  # pint's bases are others
        factor = 1000 ** sum(power for base, power in meaning.dimensions if base == "g")  # pint has the kilogram
        assert float(told.magnitude) * factor == pytest.approx(float(meaning.size), rel=5e-6), code
        compared += 1
    assert compared > 270
    assert refused > 300  # annotations, pH, degrees: our table has those that medicine needs


def test_every_size_in_our_table_is_exactly_that_of_ucum():
    first, compared = {}, 0
    for unit in UNITS.values():
        meaning = read_ucum(unit.code)
        if meaning is None or unit.offset:
            assert "{" in unit.code or unit.dimension in ("temperature", "acidity"), unit.code
            continue
        scale = first.setdefault((unit.dimension, meaning.kind), unit.size / meaning.size)
        assert unit.size / meaning.size == scale, unit.code
        compared += 1
    assert compared > 170


@pytest.mark.parametrize(
    ("name", "value", "code", "expected"),
    [
        ("glucose", "99", "cg/L", "99"),
        ("glucose", "0.99", "kg/m3", "99"),
        ("glucose", "5500", "umol/L", "99.088"),
        ("glucose", "5.5", "mol/m3", "99.1"),
        ("systolic-pressure", "4.7", "[in_i'Hg]", "119"),
        ("systolic-pressure", "2.3", "[psi]", "119"),
        ("systolic-pressure", "16", "kN/m2", "120"),
        ("bmi", "0.036", "[lb_av]/[in_i]2", "25.3"),
        ("body-weight", "0.072", "t", "72"),
        ("haemoglobin", "0.14", "kg/L", "14"),
        ("alt", "0.5", "umol/(s.L)", "30.0"),
        ("cardiac-output", "300", "L/h", "5.000"),
        ("cardiac-index", "43.3", "mL/(s.m2)", "2.598"),
        ("esr", "2", "cm/h", "20"),  # a speed elsewhere
        ("leukocytes", "7", "10*3{cells}/uL", "7"),
        ("leukocytes", "7", "10*3/uL{WBC}", "7"),
        ("systemic-vascular-resistance", "120", "MPa.s/m3", "1200"),
        ("albumin", "4", "g%", "4"),
        ("ejection-fraction", "550", "[ppth]", "55.0"),
        ("uacr", "30", "[ppth]", "unit-not-convertible"),  # grams in grams are no fraction of 100
        ("oxygen-saturation", "970000", "[ppm]", "97.0000"),
    ],
)
def test_any_valid_code_of_the_right_dimension_converts(name, value, code, expected):
    made = to_canonical(named(name), Decimal(value), "", code, "")
    assert (made if isinstance(made, str) else str(made[0].value)) == expected


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("glucose", "mg/d", "unit-not-convertible"),
        ("glucose", "g", "unit-not-convertible"),
        ("glucose", "[iU]/mL", "unit-not-convertible"),
        ("glucose", "mg.dL", "unit-not-convertible"),
        ("glucose", "mg//dL", "unknown-unit"),
        ("glucose", "mg/dL2", "unit-not-convertible"),
        ("stroke-volume-index", "cm", "unit-not-convertible"),  # by dimension alone mL/m2 is a length
        ("cardiac-index", "m/s", "unit-not-convertible"),  # and L/min/m2 a speed
        ("uacr", "mmol/mol", "unit-not-convertible"),
        ("hba1c", "mg/g", "unit-not-convertible"),
        ("troponin-t", "[arb'U]/mL", "unit-not-convertible"),
        ("sodium", "mosm/L", "unit-not-convertible"),
        ("leukocytes", "[CFU]/mL", "unit-not-convertible"),
        ("leukocytes", "/[HPF]", "unit-not-convertible"),
        ("ca-125", "k[iU]/L", "unit-not-convertible"),  # no row says how many of its units that is
        ("egfr-mdrd", "mL/min/m2", "unit-not-convertible"),
        ("glucose", "mg/dL{fasting}", "unknown-unit"),  # an annotation that nobody explained
        ("glucose", "Mg/L", "unknown-unit"),  # the wrong case, and not megagrams
        ("troponin-t", "ng/ML", "unknown-unit"),
        ("troponin-t", "ng/Ml", "unknown-unit"),
        ("alt", "u/mL", "unknown-unit"),  # the atomic mass unit
        ("glucose", "mol/GL", "unknown-unit"),
    ],
)
def test_what_is_of_another_kind_or_a_slip_of_the_case_is_refused(name, code, reason):
    assert step_to(named(name), code, "") == reason


def test_words_are_never_read_by_the_standard():
    """A word in capitals is often a code of something else; only the letters of our table count."""
    assert step_to(named("glucose"), "", "cg/L") == "unknown-unit"
    assert find_unit("cg/L") is None


@pytest.mark.parametrize(
    "code",
    ["", "{}", "/", ".", "((((", "mg/dL)", "m" * 61, "m99999999", "10*999999999", "1" * 60, "é", "\x00", "m\n", " "],
)
def test_what_is_no_code_is_none_and_costs_little(code):
    units = read_code(code)
    assert not units or units[0].dimension in ("", "number")


def test_digits_stay_exact():
    """A pound is 453.59237 g by definition; in floats it is 453.5923700000001."""
    meaning = read_ucum("[lb_av]")
    assert meaning is not None
    assert meaning.size == Fraction("453.59237")
    assert read_ucum("[ppm]").size * 10_000 == read_ucum("%").size


def test_the_standard_is_loaded_at_the_first_code_that_needs_it():
    program = (
        "import sys, mappers; from mappers.units import read_code;"
        "read_code('mg/dL'); assert 'lark' not in sys.modules;"
        "read_code('cg/L'); assert 'lark' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)


# Spellings of our table that are valid codes of something else, which no instrument reports: who adds one, tells it.
OTHERWISE = {
    "C": "coulomb",
    "F": "farad",
    "ft": "femtotonne",
    "pH": "picohenry",
    "Pg": "petagram",
    "PG": "petagauss",
    "ML": "megalitre",
    "G/l": "gauss a litre",
    "T/l": "tesla a litre",
    "G/dL": "gauss a decilitre",
    "MG/L": "megagauss a litre",
    "PG/L": "petagauss a litre",
    "PG/ML": "petagauss a megalitre",
    "Mg/dL": "megagrams a decilitre",
    "K/uL": "kelvin a microlitre",
    "K/mm3": "kelvin a cubic millimetre",
    "m/uL": "metres a microlitre",
    "M[IU]/L": "mega-units a litre",
    "[IU]/ML": "units a megalitre",
    "U/ML": "units a megalitre",
    "MG/G": "megagauss a gauss",
    "u/L": "atomic mass units a litre",
    "mL/24.h": "a volume times an hour",
    "mL/min/1.73": "a flow over a number",
    "ml/min/1.73": "a flow over a number",
    "mL/min/1.73.m2": "a flow times an area",
    "mL/min/1.73/m2": "a flow an area over a number",
    "mL/min/173.10*-2.m2": "a flow times an area",
    "mL/min/(173.10*-2.m2)": "a flow an area, which it is",
    "cm[H2O]/L/s": "a pressure a volume and second",
    "[in_us]": "an inch two millionths longer",
}


def by_pint(pint, code):
    """What pint says of a code, in its base units; `None` where it is no code."""
    try:
        return pint.from_ucum(code).to_base_units()
    except (LarkError, PintError, AttributeError):  # what it cannot read it may give back as it stands
        return None


def test_what_hides_another_valid_code_is_known(pint):
    hidden = set()
    for source in read_table("units")["aliases"]:
        for spelling, code in source["spelt"].items():
            one = by_pint(pint, spelling)
            if one is None or "{" in spelling or spelling in ("g%", "mg%"):  # pint takes g% for grams
                continue
            other = None if "{" in code else by_pint(pint, code)
            if other is None or one.units != other.units or not math.isclose(one.magnitude, other.magnitude):
                hidden.add(spelling)
    assert hidden == OTHERWISE.keys()

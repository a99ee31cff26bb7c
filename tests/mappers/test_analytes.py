from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pytest

from mappers.analytes import ANALYTES, find_analytes, step_to, to_canonical
from mappers.concepts import names
from mappers.facts import Coding
from mappers.rows import read_table
from mappers.units import UNITS, step_between

# IUPAC standard atomic weights 2021, abridged (Prohaska et al., Pure Appl Chem 2022;94:573)
WEIGHTS = {
    "H": "1.0080", "C": "12.011", "N": "14.007", "O": "15.999", "Na": "22.990", "Mg": "24.305", "P": "30.974",
    "Cl": "35.45", "K": "39.098", "Ca": "40.078", "Fe": "55.845", "Co": "58.933", "I": "126.90",
    "Li": "6.94", "S": "32.06", "Cu": "63.546", "Pb": "207.2",
}  # fmt: skip
FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*)+")
ROWS = read_table("analytes")["analyte"]


def named(name):
    return next(analyte for analyte in ANALYTES if analyte.name == name)


def weight(formula):
    return sum(Decimal(WEIGHTS[atom]) * int(count or 1) for atom, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula))


def check_digit(number):
    """LOINC's mod 10 (LOINC Users' Guide, appendix on the check digit; the algorithm of Luhn)."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def test_every_loinc_code_has_its_check_digit_and_one_row():
    codes = [code for analyte in ANALYTES for code in analyte.codes]
    assert [code for code, times in Counter(codes).items() if times > 1] == []
    for code in codes:
        if not code.startswith("loinc|"):
            continue
        number, _, digit = code.removeprefix("loinc|").partition("-")
        assert check_digit(number) == digit, code


def test_every_molar_mass_follows_from_its_formula():
    computed = 0
    for row in ROWS:
        if (molar := row.get("molar")) is None:
            continue
        formula = molar["cite"].split(":")[0].split(",")[0]
        if FORMULA.fullmatch(formula):
            assert float(molar["mass"]) == pytest.approx(float(weight(formula)), rel=2e-4), row["name"]
            computed += 1
        elif formula != "2 N":
            assert any(word in molar["cite"] for word in ("convention", "miracum")), row["name"]
    assert computed > 25
    assert float(2 * Decimal(WEIGHTS["N"])) == pytest.approx(28.014)


def test_every_conversion_says_where_it_comes_from():
    for row in ROWS:
        rules = [*row.get("from", {}).values(), *([row["molar"]] if "molar" in row else [])]
        assert all(rule["cite"] for rule in rules)
        assert row["range"][0] < row["range"][1]
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["name"])


def test_rows_of_one_name_have_one_unit_and_no_finding_has_the_name_of_a_measurement():
    units = {}
    for analyte in ANALYTES:
        assert units.setdefault(analyte.name, analyte.unit) is analyte.unit
    assert not set(units) & names("measurement")


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        # AMA Manual of Style, 11th ed., table 17.5-1: conventional unit times factor is SI unit
        ("glucose", "mmol/L", "0.0555"),
        ("creatinine", "umol/L", "88.4"),
        ("total-cholesterol", "mmol/L", "0.0259"),
        ("hdl-cholesterol", "mmol/L", "0.0259"),
        ("triglycerides", "mmol/L", "0.0113"),
        ("bilirubin", "umol/L", "17.104"),
        ("urate", "umol/L", "59.485"),
        ("calcium", "mmol/L", "0.25"),
        ("magnesium", "mmol/L", "0.4114"),
        ("phosphate", "mmol/L", "0.323"),
        ("urea-nitrogen", "mmol/L", "0.357"),
        ("iron", "umol/L", "0.179"),
        ("free-t4", "pmol/L", "12.871"),
        ("cortisol", "nmol/L", "27.588"),
        ("testosterone", "nmol/L", "0.0347"),
        ("vitamin-d", "nmol/L", "2.496"),
        ("vitamin-b12", "pmol/L", "0.7378"),
        ("folate", "nmol/L", "2.266"),
        ("haemoglobin", "mmol/L", "0.6206"),
        ("ionised-calcium", "mg/dL", "4.0"),
        # KDIGO 2024, CKD guideline, table 5: 30 mg/g is about 3.39 mg/mmol
        ("uacr", "mg/mmol", "0.113"),
        # UCUM: 1 U = 1 umol/min, 1 kat = 1 mol/s
        ("alt", "ukat/L", "0.016667"),
    ],
)
def test_conversions_agree_with_published_factors(name, unit, factor):
    step = step_to(named(name), unit, "")
    assert not isinstance(step, str)
    assert float(step.slope) * float(factor) == pytest.approx(1.0, rel=5e-3)


@pytest.mark.parametrize(
    ("ifcc", "ngsp"), [(31, 5.0), (42, 6.0), (48, 6.5), (53, 7.0), (64, 8.0), (75, 9.0), (86, 10.0)]
)
def test_hba1c_is_what_the_ngsp_says(ifcc, ngsp):
    """Table at ngsp.org/ifcc.asp, whose IFCC values are rounded to whole mmol/mol."""
    made, _ = to_canonical(named("hba1c"), Decimal(ifcc), "", "mmol/mol", "")
    assert float(made.value) == pytest.approx(ngsp, abs=0.05)


def test_a_unit_of_the_same_dimension_as_a_known_one_converts_too():
    assert to_canonical(named("nt-probnp"), Decimal(125), "", "ng/L", "")[0].value == 125
    assert str(to_canonical(named("d-dimer"), Decimal("0.50"), "<", "", "ug/mL")[0].value) == "500"
    fraction, changed = to_canonical(named("ejection-fraction"), Decimal("0.55"), "", "1", "")
    assert (str(fraction.value), fraction.unit, changed) == ("55", "%", True)


@pytest.mark.parametrize(
    ("name", "code", "words", "reason"),
    [
        ("egfr-mdrd", "mL/min", "", "unit-not-convertible"),
        ("glucose", "", "", "no-unit"),
        ("glucose", "mg/dl.", "", "unknown-unit"),
        ("glucose", "", "milligrams", "unknown-unit"),
        ("glucose", "kg", "", "unit-not-convertible"),
        ("albumin", "mmol/L", "", "unit-not-convertible"),  # nobody told a molar mass
        ("glucose", "mg/dL", "mmol/L", "unit-conflict"),
        ("body-height", "cm", "in", "unit-conflict"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused_and_none_is_assumed(name, code, words, reason):
    assert step_to(named(name), code, words) == reason


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("sodium", "mmol/L", "mEq/L"),  # another word, the same number
        ("alt", "U/L", "IU/L"),
        ("heart-rate", "/min", "beats/minute"),
        ("heart-rate", "/min", "pro Minute"),  # words that we do not know say nothing against the code
    ],
)
def test_the_code_rules_where_the_words_mean_the_same(name, code, words):
    assert not isinstance(step_to(named(name), code, words), str)


# The names under which the circulation's model tells what it yields, and the code that a catheter's report has for it
CATHETER = {
    "8741-1": "cardiac-output",
    "75919-1": "cardiac-index",
    "20562-5": "stroke-volume",
    "75994-4": "wedge-pressure",
    "8440-0": "systolic-pulmonary-pressure",
    "8385-7": "diastolic-pulmonary-pressure",
    "8414-5": "mean-pulmonary-pressure",
    "8591-0": "central-venous-pressure",
    "8400-4": "central-venous-pressure",
    "19224-5": "mixed-venous-saturation",
}
ULTRASOUND = {
    "8735-3": "cardiac-output-echo",
    "80035-9": "stroke-volume-echo",
    "82341-9": "right-ventricular-systolic-pressure-echo",
    "80064-9": "mitral-regurgitant-volume",
    "79951-0": "aortic-regurgitant-volume",
}


@pytest.mark.parametrize(("code", "name"), [*CATHETER.items(), *ULTRASOUND.items()])
def test_what_catheter_and_ultrasound_tell_has_its_name(code, name):
    [(analyte, _)] = find_analytes([Coding("http://loinc.org", code)])
    assert analyte.name == name


def test_what_ultrasound_estimates_is_never_called_what_a_catheter_measures():
    assert not set(CATHETER.values()) & set(ULTRASOUND.values())


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("cardiac-output", "4850", "mL/min", "4.850"),
        ("cardiac-output", "5.2", "L/min", "5.2"),
        ("cardiac-index", "2600", "mL/min/m2", "2.600"),
        ("wedge-pressure", "2.4", "kPa", "18.0"),
        ("mean-pulmonary-pressure", "34", "cm[H2O]", "25.0"),
        ("stroke-volume", "0.070", "L", "70"),
        ("mitral-regurgitant-orifice", "42", "mm2", "0.42"),
        ("mixed-venous-saturation", "0.62", "1", "62"),
        # 1 Wood unit is 80 dyn.s/cm5 to the digits of a bedside calculator
        ("pulmonary-vascular-resistance", "3.0", "[wood'U]", "240"),
        ("systemic-vascular-resistance", "15", "mm[Hg].min/L", "1200"),
    ],
)
def test_what_a_catheter_measures_converts_to_the_unit_of_the_model(name, value, unit, expected):
    made, _ = to_canonical(named(name), Decimal(value), "", unit, "")
    assert str(made.value) == expected
    assert made.unit == named(name).unit.code


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("cardiac-output", "mL/min"),
        ("cardiac-index", "mL/min/m2"),
        ("wedge-pressure", "kPa"),
        ("stroke-volume", "L"),
        ("systemic-vascular-resistance", "[wood'U]"),
        ("mitral-regurgitant-orifice", "mm2"),
    ],
)
def test_the_way_back_is_the_same_way(name, unit):
    there, back = step_to(named(name), unit, ""), step_between(named(name).unit, UNITS[unit])
    assert there.slope * back.slope == 1
    assert (there.offset, back.offset) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value", "unit", "reason"),
    [
        ("cardiac-output", "4850", "L/min", "implausible"),  # it was mL/min
        ("cardiac-output", "2.6", "L/min/m2", "unit-not-convertible"),  # it was an index
        ("cardiac-index", "5", "L/min", "unit-not-convertible"),
        ("systemic-vascular-resistance", "15", "dyn.s/cm5", "implausible"),  # it was in Wood units
        ("stroke-volume", "38", "mL/m2", "unit-not-convertible"),
        ("wedge-pressure", "180", "mm[Hg]", "implausible"),
    ],
)
def test_another_quantity_or_unit_is_not_taken_for_it(name, value, unit, reason):
    assert to_canonical(named(name), Decimal(value), "", unit, "") == reason


def test_urea_by_mass_and_urea_nitrogen_are_not_mixed_up():
    by_code = {code: analyte for analyte in ANALYTES for code in analyte.codes}
    nitrogen, moles, mass = (by_code[f"loinc|{code}"] for code in ("3094-0", "22664-7", "3091-6"))
    assert to_canonical(nitrogen, Decimal(20), "", "mg/dL", "")[0].value == 20
    assert str(to_canonical(mass, Decimal("42.9"), "", "mg/dL", "")[0].value) == "20.01"
    assert to_canonical(moles, Decimal(43), "", "mg/dL", "") == "unit-not-convertible"


def test_hba1c_of_the_ifcc_in_percent_is_another_scale_and_refused():
    by_code = {code: analyte for analyte in ANALYTES for code in analyte.codes}
    assert to_canonical(by_code["loinc|59261-8"], Decimal("4.8"), "", "%", "") == "unit-not-convertible"


ENZYMES = {"alkaline-phosphatase", "alt", "amylase", "ast", "creatine-kinase", "ggt", "ldh", "lipase"}
HORMONES = {"tsh", "insulin", "lutropin", "follitropin"}
MARKERS = {"ca-125", "ca-19-9", "ca-27-29"}


def taking(unit):
    """Name all that may come in a unit, but for the allergens, which are all alike."""
    return {each.name for each in ANALYTES if not isinstance(step_to(each, unit, ""), str)} - {
        each.name for each in ANALYTES if each.name.startswith("ige-")
    }


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("[iU]/L", ENZYMES | HORMONES | {"prolactin"}),
        ("U/L", ENZYMES | HORMONES | MARKERS),
        ("[arb'U]/mL", MARKERS),
        ("ng/mL{FEU}", {"d-dimer"}),
        ("{pack-years}", {"pack-years"}),
        ("{INR}", {"inr"}),
        ("[pH]", {"arterial-ph", "blood-ph", "venous-ph", "urine-ph"}),
        ("mmol/mol", {"hba1c"}),
        ("[GPL'U]/mL", set()),
        ("[USP'U]/mL", set()),
        ("{titer}", set()),
    ],
)
def test_an_arbitrary_unit_is_taken_by_those_alone_whose_row_says_so(unit, names):
    assert taking(unit) == names


def test_a_score_is_no_fraction_and_no_count():
    for name in ("ejection-fraction", "oxygen-saturation", "haematocrit", "inr", "pack-years", "hospital-visits"):
        assert step_to(named(name), "{score}", "") == "unit-not-convertible"
    for name in ("ecog", "glasgow-coma", "phq-9", "hospital-visits", "inr", "pack-years"):
        assert step_to(named(name), "1", "").places == 0  # UCUM: an annotation counts as 1


def test_what_is_usual_lies_within_what_can_be_and_most_rows_say_it():
    told = 0
    for row, analyte in zip(ROWS, ANALYTES, strict=True):
        low, high = analyte.usual
        assert analyte.low <= low < high <= analyte.high, analyte.name
        told += "usual" in row
    assert told > 180

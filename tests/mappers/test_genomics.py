"""Genomics and oncology: shapes of HL7's Genomics Reporting and of mCODE become facts that cannot be misread."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mappers import map_resource
from mappers.codes import SYSTEM, expand
from mappers.concepts import classes_of
from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.rows import read_table

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
GUIDE = "http://hl7.org/fhir/uv/genomics-reporting/CodeSystem/tbd-codes-cs"
HGVS = "http://varnomen.hgvs.org"
HGNC = "http://www.genenames.org/geneId"
PRESENT, ABSENT = "LA9633-4", "LA9634-2"


def coded(system, code, display=""):
    return {"coding": [{"system": system, "code": code, "display": display}]}


def part(code, value, system=LOINC):
    return {"code": coded(system, code), "valueCodeableConcept": value}


def mapped(code, *parts, system=LOINC, **more):
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": coded(system, code),
        "component": list(parts),
        **more,
    }
    whole = {name: value for name, value in resource.items() if value}
    return map_resource(whole, "r4", Origin("north", "Observation", "1"), {})


BRAF = part("48018-6", coded(HGNC, "HGNC:1097", "BRAF"))
V600E = part("48004-6", coded(HGVS, "NM_004333.4:c.1799T>A"))
PROTEIN = part("48005-3", coded(HGVS, "p.Val600Glu"))
RANGE = {"code": coded(LOINC, "81254-5"), "valueRange": {"low": {"value": 140453136}, "high": {"value": 140453137}}}


def test_a_variant_is_one_fact_that_says_which_and_whether_it_is_there():
    variant, state, place = mapped(
        "69548-6",
        BRAF,
        PROTEIN,
        V600E,
        part("53034-5", coded(LOINC, "LA6706-1", "Heterozygous")),
        RANGE,
        valueCodeableConcept=coded(LOINC, PRESENT, "Present"),
        effectiveDateTime="2023-02",
    )
    assert (variant.kind, variant.name, variant.value.code) == ("genomic", "braf-variant", PRESENT)
    assert (variant.code.system, variant.code.code) == (HGVS, "NM_004333.4:c.1799T>A")
    assert variant.text == "BRAF NM_004333.4:c.1799T>A"
    assert Coding(HGNC, "HGNC:1097", "BRAF") in variant.said
    assert (state.name, state.value.code, state.when.text) == ("allelic-state", "LA6706-1", "2023-02")
    assert (place.kind, place.name, place.value) == ("genomic", "exact-coordinates", "140453136..140453137")


def test_of_a_variant_that_is_absent_nothing_else_is_a_fact():
    parts = (BRAF, V600E, part("53034-5", coded(LOINC, "LA6706-1")))
    [fact] = mapped("69548-6", *parts, valueCodeableConcept=coded(LOINC, ABSENT, "Absent"))
    assert (fact.name, fact.value.code) == ("braf-variant", ABSENT)
    [refused] = mapped("69548-6", *parts)
    assert refused.reason == "no-value"
    [refused] = mapped("69548-6", *parts, valueCodeableConcept=coded(LOINC, PRESENT), status="entered-in-error")
    assert refused.reason == "status"


@pytest.mark.parametrize(("code", "name"), [("84413-4", "cyp2c9-diplotype"), ("84414-2", "cyp2c9-haplotype")])
def test_a_diplotype_is_called_by_its_gene_and_needs_no_time(code, name):
    gene = part("48018-6", coded(HGNC, "2623", "CYP2C9"))
    value = coded("http://www.pharmvar.org", "CYP2C9*4/*35B")
    [fact] = mapped(code, gene, valueCodeableConcept=value)
    assert (fact.kind, fact.name, fact.value.code, fact.when) == ("genomic", name, "CYP2C9*4/*35B", None)
    other = part("48018-6", coded(HGNC, "HGNC:23663", "VKORC1"))
    [both] = mapped(code, gene, other, valueCodeableConcept=value)
    assert both.name == name.split("-")[1]  # of two genes it is nobody's
    [unknown] = mapped(code, part("48018-6", coded(HGNC, "HGNC:99999", "XYZ1")), valueCodeableConcept=value)
    assert (unknown.name, unknown.text) == (name.split("-")[1], "XYZ1")


@pytest.mark.parametrize("system", [GUIDE, GUIDE.removesuffix("-cs"), GUIDE.replace("tbd-codes-cs", "TbdCodes")])
def test_what_genes_mean_for_a_medicine_says_for_which(system):
    effect, medicine = mapped(
        "therapeutic-implication",
        part("53040-2", coded(LOINC, "LA25390-8", "Rapid metabolizer")),
        part("51963-7", coded("http://www.nlm.nih.gov/research/umls/rxnorm", "103", "mercaptopurine")),
        system=system,
    )
    assert (effect.kind, effect.name, effect.value.code) == ("genomic", "drug-metabolism", "LA25390-8")
    assert effect.text == "mercaptopurine"
    assert (medicine.name, medicine.value.code) == ("medication-assessed", "103")


def test_what_genes_mean_for_a_diagnosis_is_told_part_by_part_and_words_stay_words():
    significance, cancer = mapped(
        "diagnostic-implication",
        part("53037-8", coded(LOINC, "LA6668-3", "Pathogenic")),
        part("associated-cancer", {"text": "melanoma"}, system=GUIDE),
        system=GUIDE,
    )
    assert (significance.name, significance.value.display) == ("clinical-significance", "Pathogenic")
    assert (cancer.name, cancer.value) == ("associated-cancer", "melanoma")


def test_the_table_of_genomics_says_each_thing_once():
    table = read_table("genomics")
    codes = [code for row in table["part"] for code in row["codes"]]
    assert len(codes) == len(set(codes))
    assert all(expand(code)[0] in SYSTEM.values() for code in codes)
    parts = {row["name"] for row in table["part"]}
    assert all(set(row.get("identity", ())) <= parts for row in table["finding"])
    assert len(set(table["genes"].values())) == len(table["genes"])


# ---- oncology -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "code", "name"),
    [
        (SNOMED, "399537006", "tnm-stage-group-clinical"),
        (SNOMED, "399588009", "tnm-stage-group-pathologic"),
        (LOINC, "21902-2", "tnm-stage-group-pathologic"),
        (SNOMED, "399504009", "t-category-clinical"),
        (LOINC, "21899-0", "t-category-pathologic"),
        (SNOMED, "277206009", "n-category"),
        (LOINC, "21907-1", "m-category-clinical"),
        (LOINC, "97509-4", "cancer-disease-status"),
        (LOINC, "31206-6", "histologic-type"),
    ],
)
def test_the_stage_of_a_cancer_is_a_coded_measurement(system, code, name):
    stage = coded(SNOMED, "1222787001", "American Joint Committee on Cancer stage IIA")
    [fact] = mapped(code, system=system, valueCodeableConcept=stage, effectiveDateTime="2022-03-04")
    assert (fact.kind, fact.name, fact.value.code) == ("measurement", name, "1222787001")
    assert "cancer-stage" in classes_of("tnm-stage-group-clinical")


def test_the_size_of_a_tumour_and_the_performance_of_the_patient_are_numbers():
    size = {"code": coded(LOINC, "33728-7"), "valueQuantity": {"value": Decimal("2.5"), "unit": "cm", "code": "cm"}}
    size["valueQuantity"]["system"] = "http://unitsofmeasure.org"
    [fact] = mapped("21889-1", size, effectiveDateTime="2022")
    assert (fact.name, fact.value) == ("tumour-diameter", Quantity(Decimal("25"), "mm"))
    for code, name, value in (("89247-1", "ecog", 1), ("89243-0", "karnofsky", 80)):
        [fact] = mapped(code, valueInteger=value, effectiveDateTime="2022")
        assert (fact.name, fact.value.value) == (name, value)


@pytest.mark.parametrize(
    ("kind", "body", "name"),
    [
        ("Condition", {"code": coded(SNOMED, "254637007"), "onsetDateTime": "2021"}, "lung-cancer"),
        ("Condition", {"code": coded("http://hl7.org/fhir/sid/icd-10-cm", "C50.911")}, "breast-cancer"),
        ("Procedure", {"code": coded(SNOMED, "1217123003"), "status": "completed"}, "radiotherapy"),
        ("Condition", {"code": coded("http://hl7.org/fhir/sid/icd-10", "C78.7")}, "metastatic-cancer"),
    ],
)
def test_a_cancer_and_what_is_done_against_it_have_names(kind, body, name):
    resource = {"resourceType": kind, "subject": {"reference": "Patient/1"}, **body}
    [fact] = map_resource(resource, "r4", Origin("north", kind, "1"), {})
    assert isinstance(fact, Fact)
    assert fact.name == name

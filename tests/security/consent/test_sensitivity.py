"""Data classes: which codes make a resource sensitive, wherever they stand."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from security.rows import read_rows
from security.sensitivity import CLASSES, classes_denied_by, classes_permitted_by, labels_of
from tests.security.consent.saying import ACT, ICD, LEVEL, concept

CORE = "igs/hl7.fhir.r4.core-4.0.1-from-hapi.tgz"


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("F10.20", {"ETHUD"}),
        ("F1020", {"ETHUD"}),  # without its dot, as some systems send it
        ("F11.10", {"OPIOIDUD"}),
        ("F14.10", {"SUD"}),
        ("F17.210", set()),  # 42 CFR 2.11: not tobacco
        ("F32.9", {"PSY"}),
        ("F03.90", {"COGN"}),
        ("F84.0", {"DVD"}),
        ("B20", {"HIV"}),
        ("Z21", {"HIV"}),
        ("O98.71", {"HIV"}),
        ("O98.411", set()),
        ("A51.9", {"STD"}),
        ("Z30.9", {"SEX"}),
        ("Z31.430", {"GDIS", "SEX"}),
        ("Z15.01", {"GDIS"}),
        ("D57.1", {"SICKLE"}),
        ("T74.21XA", {"SDV"}),
        ("Y09", {"VIO"}),
        ("T40.2X1A", {"OPIOIDUD"}),
        ("T40.7X1A", {"SUD"}),
        ("E11.9", set()),
        ("I10", set()),
        ("nonsense", set()),
    ],
)
def test_icd_10_cm(code, classes):
    labels = labels_of("Condition", {"code": concept(ICD, code)})
    assert labels.classes == classes
    assert labels.level == ("R" if classes else "N")


@pytest.mark.parametrize(
    "body",
    [
        {"code": concept(ICD, "F10.20")},
        {"reasonCode": [concept(ICD, "F10.20")]},
        {"category": [concept("http://snomed.info/sct", "7200002")]},
        {"medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", "82819")},
        {"component": [{"code": concept("http://loinc.org", "75626-2")}]},
        {"contained": [{"resourceType": "Condition", "code": concept(ICD, "K70.30")}]},
        {"extension": [{"url": "x", "valueCoding": {"system": ICD, "code": "F10.20"}}]},
        {"meta": {"security": [{"system": ACT, "code": "ETHUD"}]}},
    ],
)
def test_a_code_counts_wherever_it_stands(body):
    assert labels_of("MedicationRequest", body).classes == {"ETHUD"}


def test_tags_are_no_codes_of_what_is_said():
    assert not labels_of("Observation", {"meta": {"tag": [{"system": ICD, "code": "F10.20"}]}}).classes


def test_a_type_may_be_sensitive_by_itself():
    assert labels_of("MolecularSequence", {}).classes == {"GDIS"}


def test_the_highest_confidentiality_counts():
    def level(*codes):
        return labels_of("Observation", {"meta": {"security": [{"system": LEVEL, "code": c} for c in codes]}}).level

    assert level("N", "V", "R") == "V"
    assert level("L") == "L"
    assert level("bogus") == "V"


def test_what_cannot_be_read_has_no_class_and_breaks_nothing():
    for body in ({"meta": "x"}, {"meta": {"security": "x"}}, {"code": {"coding": [1, None, {"code": 1}]}}):
        assert labels_of("Observation", body).level == "N"


def test_each_row_says_where_it_is_from_and_has_a_known_label():
    for row in read_rows("sensitivity")["class"]:
        assert row["cite"]
        assert row["label"] in CLASSES


def test_a_permission_is_about_no_more_than_a_denial():
    for label in CLASSES:
        assert label in classes_permitted_by(label) <= classes_denied_by(label)


def test_the_classes_are_hl7s_own(shared_data: Path):
    with tarfile.open(shared_data / CORE) as package:
        file = package.extractfile("package/CodeSystem-v3-ActCode.json")
        assert file is not None
        system = json.load(file)
    known = set()
    waiting = [*system["concept"]]
    while waiting:
        each = waiting.pop()
        known.add(each["code"])
        waiting += each.get("concept", [])
    assert CLASSES - known <= {"42CFRPart2"}


def test_the_purposes_are_hl7s_own(shared_data: Path):
    from security.purposes import PARENTS, PURPOSES

    with tarfile.open(shared_data / CORE) as package:
        file = package.extractfile("package/CodeSystem-v3-ActReason.json")
        assert file is not None
        system = json.load(file)
    parents: dict[str, set[str]] = {}

    def walk(concepts, parent):
        for each in concepts:
            told = {p["valueCode"] for p in each.get("property", []) if p["code"] == "subsumedBy"}
            parents.setdefault(each["code"], set()).update(told | ({parent} if parent else set()))
            walk(each.get("concept", []), each["code"])

    walk(system["concept"], "")
    ours = {code: PARENTS.get(code, "PurposeOfUse") for code in PURPOSES}
    assert all(ours[code] in parents[code] for code in ours)
    theirs = {code for code, above in parents.items() if above & ({"PurposeOfUse"} | set(PURPOSES))}
    assert theirs == set(PURPOSES)

"""Whole resources from one FHIR version into another: nothing vanishes, nothing is guessed, and nothing crashes."""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers import map_resource, read_json
from mappers.facts import Origin
from mappers.outbound import check, render
from mappers.rows import read_table
from mappers.versions import VERSIONS
from mappers.versions.convert import convert, version_steps
from mappers.versions.definitions import read_definitions
from mappers.versions.rules import HOW, read_rules
from mappers.versions.steps import WHY, leaves
from tests.hapi.samples import heart, kidney
from tests.mappers.oracle.whole import JUNK, spoil, whole

PAIRS = [(one, other) for one in VERSIONS for other in VERSIONS if "r4" in (one, other) and one != other]
TYPES = sorted((version, kind) for version in VERSIONS for kind in read_definitions(version).kinds)
write = msgspec.json.Encoder(decimal_format="number").encode


def accounted(resource, made):
    return Counter(step.path for step in made.steps) == Counter(leaves(resource, resource["resourceType"]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from(VERSIONS), st.randoms(use_true_random=False), st.booleans())
def test_each_element_of_any_resource_whole_or_spoilt_has_become_one_thing(typed, target, random, is_spoilt):
    version, kind = typed
    resource = whole(version, kind, random)
    if is_spoilt:
        resource = spoil(resource, random)
    kept = copy.deepcopy(resource)
    made = convert(resource, version, target)
    assert resource == kept
    assert made == convert(resource, version, target)
    if "r4" in (version, target) or version == target:
        assert accounted(resource, made)
        assert {step.why for step in made.changes} <= {*WHY}
    if made.resource is not None:
        assert read_json(write(made.resource)) == made.resource


_KEYS = ("url", "code", "coding", "extension", "_status", "valueCode", "text", "x")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
KNOWN = ("Observation", "MedicationStatement", "Encounter")
names = sorted({name for version in VERSIONS for kind in KNOWN for name in read_definitions(version).named[kind]})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from((*KNOWN, "Nonsense", 7, None)),
    st.dictionaries(st.sampled_from(names) | st.text(max_size=4), json_values, max_size=6),
    st.sampled_from([*PAIRS, ("dstu2", "r5"), ("r4", "r4")]),
)
def test_no_json_crashes_it(kind, body, pair):
    resource = {**body, "resourceType": kind}
    made = convert(resource, *pair)
    assert (made.resource is None) == (kind not in KNOWN)
    for junk in JUNK:
        assert convert(junk, *pair).resource is None


@pytest.mark.parametrize(("version", "target"), PAIRS)
def test_what_changes_the_meaning_is_never_lost(version, target):
    """It is kept, said in the other version's words, or stands in a modifierExtension, which nobody may overlook."""
    definitions, random = read_definitions(version), Random(7)  # noqa: S311 - test data
    modifiers = {
        f"{part}.{e.name}" for part, elements in definitions.parts.items() for e in elements.values() if e.modifier
    }
    for kind in sorted(definitions.kinds):
        made = convert(whole(version, kind, random), version, target)
        if made.resource is not None:
            lost = {step.path for step in made.losses if step.path.count(".") == 1}
            assert not lost & modifiers, kind


def test_digits_and_letters_stay_through_every_version():
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": " as said "},
        "valueQuantity": {"value": Decimal("7.10"), "unit": "mg"},
        "referenceRange": [{"low": {"value": Decimal("100.00")}}],
    }
    for version in VERSIONS:
        made = convert(resource, "r4", version).resource
        assert str(made["valueQuantity"]["value"]) == "7.10"
        assert b"100.00" in write(made)
        assert convert(made, version, "r4").resource == resource


@pytest.mark.parametrize("version", ["r4b", "r5"])
@pytest.mark.parametrize("kind", sorted(read_definitions("r4").kinds - {"MolecularSequence", "ResearchStudy"}))
def test_nearly_all_of_r4_comes_back_through_r5(version, kind):
    resource = whole("r4", kind, Random(3))  # noqa: S311 - test data
    through = convert(resource, "r4", version)
    assert not through.losses
    back = convert(through.resource, version, "r4")
    was, came = _flat(resource), _flat(back.resource)
    same = sum(came.get(path) == value for path, value in was.items())
    assert same >= (1 if version == "r4b" else 0.75) * len(was)


def _flat(value, path=""):
    if isinstance(value, dict):
        return {key: leaf for name, inner in value.items() for key, leaf in _flat(inner, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {key: leaf for i, inner in enumerate(value) for key, leaf in _flat(inner, f"{path}[{i}]").items()}
    return {path: value}


STEPS = [
    ("stu3", {"resourceType": "Observation", "context": {"reference": "Encounter/1"}, "comment": "said"},
     {("Observation.context.reference", "moved", "Observation.encounter.reference", "place"),
      ("Observation.comment", "moved", "Observation.note[0].text", "shape")}),
    ("stu3", {"resourceType": "Procedure", "status": "suspended"},
     {("Procedure.status", "translated", "Procedure.status", "words")}),
    ("dstu2", {"resourceType": "MedicationOrder", "dateEnded": "2015"},
     {("MedicationOrder.resourceType", "translated", "MedicationRequest.resourceType", "words"),
      ("MedicationOrder.dateEnded", "extension", "MedicationRequest.extension", "no-element")}),
    ("dstu2", {"resourceType": "Observation", "colour": "red", "status": ["final"]},
     {("Observation.colour", "lost", "", "unknown-element"), ("Observation.status[0]", "lost", "", "bad-shape")}),
    ("r5", {"resourceType": "GenomicStudy", "status": "available"},
     {("GenomicStudy.resourceType", "lost", "", "no-resource"), ("GenomicStudy.status", "lost", "", "no-resource")}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "resource", "told"), STEPS)
def test_the_steps_say_what_became_of_an_element_and_why(version, resource, told):
    steps = version_steps(resource, version)
    assert {(step.path, step.what, step.to, step.why) for step in steps} == told
    assert version_steps(resource, "r4") == ()


@pytest.mark.parametrize("version", ["stu3", "r4b", "r5"])
@pytest.mark.parametrize("result", [kidney(), heart()], ids=["kidney", "heart"])
def test_what_we_send_is_valid_in_the_other_version_and_loses_nothing(version, result):
    """Valid to fhir.resources; the device, the results and their provenance stay told as simulated."""
    sent = render(result, "r4", patient="Patient/7", sender="fhirtwin 0.1.0")
    made = convert(sent, "r4", version)
    assert not made.losses
    check(made.resource, version)
    assert convert(made.resource, version, "r4").resource == sent


def test_what_is_inside_a_resource_is_converted_as_well():
    inner = {"resourceType": "MedicationStatement", "status": "active", "taken": "n", "id": "m"}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": {"resourceType": "Observation", "contained": [inner]}},
            {"resource": {"resourceType": "Account"}},
        ],
    }
    made = convert(bundle, "stu3", "r4")
    assert made.resource["entry"][0]["resource"]["contained"][0]["status"] == "not-taken"
    assert [step.path for step in made.losses] == ["Bundle.entry[1].resource.resourceType"]


def test_an_extension_does_not_overrule_what_is_said():
    """What a converter kept of another version comes back only where it says no other than the resource itself."""
    told = {
        "url": "http://hl7.org/fhir/3.0/StructureDefinition/extension-MedicationStatement.status",
        "valueCode": "active",
    }
    resource = {"resourceType": "MedicationStatement", "status": "entered-in-error", "extension": [told]}
    made = convert(resource, "r4", "stu3").resource
    assert (made["status"], made["extension"]) == ("entered-in-error", [told])
    arrived = convert({"resourceType": "Encounter", "status": "arrived"}, "r4", "r5").resource
    assert arrived["status"] == "in-progress"
    assert convert(arrived, "r5", "r4").resource == {"resourceType": "Encounter", "status": "arrived"}
    assert convert(arrived | {"status": "completed"}, "r5", "r4").resource["status"] == "finished"


@pytest.mark.parametrize(
    ("version", "resource", "word"),
    [
        ("stu3", {"resourceType": "Procedure", "status": "completed", "notDone": True}, "not-done"),
        ("stu3", {"resourceType": "Immunization", "status": "completed", "notGiven": True}, "not-done"),
        ("stu3", {"resourceType": "MedicationStatement", "status": "active", "taken": "unk"}, "unknown"),
        ("dstu2", {"resourceType": "MedicationAdministration", "status": "stopped", "wasNotGiven": True}, "not-done"),
        ("dstu2", {"resourceType": "MedicationStatement", "status": "completed", "wasNotTaken": True}, "not-taken"),
    ],
)
def test_a_not_is_a_not_in_both_directions(version, resource, word):
    made = convert(resource, version, "r4").resource
    assert made["status"] == word
    name = next(name for name in resource if "ot" in name or name == "taken")
    assert convert(made, "r4", version).resource[name] == resource[name]


@pytest.mark.parametrize(
    ("clinical", "verification", "word"),
    [("active", "confirmed", "confirmed"), ("active", "refuted", "refuted"), ("resolved", "confirmed", "resolved"),
     ("", "entered-in-error", "entered-in-error"), ("active", "", "active")],
)  # fmt: skip
def test_an_allergy_that_is_refuted_is_refuted_in_dstu2(clinical, verification, word):
    base = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"
    body = {
        name: {"coding": [{"system": f"{base}{system}", "code": code}]}
        for name, system, code in (
            ("clinicalStatus", "clinical", clinical),
            ("verificationStatus", "verification", verification),
        )
        if code
    }
    assert convert({"resourceType": "AllergyIntolerance", **body}, "r4", "dstu2").resource["status"] == word


def test_no_midnight_is_invented_and_an_instant_comes_back():
    asked = {"resourceType": "Condition", "recordedDate": "2020-02-03T04:05:06+01:00"}
    made = convert(asked, "r4", "dstu2")
    assert made.resource["dateRecorded"] == "2020-02-03"
    assert convert(made.resource, "dstu2", "r4").resource == asked
    day = {"resourceType": "Condition", "dateRecorded": "2020-02-03"}
    assert convert(day, "dstu2", "r4").resource["recordedDate"] == "2020-02-03"


@pytest.mark.parametrize("other", ["dstu2", "stu3", "r5"])
def test_every_row_names_elements_that_both_versions_have(other):
    table, there, r4 = read_table(f"{other}_r4"), read_definitions(other), read_definitions("r4")
    assert {*table["rows"]} <= {*there.parts}
    for up in (True, False):
        kinds, rules = read_rules(other, up=up)
        assert {kind for pair in kinds.items() for kind in pair} <= there.kinds | r4.kinds
        for (source, target), found in rules.items():
            one, two = (there, r4) if up else (r4, there)
            assert source in one.parts, source
            assert target in two.parts, target
            for rule in found:
                row, part = rule.row, source if up else target
                if rule.how in (HOW["default"], HOW["statuses"], HOW["contacts"], HOW["adherence"]):
                    continue
                elements = there.parts[part]
                head = row.there.partition(".")[0]
                assert head in elements, (other, part, row.there)
                for word in row.codes:
                    codes = elements[row.there].codes if row.there in elements else ()
                    assert not codes or word in codes or word in ("true", "false"), (part, row.there, word)


@pytest.mark.parametrize("version", ["dstu2", "stu3"])
def test_facts_of_whole_conversions_are_those_of_the_lean_one(version, shared_data):
    """`to_r4` moves what facts read, and `convert` all: the facts, the links and the refusals are the same."""
    files = sorted((shared_data / "patients" / version).glob("*.json"))[:6]
    compared = 0
    for file in files:
        for entry in msgspec.json.decode(file.read_bytes())["entry"]:
            resource = read_json(write(entry["resource"]))
            origin = Origin("north", resource["resourceType"], resource.get("id", ""))
            whole_one = convert(resource, version, "r4").resource
            assert map_resource(whole_one, "r4", origin, {}) == map_resource(resource, version, origin, {})
            compared += 1
    assert compared > 300

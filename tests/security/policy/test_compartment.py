"""Whose a resource is: the table is HL7's, and nothing else makes a resource somebody's (B5)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.compartment import ALONE, COMPARTMENT, SHARED, TYPES, belongs, expressions, in_compartment, names_another

ANNA, BERT = "Patient/anna", "Patient/bert"


@cache
def package(file: Path) -> dict[str, Any]:
    """Read HL7's definitions of R4 core: name to content."""
    wanted = ("package/StructureDefinition-", "package/CompartmentDefinition-")
    with tarfile.open(file) as tar:
        return {
            member.name.removeprefix("package/").removesuffix(".json"): json.loads(content.read())
            for member in tar
            if member.name.startswith(wanted) and (content := tar.extractfile(member)) is not None
        }


@pytest.fixture(scope="module")
def core(shared_data: Path) -> dict[str, Any]:
    return package(shared_data / "igs" / "hl7.fhir.r4.core-4.0.1-from-hapi.tgz")


def made(type_: str, path: str, reference: str, *, many: bool = False) -> dict[str, Any]:
    """Make a resource that has a reference at a path, and nothing else."""
    value: Any = {"reference": reference}
    for step in reversed(path.split(".")[1:]):
        value = {step: [value] if many else value}
    return {"resourceType": type_, "id": "1", **value}


def paths() -> Iterator[tuple[str, str]]:
    for type_, by in expressions().items():
        for found in by.values():
            for expression in found:
                yield type_, expression.removesuffix(".where(resolve() is Patient)")


def test_types_and_parameters_are_those_of_hl7s_compartment_definition(core):
    definition = core["CompartmentDefinition-patient"]
    assert (definition["url"], definition["version"]) == ("http://hl7.org/fhir/CompartmentDefinition/patient", "4.0.1")
    theirs = {each["code"]: set(each["param"]) for each in definition["resource"] if each.get("param")}
    assert {type_: set(by) for type_, by in expressions().items()} == theirs
    assert theirs.keys() == COMPARTMENT
    assert len(COMPARTMENT) == 66


def test_types_are_those_that_r4_has(core):
    concrete = {
        each["type"]
        for each in core.values()
        if each.get("kind") == "resource" and not each["abstract"] and each["derivation"] == "specialization"
    }
    assert concrete == TYPES
    assert SHARED < TYPES
    assert ALONE < COMPARTMENT
    assert not SHARED & COMPARTMENT


def test_each_path_is_an_element_that_may_refer_to_a_patient(core):
    for type_, path in paths():
        [element] = [
            each for each in core[f"StructureDefinition-{type_}"]["snapshot"]["element"] if each["path"] == path
        ]
        targets = {
            target.rpartition("/")[2]
            for kind in element["type"]
            if kind["code"] == "Reference"
            for target in kind.get("targetProfile", ["Resource"])
        }
        assert targets & {"Patient", "Resource"}, path


def test_each_element_that_is_a_subject_or_a_patient_counts(core):
    """What is called so, and may refer to a Patient, is in the table: nothing was forgotten."""
    ours = set(paths())
    for type_ in COMPARTMENT:
        for element in core[f"StructureDefinition-{type_}"]["snapshot"]["element"]:
            may_be_patient = any(
                kind["code"] == "Reference"
                and any(target.endswith("/Patient") for target in kind.get("targetProfile", []))
                for kind in element.get("type", [])
            )
            if may_be_patient and element["path"] in (f"{type_}.subject", f"{type_}.patient"):
                assert (type_, element["path"]) in ours


@pytest.mark.parametrize(("type_", "path"), list(paths()))
def test_a_resource_is_of_whom_it_refers_to_and_of_nobody_else(type_: str, path: str):
    for many in (False, True):
        of_anna = made(type_, path, ANNA, many=many)
        assert in_compartment(of_anna, ANNA)
        assert not in_compartment(of_anna, BERT)
        assert not in_compartment(of_anna, "Patient/")
        assert not in_compartment(of_anna, "")
    assert in_compartment(made(type_, path, f"{ANNA}/_history/3"), ANNA)


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/ann",
        "Patient/anna2",
        "Patient/anna/",
        "Patient/Anna",
        "patient/anna",
        " Patient/anna",
        "Patient/anna ",
        "/Patient/anna",
        "Patient//anna",
        "Patient/../Patient/anna",
        "Patient/anna/_historyx",
        "Patient/anna#",
        "Patient?identifier=anna",
        "https://other.example.org/fhir/Patient/anna",
        "urn:uuid:anna",
        "#anna",
        "Group/anna",
        "RelatedPerson/anna",
        None,
        7,
        ["Patient/anna"],
        {"reference": "Patient/anna"},
    ],
)
def test_what_only_looks_like_a_reference_to_somebody_makes_nothing_theirs(reference: Any):
    assert not in_compartment({"resourceType": "Observation", "id": "1", "subject": {"reference": reference}}, ANNA)


def test_a_name_or_a_number_is_no_reference():
    subject = {"display": "Patient/anna", "type": "Patient", "identifier": {"value": "anna"}, "id": "anna"}
    assert not in_compartment({"resourceType": "Observation", "subject": subject}, ANNA)


@pytest.mark.parametrize("type_", [None, 7, ["Observation"], {"a": 1}, "", "observation", "Nonsense"])
def test_what_is_of_no_type_is_nobodys(type_: Any):
    resource = {"resourceType": type_, "id": "anna", "subject": {"reference": ANNA}}
    assert not in_compartment(resource, ANNA)
    assert not in_compartment({"id": "anna", "subject": {"reference": ANNA}}, ANNA)


def test_who_is_in_focus_of_an_observation_does_not_see_it_by_that():
    of_bert = {"resourceType": "Observation", "subject": {"reference": BERT}, "focus": [{"reference": ANNA}]}
    assert in_compartment(of_bert, BERT)
    assert not in_compartment(of_bert, ANNA)


@pytest.mark.parametrize(
    "element", ["basedOn", "partOf", "encounter", "specimen", "device", "hasMember", "derivedFrom", "note"]
)
def test_no_other_element_of_an_observation_makes_it_somebodys(element: str):
    assert not in_compartment({"resourceType": "Observation", element: [{"reference": ANNA}]}, ANNA)


def test_a_patient_is_in_their_own_compartment_and_in_that_of_whom_they_link_to():
    anna = {"resourceType": "Patient", "id": "anna"}
    assert in_compartment(anna, ANNA)
    assert not in_compartment(anna, BERT)
    assert in_compartment({**anna, "link": [{"other": {"reference": BERT}}]}, BERT)
    assert not in_compartment({"resourceType": "Patient"}, "Patient/None")


def test_types_outside_are_in_nobodys_compartment():
    for type_ in TYPES - COMPARTMENT:
        for element in ("subject", "patient", "for", "focus"):
            assert not in_compartment({"resourceType": type_, "id": "1", element: {"reference": ANNA}}, ANNA)


@pytest.mark.parametrize("type_", ["Device", "Task", "Binary", "GuidanceResponse"])
def test_what_is_kept_with_a_twin_and_cannot_say_whose_it_is_belongs_to_that_twin(type_: str):
    resource = {"resourceType": type_, "id": "1"}
    assert belongs(type_, resource, "anna")
    assert belongs(type_, {**resource, "patient": {"reference": ANNA}}, "anna")
    assert not belongs(type_, {**resource, "patient": {"reference": BERT}}, "anna")
    assert not belongs(
        type_, {**resource, "contained": [{"x": [{"reference": "https://a.example.org/Patient/7"}]}]}, "anna"
    )


def test_a_provenance_belongs_to_the_twin_that_it_is_kept_with_unless_it_names_another():
    provenance = {"resourceType": "Provenance", "target": [{"reference": "Observation/1"}]}
    assert belongs("Provenance", provenance, "anna")
    assert belongs("Provenance", {**provenance, "target": [{"reference": ANNA}]}, "anna")
    assert not belongs("Provenance", {**provenance, "entity": [{"what": {"reference": BERT}}]}, "anna")


def test_what_lists_people_belongs_to_nobody_if_it_lists_several():
    group = {"resourceType": "Group", "member": [{"entity": {"reference": ANNA}}]}
    assert belongs("Group", group, "anna")
    group["member"].append({"entity": {"reference": BERT}})
    assert in_compartment(group, ANNA)  # as HL7 says
    assert not belongs("Group", group, "anna")  # and yet


@pytest.mark.parametrize("type_", sorted(COMPARTMENT - {"Patient", "Provenance"}))
def test_what_could_say_whose_it_is_and_does_not_belongs_to_nobody(type_: str):
    assert not belongs(type_, {"resourceType": type_, "id": "1"}, "anna")


def test_a_resource_that_is_too_deep_to_look_through_names_somebody():
    deep: dict[str, Any] = {"reference": ANNA}
    for _ in range(5000):
        deep = {"extension": [deep]}
    assert names_another({"resourceType": "Device", **deep}, ANNA)
    assert not in_compartment({"resourceType": "Observation", "subject": deep}, ANNA)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from([ANNA, BERT])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["reference", "subject", "performer", "actor", "what", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(TYPES)),
    st.dictionaries(st.sampled_from(["subject", "patient", "agent", "id", "performer"]), json_values),
)
def test_no_shape_of_a_resource_is_an_error_and_none_is_of_whom_it_does_not_name(type_: str, content: dict[str, Any]):
    resource = {**content, "resourceType": type_}
    belongs(type_, resource, "anna")
    if in_compartment(resource, ANNA):
        assert ANNA in json.dumps(resource) or (type_, resource.get("id")) == ("Patient", "anna")

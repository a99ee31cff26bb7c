"""The version of a pile, by what only some versions write; and what it may be where that is not told."""

from __future__ import annotations

import pytest

from mappers import choose_version, detect_version, possible_versions
from mappers.rows import read_table
from mappers.versions import VERSIONS
from tests.mappers.definitions import shape_of


@pytest.mark.parametrize(
    ("resources", "version"),
    [
        ([], None),
        ([{"resourceType": "Organization"}], None),
        ([{"resourceType": "MedicationOrder"}], "dstu2"),
        ([{"resourceType": "ServiceRequest"}], "r4"),
        ([{"resourceType": "Patient", "name": [{"family": ["A"]}]}], "dstu2"),
        ([{"resourceType": "Patient", "name": [{"family": "A"}]}], None),  # STU3 or R4
        ([{"resourceType": "Observation", "context": {"reference": "Encounter/1"}}], "stu3"),
        ([{"resourceType": "Observation", "encounter": {"reference": "E/1"}, "category": [{}]}], "r4"),
        (
            [
                {"resourceType": "Observation", "encounter": {"reference": "E/1"}},
                {"resourceType": "Patient", "name": {"family": "A"}},
            ],
            "r4",
        ),
        ([{"resourceType": "Condition", "clinicalStatus": {"coding": []}}], "r4"),
        (
            [
                {"resourceType": "Immunization", "wasNotGiven": False},
                {"resourceType": "Condition", "assertedDate": "2016"},
            ],
            None,
        ),
        ([{"resourceType": 7}, {}], None),
        ([{"resourceType": "Encounter", "period": {"start": "2024"}, "serviceType": {"text": "x"}}], "r4"),
        ([{"resourceType": "Encounter", "actualPeriod": {"start": "2024"}}], "r5"),
        ([{"resourceType": "Encounter", "class": [{"coding": []}]}], "r5"),
        ([{"resourceType": "MedicationRequest", "medication": {"concept": {"text": "x"}}}], "r5"),
        ([{"resourceType": "Permission"}], "r5"),
        (
            [
                {"resourceType": "Ingredient"},  # of R4B and R5
                {"resourceType": "Immunization", "recorded": "2024"},  # of R4 and R4B
            ],
            "r4b",
        ),
        (
            [  # of R5 what only R5 writes so, and of the others what R4 and R5 write alike
                {"resourceType": "Observation", "encounter": {"reference": "E/1"}, "category": [{}]},
                {"resourceType": "Procedure", "occurrenceDateTime": "2024"},
            ],
            "r5",
        ),
        (
            [
                {"resourceType": "Procedure", "performedAge": {"value": 3}},
                {"resourceType": "Procedure", "occurrenceDateTime": "2024"},
            ],
            None,
        ),
    ],
)
def test_a_version_is_told_by_what_only_it_has(resources, version):
    assert detect_version(resources) == version


def test_what_a_pile_may_be_tells_who_was_told_another_version_from_who_is_not_sure():
    """A source that is told to be R4B or R5 may send what R4 has as well."""
    result = {"resourceType": "Observation", "encounter": {"reference": "E/1"}, "category": [{}]}
    order = {"resourceType": "MedicationRequest", "reportedBoolean": True}
    assert possible_versions([result]) == {"r4", "r4b", "r5"}
    assert possible_versions([result, order]) == {"r4", "r4b"}
    assert possible_versions([]) == set(VERSIONS)
    assert possible_versions([{"resourceType": "Conformance"}, {"resourceType": "ServiceRequest"}]) == set()
    assert [choose_version(frozenset(some)) for some in ({"r4", "r4b"}, {"r4b", "r5"}, {"stu3", "r4", "r4b"})] == [
        "r4",
        None,
        None,
    ]


@pytest.mark.parametrize("kind", read_table("signs"))
def test_a_sign_is_an_element_of_those_versions_and_of_no_other(kind):
    """Oracle: fhir.resources for STU3, R4B (as R4) and R5; it has no DSTU2."""
    for sign, versions in read_table("signs")[kind].items():
        path, _, shape = sign.partition(":")
        for version in ("stu3", "r4", "r5"):
            found = shape_of(version, kind, path)
            assert (found == shape if shape else bool(found)) == (version in versions), (sign, version)

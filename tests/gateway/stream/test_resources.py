"""What a message or a file holds, cut into its resources."""

from __future__ import annotations

import pytest

from gateway.pull.bundle import read_bundle
from gateway.stream.resources import read_resources
from tests.gateway.stream.arriving import raw, reading

GONE = {"request": {"method": "DELETE", "url": "Observation/g1"}}


def entries(*items):
    return raw({"resourceType": "Bundle", "type": "transaction", "entry": list(items)})


def test_a_deletion_is_an_entry_that_is_refused_and_never_silence():
    found = read_resources(entries({"resource": reading("g2")}, GONE), "message")
    assert [entry.problem for entry in found] == ["", "deleted"]
    assert found[1].place == "deletion of Observation/g1"


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (GONE, "Observation/g1"),
        ({"fullUrl": "http://ehr/Observation/g1", "request": {"method": "DELETE"}}, "http://ehr/Observation/g1"),
        ({"request": {"method": "GET", "url": "Observation/g1"}}, ""),
        ({"resource": reading(), "request": {"method": "DELETE", "url": "Observation/g1"}}, ""),
        ({"request": "DELETE"}, ""),
        ({"request": {"method": 7}}, ""),
        ({}, ""),
    ],
    ids=["deletion", "named by its fullUrl", "question", "with a resource", "no request", "no method", "nothing"],
)
def test_only_a_request_to_delete_is_a_deletion(entry, name):
    assert read_bundle(entries(entry)).entry[0].deletes == name

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import Unreadable, read_json
from mappers.ledger import REASONS

PATIENT = b'{"resourceType": "Patient"}'


def test_decimals_keep_the_digits_that_were_sent():
    read = read_json(b'{"resourceType": "Observation", "valueQuantity": {"value": 7.10}, "whole": 7}')
    assert str(read["valueQuantity"]["value"]) == "7.10"
    assert read["valueQuantity"]["value"] == Decimal("7.10")
    assert read["whole"] == 7


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b'{"resourceType": "Patient", "id": "a', "truncated"),
        (b'{"resourceType": "Patient", "name": [', "truncated"),
        (b"<html></html>", "not-json"),
        (b"\xef\xbb\xbf" + PATIENT, "not-json"),
        (PATIENT + b"x", "not-json"),
        (b'{"resourceType": "Patient", "id": "\xff"}', "not-json"),
        (b'{"resourceType": "Patient", "id": "\\ud800"}', "not-json"),
        (b'{"resourceType": "Patient", "x": NaN}', "not-json"),
        (b'{"resourceType": "Patient", "x": -Infinity}', "not-json"),
        (b'{"resourceType": "Patient", "id": "a", "id": "b"}', "duplicate-key"),
        (b'{"resourceType": "Patient", "name": [{"family": "a", "family": "b"}]}', "duplicate-key"),
        (b'{"resourceType": "Patient", "x": ' + b"[" * 70 + b"]" * 70 + b"}", "too-deep"),
        (b'{"resourceType": "Patient", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too-deep"),
        (b'{"resourceType": "Patient", "x": 1e99999999999999999999}', "bad-value"),
        (b'{"resourceType": "Patient", "x": ' + b"9" * 100_000 + b"}", "bad-value"),
        (b"[]", "not-fhir"),
        (b"null", "not-fhir"),
        (b"{}", "not-fhir"),
        (b'{"resourceType": 7}', "not-fhir"),
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_not_read(raw, reason):
    with pytest.raises(Unreadable) as caught:
        read_json(raw)
    assert caught.value.reason == reason
    assert reason in REASONS


def test_a_pair_of_surrogates_is_a_letter_and_wide_resources_are_not_deep():
    assert read_json(b'{"resourceType": "Patient", "id": "\\ud83d\\ude00"}')["id"] == "\U0001f600"
    wide = {"resourceType": "Bundle", "entry": [{"a": [{}]}] * 500}
    assert read_json(json.dumps(wide).encode()) == wide


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused_with_a_known_reason(raw):
    reason = ""
    try:
        read_json(raw)
    except Unreadable as error:
        reason = error.reason
    assert reason in {"", *REASONS}


@given(st.integers(min_value=1, max_value=26))
def test_a_resource_cut_anywhere_is_refused(cut):
    with pytest.raises(Unreadable) as caught:
        read_json(PATIENT[:cut])
    assert caught.value.reason == "truncated"

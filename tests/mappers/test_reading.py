from __future__ import annotations

import json
import random
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
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


def letter_by_letter(raw: bytes) -> dict[str, Any] | str:
    """Read as `read_json` has to, by the standard library and without any haste; or say why not."""

    def one(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise OverflowError("duplicate-key")
        return dict(pairs)

    def whole(digits: str) -> int:
        if len(digits) > 40:
            raise OverflowError("bad-value")
        return int(digits)

    def deep(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(deep, inner)) if inner else 0

    def refuse(_: str) -> None:
        raise ValueError

    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=one, parse_int=whole, parse_float=Decimal, parse_constant=refuse
        )
    except OverflowError as error:
        return str(error)
    except InvalidOperation:
        return "bad-value"
    except ValueError:
        try:
            msgspec.json.decode(raw)
        except (ValueError, RecursionError) as error:
            return "truncated" if "truncated" in str(error) else "not-json"
        return "not-json"
    if deep(value) > 64:
        return "too-deep"
    if re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False, default=str)):
        return "not-json"
    return value if isinstance(value, dict) and isinstance(value.get("resourceType"), str) else "not-fhir"


def read(raw: bytes) -> dict[str, Any] | str:
    try:
        return read_json(raw)
    except Unreadable as error:
        return error.reason


def same(one: object, other: object) -> bool:
    return one == other and repr(one) == repr(other)  # 7.10 is 7.1 to Python


PARTS = [
    *(b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b'"a"', b'"b"', b'"a":1', b'"b":"x"', b"true", b"null", b"NaN"),
    *(b"1E3", b"7.10", b"-0", b"0.0", b"1e-7", b"1.0e400", b"9" * 39, b"9" * 40, b"-" + b"9" * 40, b"9" * 41),
    *(b'"\\u00e9"', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\\/"', b'"\\n"', b'"\x7f"', b'"\x01"'),
    *(b'"\xc3\xa9"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(b"[" * 63 + b"1" + b"]" * 63, b"[" * 64 + b"]" * 64, b"[" * 62 + b'{"a":1}' + b"]" * 62),
]


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_the_quick_way_reads_and_refuses_what_the_slow_one_does(parts):
    for raw in (b"".join(parts), b'{"resourceType":"Patient","x":%b}' % b"".join(parts)):
        assert same(read(raw), letter_by_letter(raw)), raw
    raw = b'{"resourceType":"Patient",%b}' % b",".join(b'"k%d":%b' % pair for pair in enumerate(parts))
    assert same(read(raw), letter_by_letter(raw)), raw


def test_a_key_that_hides_behind_longer_numbers_is_found():
    """Written again, 1E3 is 1E+3: were lengths compared, six of them would pay for a pair that was dropped."""
    hidden = b'{"resourceType":"Patient","a":1,"a":1,"b":[1E3,1E3,1E3,1E3,1E3,1E3]}'
    assert read(hidden) == letter_by_letter(hidden) == "duplicate-key"


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
def test_real_resources_are_read_as_ever_and_with_a_changed_byte_too(shared_data, version):
    chance = random.Random(version)  # noqa: S311 - not for secrets
    files = (shared_data / "patients" / version).glob("*.json")
    bundle = json.loads(min(files, key=lambda file: file.stat().st_size).read_bytes())
    for entry in chance.sample(bundle["entry"], min(60, len(bundle["entry"]))):
        raw = json.dumps(entry["resource"], indent=chance.choice((None, 2)), ensure_ascii=False).encode()
        assert same(read(raw), letter_by_letter(raw))
        for _ in range(20):
            changed = bytearray(raw)
            at = chance.randrange(len(raw))
            changed[at : at + chance.randint(0, 2)] = chance.choice(
                (b"", b'"', b"}", b"1", b",", b"\\", raw[: chance.randrange(40)])
            )
            assert same(read(bytes(changed)), letter_by_letter(bytes(changed))), bytes(changed)

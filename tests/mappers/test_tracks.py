"""Tracks find what differs from something seen before in its holes alone: regular expressions say the same."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.forms.tracks import ARE_BUILT, MOST_HOLES, NUMBER, TEXT, TOKEN, VALUE, Part, make_tracks

pytestmark = pytest.mark.skipif(not ARE_BUILT, reason="there was no C compiler when this was installed")

PATTERNS = {
    TEXT: rb"([ !#-\[\]-~]*)",
    NUMBER: rb"(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,30})?)",
    TOKEN: rb"([0-9A-Za-z.-]*)",
}
same = st.sampled_from([b'"a"', b'"ab"', b"1", b"12", b"{}", b"[]", b"null"])
holes = st.sampled_from([[b'"', TEXT, b'"'], [NUMBER], [b'"a', TOKEN, b'"'], [b'"b/', TEXT, b'"']])
values = same.map(lambda each: [each]) | holes
fillings = st.sampled_from(
    [b"", b"a", b"ab", b"a-b", b"b/1", b"0", b"-1.50", b"12", b"01", b"1e3", b"1" * 16, b"\xc3", b"\\"]
)


def joined(told: list[list[Part]]) -> list[Part]:
    """Write values into an array: what is the same stands together."""
    parts: list[Part] = []
    for number, each in enumerate(told):
        for part in [b"," if number else b"[", *each]:
            if parts and isinstance(part, bytes) and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)
    return [*parts, b"]"]


def pattern_of(parts: list[Part]) -> re.Pattern[bytes]:
    return re.compile(b"".join(re.escape(part) if isinstance(part, bytes) else PATTERNS[part] for part in parts))


@given(st.lists(st.lists(values, min_size=1, max_size=4).map(joined), min_size=1, max_size=8), st.data())
def test_tracks_find_what_regular_expressions_find(told: list[list[Part]], data: st.DataObject):
    tracks, patterns = make_tracks(), {}
    for number, parts in enumerate(told):
        wanted = tuple(range(sum(isinstance(part, int) for part in parts)))
        if tracks.add(parts, wanted, number):
            patterns = {at: each for at, each in patterns.items() if told[at] != parts} | {number: pattern_of(parts)}
    for parts in told:
        raw = b"".join(part if isinstance(part, bytes) else data.draw(fillings) for part in parts)
        found = tracks.find(raw)
        if found is None:
            assert not any(each.fullmatch(raw) for each in patterns.values())
        else:
            matched = patterns[found[0]].fullmatch(raw)
            assert matched is not None
            assert tuple(group.decode() for group in matched.groups()) == found[1]


def test_nothing_is_found_that_ends_early_or_goes_on():
    tracks = make_tracks()
    assert tracks.add([b'{"a":"', TEXT, b'"}'], (0,), "end")
    assert tracks.find(b'{"a":"told"}') == ("end", ("told",))
    for raw in (b"", b"{", b'{"a":"', b'{"a":"told"', b'{"a":"told"} ', b'{"a":"to\x00ld"}', b'{"a":"to\x7fld"}'):
        assert tracks.find(raw) is None


def test_a_value_that_is_passed_over_is_json():
    tracks = make_tracks()
    tracks.add([b"[", VALUE, b"]"], (), "end")
    chance = random.Random(5)  # noqa: S311 - a test that repeats itself
    whole = [
        *(b"0", b"-1.5", b'""', b"true", b"null", b"{}", b"[]", b'{"a":[1,{"b":"\xc3\xa9\\n"}],"c":false}', b"[[],{}]"),
        b'{"reference":"Patient/1","display":"O\'Hara, \\"Jo\\""}',
    ]
    assert all(tracks.find(b"[" + each + b"]") for each in whole)
    taken = 0
    for _ in range(20_000):
        raw = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(raw) + 1)
            raw[place : place + chance.randrange(2)] = bytes([chance.choice(b'"{}[],:019.-truefalsn\\ \xc3\xa9')])
        if tracks.find(b"[" + bytes(raw) + b"]") is not None:
            json.loads(raw.decode("utf-8"))
            taken += 1
    assert taken > 100


def test_what_is_too_deep_is_passed_by():
    tracks = make_tracks()
    tracks.add([b"[", VALUE, b"]"], (), "end")
    assert tracks.find(b"[" * 61 + b"]" * 61) is not None
    assert tracks.find(b"[" * 100_000 + b"]" * 100_000) is None


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [([b"a", 9], ()), ([b"a", TEXT], (1,)), ([b"a", TEXT], (-1,)), ([b"a", *[TEXT, b'"'] * (MOST_HOLES + 1)], ())],
)
def test_a_hole_that_there_is_not_is_refused(parts: list[Any], wanted: tuple[int, ...]):
    with pytest.raises(ValueError, match="hole"):
        make_tracks().add(parts, wanted, None)

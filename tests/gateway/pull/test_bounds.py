"""What the settings of a source allow, and how deep JSON may go."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pull.bounds import file_limits_of, limits_of, line_bytes_of, patience_of
from gateway.pull.crawl import SearchCrawl
from gateway.pull.depth import is_deeper
from gateway.pull.inflate import Limits
from gateway.pull.metadata import fetch_capability
from gateway.pull.wire import Patience
from gateway.source_settings import SourceSettings


def told(**changes):
    return SourceSettings(url="https://ehr.example/fhir", **changes)


def test_without_settings_the_bounds_are_those_of_a_connection():
    assert limits_of(told()) == Limits()
    assert patience_of(told()) == Patience()
    assert line_bytes_of(told()) == 64 << 20


def test_each_bound_is_a_setting():
    settings = told(answer_mb=1, unpacked_mb=2, ratio=3, tries=4, come_back_s=5, answer_s=6, line_mb=7)
    assert limits_of(settings) == Limits(1 << 20, 2 << 20, 3)
    assert patience_of(settings) == Patience(read=6, total=6, tries=4, come_back=5)
    assert line_bytes_of(settings) == 7 << 20
    assert file_limits_of(settings).ratio == 3
    assert file_limits_of(settings).raw_bytes > 1 << 40  # it is read line by line, and costs no memory


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


texts = st.text(alphabet='ab"\\[]{}\n', max_size=8)
values = st.recursive(
    texts | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30
)


@given(values, st.integers(0, 8))
def test_depth_is_what_a_reader_would_find(value, most):
    assert is_deeper(json.dumps(value).encode(), most) == (depth(value) > most)


@pytest.mark.parametrize("raw", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * 200 + b"]" * 200])
def test_what_would_crash_a_reader_is_too_deep(raw):
    assert is_deeper(raw, 100)


def test_a_wide_resource_is_not_deep():
    assert not is_deeper(b"[" + b"{}," * 100_000 + b"{}]", 2)


async def test_a_resource_that_is_too_deep_is_refused_and_costs_itself_only(ehr, connect):
    deep = {"resourceType": "Patient", "id": "deep", "extension": json.loads("[" * 150 + "]" * 150)}
    ehr.resources = {"Patient": [{"resourceType": "Patient", "id": "flat"}, deep]}
    for most, problems in ((100, ["", "too-large"]), (200, ["", ""])):
        connection = connect(deepest=most)
        crawl = SearchCrawl("ehr", connection, await fetch_capability(connection), types=["Patient"])
        pages = [page async for page in crawl.pages(None)]
        assert [entry.problem for page in pages for entry in page.entries] == problems

"""JSON Patch: the examples of RFC 6902, appendix A, and what is no patch."""

from __future__ import annotations

from typing import Any

import pytest

from mappers.incoming import BadPatch, patched


@pytest.mark.parametrize(
    ("document", "operations", "made"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"g": {}}}], {"foo": "bar", "child": {"g": {}}}),
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        (
            {"foo": ["bar"]},
            [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
            {"foo": ["bar", ["abc", "def"]]},
        ),
        (
            {"a": [1]},
            [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/a/0"}],
            {"a": [], "b": [1]},
        ),
    ],
)
def test_the_examples_of_the_rfc(document: Any, operations: list[Any], made: Any) -> None:
    assert patched(document, operations) == made


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/baz", "value": "bar"}],
        [{"op": "test", "path": "/one", "value": True}],
        [{"op": "add", "path": "/a/b", "value": 1}],
        [{"op": "add", "path": "/list/5", "value": 1}],
        [{"op": "add", "path": "/list/01", "value": 1}],
        [{"op": "add", "path": "/list/-1", "value": 1}],
        [{"op": "add", "path": "baz", "value": 1}],
        [{"op": "add", "path": "/~2", "value": 1}],
        [{"op": "add", "path": "/x"}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "remove", "path": ""}],
        [{"op": "replace", "path": "/nothing", "value": 1}],
        [{"op": "move", "from": "/deep", "path": "/deep/a"}],
        [{"op": "increment", "path": "/one"}],
        [{"path": "/one"}],
        ["add"],
        [None],
        [{"op": "test", "path": "/one", "value": 1}] * 101,
        [{"op": "copy", "from": "", "path": "/deep/a/b"}, {"op": "copy", "from": "", "path": "/deep/c"}] * 50,
    ],
)
def test_what_does_not_fit_changes_nothing(operations: list[Any]) -> None:
    document = {"baz": "qux", "one": 1, "list": [1], "deep": {"a": {}}}
    before = {"baz": "qux", "one": 1, "list": [1], "deep": {"a": {}}}
    with pytest.raises(BadPatch):
        patched(document, [{"op": "add", "path": "/first", "value": 1}, *operations])
    assert document == before

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from security.audit.canonical import canonical

NAMES = st.text(st.characters(codec="ascii"), max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_an_event_is_written_as_rfc_8785_says(event):
    assert canonical(event) == rfc8785.dumps(event)


@pytest.mark.parametrize("value", [1.5, None, 2**53, b"x", {"ä": 1}, {1: 1}, ("a",), "\ud800", float("nan")])
def test_what_has_no_single_spelling_is_refused(value):
    with pytest.raises(ValueError, match=r"audit event|surrogates"):
        canonical({"a": [value]})

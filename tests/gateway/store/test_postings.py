"""Lists of event numbers: what is packed comes back, and what several lists share is found, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.postings import SPAN, Posting, Postings, common, numbers, pack

SEQUENCES = st.lists(st.integers(1, 3 * SPAN), unique=True, max_size=60).map(sorted)
RUNS = st.lists(st.tuples(st.integers(1, 2 * SPAN), st.integers(1, 50)), max_size=8).map(
    lambda runs: sorted({n for first, length in runs for n in range(first, first + length)})
)


def read_from(rows: Sequence[Posting]) -> Callable[[int, int], list[Posting]]:
    def read(number: int, most: int) -> list[Posting]:
        above = [row for row in rows if row.last > number][:1]
        return [*above, *[row for row in reversed(rows) if row.last <= number][:most]]

    return read


def in_transactions(sequences: Sequence[int], ends: Sequence[int]) -> list[Posting]:
    """Pack as a store does: what was recorded in one transaction together."""
    bounds = [0, *sorted(ends), 10 * SPAN]
    groups = [[n for n in sequences if a < n <= b] for a, b in pairwise(bounds)]
    return [posting for group in groups for posting in pack(group)]


@given(SEQUENCES | RUNS)
def test_what_is_packed_comes_back(sequences):
    rows = pack(sequences)
    assert sorted(n for row in rows for n in numbers(row)) == sequences
    assert [row.last for row in rows] == sorted(row.last for row in rows)
    assert all(max(numbers(row)) - min(numbers(row)) < SPAN for row in rows)


def test_a_thousand_events_in_a_row_cost_one_small_row():
    [row] = pack(range(501, 1501))
    assert (row.last, len(row.runs)) == (1500, 4)


def test_a_damaged_row_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        list(numbers(Posting(9, b"\x00\x00\x01")))


@given(
    st.lists(st.lists(SEQUENCES | RUNS, min_size=1, max_size=2), min_size=1, max_size=3),
    st.lists(st.integers(1, 3 * SPAN), unique=True, max_size=30),
    st.integers(1, 3 * SPAN),
    st.integers(1, SPAN),
)
def test_what_stands_in_all_lists_is_found_newest_first(lists, ends, start, floor):
    postings = [[Postings(read_from(in_transactions(one, ends))) for one in any_of] for any_of in lists]
    expected = set.intersection(*({n for one in any_of for n in one} for any_of in lists))
    assert list(common(postings, start, floor)) == sorted((n for n in expected if floor <= n <= start), reverse=True)


def test_a_long_list_beside_a_short_one_is_not_read_to_its_end():
    read = []

    def of_all(number: int, most: int) -> list[Posting]:
        rows = [Posting(n, b"") for n in range(number, max(0, number - most), -1)]
        read.extend(rows)
        return [Posting(number + 1, b""), *rows]

    short = pack([7, 500_000, 900_000])
    assert list(common([[Postings(of_all)], [Postings(read_from(short))]], 1_000_000)) == [900_000, 500_000, 7]
    assert len(read) < 200

"""The pull against every fault of the simulator that a crawl can meet, and what the document says of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.desk import sockets
from tests.gateway.pull import fault_table

# Nothing in the answers tells; found by a later pull, by reading what was held, or never.
UNTOLD = frozenset({"late-commit", "stale-replica", "search-misses-rows", "row-without-id"})


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


@pytest.fixture(scope="module")
def found(socket):
    return {name: (once, always) for name, once, always in fault_table.rows(socket)}


def test_the_document_says_what_a_pull_does_now(found):
    told = fault_table.table((name, *seen) for name, seen in found.items())
    assert told == fault_table.written(), "write it anew: python -m tests.gateway.pull.fault_table"


def test_nothing_is_called_complete_that_is_not(found):
    assert {name for name, seen in found.items() if any(each.is_wrong for each in seen)} == UNTOLD


@pytest.mark.parametrize("name", [n for n in fault_table.MET if fault_table.FAULTS[n].place in ("request", "page")])
def test_nor_where_it_strikes_from_the_first_page_on(socket, name):
    seen = asyncio.run(fault_table.pull_once(socket, name, after=0))
    assert not seen.is_wrong or name in UNTOLD


def test_what_ends_a_pull_says_what_to_do_and_names_no_patient(found):
    for seen in (each for pair in found.values() for each in pair if each.said):
        assert seen.hint
        assert "p0" not in seen.said


def test_what_strikes_observations_costs_no_patient(found):
    """Per-type isolation: five Patients come whatever happens to the other type."""
    everywhere = ("token", "statement", "discovery")
    for name, seen in found.items():
        if fault_table.FAULTS[name].place not in everywhere and name != "patients-not-listed":
            assert all(each.came >= 5 for each in seen), name

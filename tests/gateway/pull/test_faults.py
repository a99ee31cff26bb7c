"""The pull against every fault of the simulator that a crawl can meet, and what the document says of it."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.home import Home
from gateway.settings import load_settings
from tests.conformance.desk import sockets
from tests.gateway.pull import fault_table

# What does not end complete with all there is: verdict, why, and how many are missing; where the fault strikes once,
# and where it strikes for good. All that is not named ends complete.
ENDS = {
    ("unprovable", "", 15): (
        "",
        "category-required",
    ),
    ("unprovable", "", 0): (
        "count-alone-wrong",
        "count-alone-wrong",
    ),
    ("incomplete", "unreachable", 11): (
        "",
        (
            "bad-gateway-page cut-connection cut-gzip gateway-timeout half-closed labelled-gzip "
            "long-content-length never-answers next-page-broken server-error silent-stall slow-loris "
            "throttled throttled-until-a-date throttled-without-a-word throttling-storm unavailable"
        ),
    ),
    ("incomplete", "not-fhir", 11): (
        "",
        (
            "cut-body deep-nesting gzip-in-gzip login-page next-page-empty not-utf-8 nothing-to-read "
            "outcome-for-bundle short-content-length unframed-cut unlabelled-gzip utf-16"
        ),
    ),
    ("incomplete", "", 0): (
        (
            "changing-total empty-page entry-without-resource error-entry late-commit missing-row "
            "row-deleted-while-paging row-without-id same-id-other-content search-misses-rows "
            "wrong-resource-type wrong-total"
        ),
        (
            "changing-total entry-without-resource error-entry late-commit missing-row "
            "row-deleted-while-paging row-without-id same-id-other-content search-misses-rows "
            "wrong-resource-type wrong-total"
        ),
    ),
    ("incomplete", "refused", 11): (
        "redirect-to-stranger",
        "next-page-not-found redirect-loop redirect-to-stranger search-cache-expired",
    ),
    ("incomplete", "", 2): (
        "empty-next-link no-next-link",
        "empty-next-link no-next-link",
    ),
    ("incomplete", "", 3): (
        "",
        "empty-page",
    ),
    ("incomplete", "Denied", 11): (
        "",
        "expired-token",
    ),
    ("incomplete", "foreign-next-link", 7): (
        "foreign-next-link",
        "foreign-next-link",
    ),
    ("incomplete", "too-large", 11): (
        "",
        "huge-body",
    ),
    ("incomplete", "loop", 7): (
        "looping-next-link",
        "looping-next-link",
    ),
    ("incomplete", "denied", 15): (
        "narrowed-grant",
        "narrowed-grant",
    ),
    ("incomplete", "refused", 0): (
        "",
        "patients-not-listed",
    ),
    ("incomplete", "", 1): (
        "row-inserted-while-paging",
        "row-inserted-while-paging",
    ),
    ("incomplete", "", 6): (
        "search-capped",
        "search-capped",
    ),
    ("incomplete", "", 10): (
        "stale-replica",
        "stale-replica",
    ),
    ("no certificate", "NotFhir", 20): (
        "",
        "statement-as-xml statement-page",
    ),
    ("no certificate", "Denied", 20): (
        "statement-wants-a-token",
        "statement-wants-a-token token-refused",
    ),
    ("no certificate", "Unreachable", 20): (
        "",
        "token-endpoint-down token-endpoint-throttled",
    ),
    ("no certificate", "Refused", 20): (
        "no-statement",
        "no-statement",
    ),
    ("no certificate", "OtherVersion", 20): (
        "statement-of-another-version",
        "statement-of-another-version",
    ),
}

NO_MORE = {"deleted-in-mid-crawl", "merged-patient-deleted", "row-deleted-while-paging"}  # and came before
TWO_CONTENTS = {"same-id-other-content"}  # nobody can say which is meant: no fact


def expected(name, place):
    found = [end for end, names in ENDS.items() if name in names[place].split()]
    return found[0] if found else ("complete", "", 0)


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


@pytest.fixture(scope="module")
def found(socket, tmp_path_factory):
    with Home.open(load_settings(tmp_path_factory.mktemp("home"))) as home:
        return {name: (once, always) for name, once, always in fault_table.rows(socket, home)}


def test_the_document_says_what_a_pull_does_now(found):
    told = fault_table.TABLE.of((name, *seen) for name, seen in found.items())
    assert told == fault_table.TABLE.read(), "write it anew: python -m tests.gateway.pull.fault_table"


def test_nothing_is_called_complete_that_is_not(found):
    assert {name for name, seen in found.items() if any(each.is_wrong for each in seen)} == set()


@pytest.mark.parametrize("name", fault_table.MET)
def test_each_fault_ends_in_the_right_certificate(found, name):
    for place, seen in enumerate(found[name]):
        assert (seen.verdict, seen.stopped, seen.missing) == expected(name, place)


@pytest.mark.parametrize("name", fault_table.MET)
def test_each_fault_ends_with_the_facts_of_what_came_each_once(found, name):
    for seen in found[name]:
        if seen.report is None:
            assert seen.verdict == "no certificate" or seen.status
            continue
        ledger = seen.report.ledger
        assert ledger.resources == ledger.understood + ledger.refused
        assert set(seen.copies.values()) <= {1}, "nothing is held twice"
        named = [key for key in seen.held if re.fullmatch(r"(Patient|Observation)/[A-Za-z0-9.-]{1,64}", key)]
        facts = {key: seen.held[key] for key in named if key.startswith("Observation/")}
        if name not in TWO_CONTENTS:
            assert set(facts.values()) <= {1}, "each measurement is one fact"
            assert sum(facts.values()) == len(facts)
        unread = ledger.refusals["duplicate-key"]  # refused whole, id and all
        assert len(named) + unread == seen.came + (name in NO_MORE)


def test_every_fault_that_is_named_is_tried():
    named = {each for pair in ENDS.values() for names in pair for each in names.split()}
    assert named | NO_MORE | TWO_CONTENTS <= {*fault_table.MET}


@pytest.mark.parametrize("name", [n for n in fault_table.MET if fault_table.FAULTS[n].place in ("request", "page")])
def test_nor_where_it_strikes_from_the_first_page_on(socket, name):
    seen = asyncio.run(fault_table.pull_once(socket, name, after=0))
    assert not seen.is_wrong


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

"""An export against every fault of the simulator's bulk export, and what the document says of it."""

from __future__ import annotations

import pytest

from conformance.hostile import FAULTS
from tests.conformance.desk import sockets
from tests.gateway.pull.bulk import bulk_table

ALL = {f"Patient/p{p}" for p in range(5)} | {f"Observation/p{p}-o{o}" for p in range(5) for o in range(3)}
BEGINS = 1  # exports that the server begins, where nothing is lost


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


@pytest.fixture(scope="module")
def found(socket):
    return {name: (once, always) for name, once, always in bulk_table.rows(socket)}


def test_the_document_says_what_an_export_does_now(found):
    told = bulk_table.TABLE.of((name, *seen) for name, seen in found.items())
    assert told == bulk_table.TABLE.read(), "write it anew: python -m tests.gateway.pull.bulk.bulk_table"


# What is not complete, and why; whatever stands in neither column is complete, with all there is.
LESS = {
    # nothing to fetch
    "no-content-location": (("export-failed", "lost-job"), ("export-failed", "lost-job")),
    "job-failed": (("export-failed",), ("export-failed",)),
    "job-lost": ((), ("export-failed",)),
    "job-stuck": ((), ("export-failed",)),
    "manifest-cut": ((), ("no-manifest",)),
    "empty-manifest": (("no-manifest",), ("no-manifest",)),
    # the pull ends, and the next one goes on
    "kick-off-lost": (("ServerError",), ("ServerError",)),
    "kick-off-throttled": ((), ("ComeBackLater",)),
    "second-job-refused": ((), ("ComeBackLater",)),
    "status-flaps": ((), ("Unreachable",)),
    "status-bad-gateway": ((), ("Unreachable",)),
    # one file
    "file-not-found": ((), ("file-error",)),
    "file-bad-gateway": ((), ("file-error",)),
    "file-throttled": ((), ("file-error",)),
    "files-in-a-bucket": (("foreign-file",), ("foreign-file",)),
    "file-left-out": (("more-by-search",), ("more-by-search",)),
    # one line
    "line-missing": (("count-differs",), ("count-differs",)),
    "line-cut": ((), ()),
    "line-twice": (("surplus",), ("surplus",)),
    "line-of-another-type": (("surplus",), ("surplus",)),
    "outcome-among-lines": (("outcome-in-set",), ("outcome-in-set",)),
    "wrong-count": (("count-differs",), ("count-differs",)),
    "no-count": ((), ()),
    # what nobody can know
    "type-filter-ignored": (("unproven-filter",), ("unproven-filter",)),
}
NOT_COMPLETE = {"line-cut": "incomplete", "no-count": "unprovable"}  # because of the numbers alone
MISSING = {  # how many do not come: where it strikes once, and for good
    **dict.fromkeys(
        ("no-content-location", "job-failed", "empty-manifest", "kick-off-lost", "files-in-a-bucket"), (20, 20)
    ),
    **dict.fromkeys(("job-lost", "job-stuck", "manifest-cut", "kick-off-throttled", "second-job-refused"), (0, 20)),
    **dict.fromkeys(("status-flaps", "status-bad-gateway"), (0, 20)),
    **dict.fromkeys(("file-not-found", "file-bad-gateway", "file-throttled"), (0, 20)),
    "file-left-out": (5, 5),
    "line-missing": (4, 4),
    "line-cut": (4, 4),
}


@pytest.mark.parametrize("name", bulk_table.BULK)
def test_each_fault_ends_in_the_right_certificate_with_what_came(found, name):
    for place, seen in enumerate(found[name]):
        assert tuple(seen.why) == LESS.get(name, ((), ()))[place]
        assert len(ALL - seen.came) == MISSING.get(name, (0, 0))[place]
        assert not seen.is_wrong
        if not seen.why:
            assert seen.verdict == NOT_COMPLETE.get(name, "complete")


@pytest.mark.parametrize("name", bulk_table.BULK)
def test_no_fault_makes_a_resource_count_twice(found, name):
    """A line that stands twice in a file comes twice, and is told; nothing is read again that came before."""
    for seen in found[name]:
        entries = [entry.raw for page in seen.pages for entry in page.entries]
        twice = len(entries) - len(set(entries))
        assert twice == 0 or name in ("line-twice", "line-of-another-type")
        asked = seen.certificate.asked
        assert sum(each.came for each in asked) >= len(seen.came) or seen.fault


def test_what_is_wrong_with_a_line_is_known_before_it_is_mapped(found):
    assert {name: sorted({*seen[1].problems}) for name, seen in found.items() if seen[1].problems} == {
        "line-cut": ["truncated"],
        "line-of-another-type": ["unexpected-type"],
    }


def test_what_ends_a_pull_says_what_to_do_and_names_no_patient(found):
    for seen in (each for pair in found.values() for each in pair):
        if seen.fault is not None:
            assert seen.fault.hint
        for text in (str(seen.fault), seen.certificate.note, *(page.what for page in seen.pages)):
            assert "p0" not in text
            assert "http" not in text


def test_no_fault_makes_an_export_begin_twice_but_one_that_the_server_forgot(found):
    for name, seen in found.items():
        for each in seen:
            extra = name == "job-lost" or (name == "second-job-refused" and not each.fault)
            assert each.jobs <= BEGINS + extra, name


def test_every_fault_of_an_export_is_tried():
    places = {"order", "kick-off", "poll", "manifest", "file", "lines", "cancel"}
    assert {name for name, kind in FAULTS.items() if kind.place in places} == {*bulk_table.BULK}
    assert {*LESS, *MISSING} <= {*bulk_table.BULK}

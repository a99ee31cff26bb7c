"""What a server does wrong while it is crawled costs what it touches, and the certificate says what that is."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from starlette.responses import JSONResponse

from conformance.hostile import FAULTS
from gateway.pull.connection import ComeBackLater
from gateway.pull.crawl import SearchCrawl
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Asked
from gateway.pull.profile import Profile
from security.errors import Fault
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import crawling, named, observation, patient, record

ALL = {f"{each['resourceType']}/{each['id']}" for each in record()}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "r1",
    "practitioner": {"reference": "Practitioner/d2"},
    "organization": {"reference": "Organization/o1"},
}
DOCTORS = [{"resourceType": "Practitioner", "id": f"d{n}"} for n in (1, 2)]
PLACES = [{"resourceType": "Organization", "id": "o1"}]


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


async def gather(source, pages) -> None:
    """Walk, and keep what came before a fault."""
    async for page in source.pages(None):
        pages.append(page)


async def patients_of(connection) -> tuple[Asked, str]:
    """Crawl the patients of a server; return the question and what was remarked."""
    source = SearchCrawl("north", connection, await fetch_capability(connection), page_size=1000)
    async for _ in source.pages(None):
        pass
    [asked] = source.certificate().asked
    return asked, source.certificate().note


async def test_a_type_whose_server_wants_a_long_pause_waits_while_the_others_go_on(socket):
    async with crawling(socket) as desk:
        desk.throw("unavailable", times=1, value="3600")
        came, verdict, _ = await desk.ends(at_once=1, types=("Observation", "Patient"))
        assert (came, verdict) == (ALL, "complete")


async def test_where_all_that_is_left_has_to_wait_the_pull_ends_and_its_cursor_goes_on(socket):
    async with crawling(socket) as desk:
        desk.throw("unavailable", after=1, value="3600")
        pages = []
        source = await desk.crawl(at_once=1)
        with pytest.raises(ComeBackLater):
            await gather(source, pages)
        assert {f"Patient/p{n}" for n in range(5)} <= set(named(pages))
        desk.ehr.misbehaviours.clear()
        rest, certificate = await desk.walk(pages[-1].cursor, at_once=1)
        assert set(named(pages)) | set(named(rest)) == ALL
        assert certificate.verdict == "complete"


@pytest.mark.parametrize(
    ("fault", "sign"),
    [("error-entry", "outcome-in-set"), ("changing-total", "shifted"), ("row-without-id", "without-id")],
)
async def test_what_speaks_against_a_list_is_a_sign(socket, fault, sign):
    async with crawling(socket) as desk:
        desk.throw(fault, after=1)
        _, verdict, asked = await desk.ends()
        assert verdict != "complete"
        assert sign in asked["Observation"].signs


async def test_rows_that_came_without_an_id_are_told(socket):
    async with crawling(socket) as desk:
        desk.throw("row-without-id", times=1)
        await desk.walk()
        assert "Observation: some came without an id, and are refused (no-id)." in desk.source.certificate().note


@pytest.mark.parametrize(
    ("severity", "code", "sign"),
    [
        ("warning", "informational", ()),
        ("information", "incomplete", ()),
        ("warning", "not-supported", ()),
        ("warning", "suppressed", ("narrowed-scope",)),  # Epic, on each answer
        ("warning", "incomplete", ("outcome-in-set",)),
        ("error", "processing", ("outcome-in-set",)),
        ("fatal", "timeout", ("outcome-in-set",)),
    ],
)
async def test_an_outcome_among_the_rows_says_whether_some_are_left_out(ehr, connect, severity, code, sign):
    told = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}
    rows = [{"resource": patient(0)}, {"resource": told, "search": {"mode": "outcome"}}]
    ehr.resources = {"Patient": [patient(0)]}
    ehr.once("Patient", JSONResponse({"resourceType": "Bundle", "total": 1, "entry": rows}), 2)
    asked, note = await patients_of(connect())
    assert asked.signs == sign
    assert f"{severity} {code}" in note


@pytest.mark.parametrize(("came", "sign"), [(1000, ("capped",)), (999, ()), (500, ())])
async def test_a_round_number_of_rows_and_no_total_may_be_a_cap(ehr, connect, came, sign):
    ehr.resources = {"Patient": [patient(n) for n in range(came)]}
    ehr.size, ehr.with_total = 1000, False
    ehr.hooks.append(lambda r: JSONResponse({}, 400) if r.query_params.get("_summary") else None)
    assert (await patients_of(connect()))[0].signs == sign


async def test_rows_that_appear_while_we_walk_are_seen_by_a_second_count(socket):
    async with crawling(socket) as desk:
        desk.throw("late-commit", value="0")
        came, verdict, asked = await desk.ends()
        assert (came - ALL, verdict) == (set(), "unprovable")
        assert asked["Observation"].signs == ("shifted",)


@pytest.mark.parametrize("fault", ["stale-replica", "search-misses-rows", "late-commit"])
async def test_rows_that_a_search_hides_are_seen_by_the_history_and_taken(socket, fault):
    """Searches count and show the same, and too few: only the history of the type knows."""
    async with crawling(socket) as desk:
        desk.wait(45)
        desk.throw(fault)
        came, verdict, asked = await desk.ends()
        assert verdict == "incomplete"
        assert "known-to-be-missing" in asked["Observation"].signs
        assert asked["Observation"].missing
        assert set(asked["Observation"].missing) <= came


async def test_what_is_written_while_we_walk_is_no_witness_against_the_list(socket):
    async with crawling(socket) as desk:
        desk.wait(45)
        source = await desk.crawl(at_once=1)
        async for page in source.pages(None):
            if page.what == "Observation, page 1":
                desk.wait(1)
                desk.ehr.load(observation("later", 0))
        assert [asked.signs for asked in source.certificate().asked] == [(), ("shifted",)]


async def test_a_patient_whom_others_name_and_the_list_lacks_is_taken_and_told(socket):
    async with crawling(socket) as desk:
        desk.throw("search-misses-rows", "Patient", times=2)
        desk.throw("read-forbidden", "Patient")  # nor does a history help
        came, verdict, asked = await desk.ends()
        assert verdict == "incomplete"
        assert "known-to-be-missing" in asked["Patient"].signs
        assert came == ALL


@pytest.mark.parametrize("fault", ["small-total", "zero-total"])
async def test_a_total_of_something_else_is_not_taken_for_a_proof(socket, fault):
    async with crawling(socket) as desk:
        desk.throw(fault)
        desk.throw("no-next-link", after=2)
        _, verdict, asked = await desk.ends()
        assert (verdict, asked["Observation"].said) == ("incomplete", 15)


async def test_what_others_refer_to_is_filled_in(socket):
    rows = [patient(0), observation("a", 0, performer=[{"reference": "Practitioner/d1"}])]
    rows.append(observation("b", 0, performer=[{"reference": "PractitionerRole/r1"}, {"reference": "#inside"}]))
    async with crawling(socket, *rows, ROLE, *DOCTORS, *PLACES) as desk:
        came, verdict, asked = await desk.ends(fills_in=True)
        assert {"Practitioner/d1", "Practitioner/d2", "PractitionerRole/r1", "Organization/o1"} <= came
        assert verdict == "complete"
        assert asked["PractitionerRole, filled in"].came == 1
        assert not any(each.listed for name, each in asked.items() if "filled" in name)


async def test_what_is_held_or_came_is_not_filled_in(socket):
    rows = [patient(0), observation("a", 0, performer=[{"reference": f"Practitioner/d{n}"} for n in (1, 2)])]
    async with crawling(socket, *rows, *DOCTORS) as desk:
        await desk.ends(fills_in=True, is_held=lambda name: name == "Practitioner/d1")
        assert desk.queries("Practitioner") == ["_id=d2&_count=1"]
        desk.ehr.seen.clear()
        await desk.ends(fills_in=True, types=(*("Patient", "Observation"), "Practitioner"))
        assert not [each for each in desk.queries("Practitioner") if "_id" in each]


async def test_what_leads_nowhere_is_remarked_and_no_error(socket):
    rows = [patient(0), observation("a", 0, performer=[{"reference": "Practitioner/gone"}])]
    async with crawling(socket, *rows, *DOCTORS) as desk:
        _, verdict, asked = await desk.ends(fills_in=True)
        assert verdict == "complete"
        assert (asked["Practitioner, filled in"].said, asked["Practitioner, filled in"].came) == (0, 0)
        assert "others refer to some that the server does not have" in desk.source.certificate().note


async def test_many_are_filled_in_by_post_and_in_chunks(socket):
    many = [{"resourceType": "Practitioner", "id": f"a-rather-long-id-of-a-doctor-{n:04}"} for n in range(120)]
    told = [{"reference": f"Practitioner/{each['id']}"} for each in many]
    async with crawling(socket, patient(0), observation("a", 0, performer=told), *many, max_page_size=20) as desk:
        _, verdict, asked = await desk.ends(fills_in=True, profile=Profile(longest_url=1000))
        assert verdict == "complete"
        assert asked["Practitioner, filled in"].came == 120
        assert sum(each.path.endswith("Practitioner/_search") for each in desk.ehr.seen) == 2


async def test_patients_whom_no_list_gives_are_asked_for_by_name(socket):
    async with crawling(socket) as desk:
        desk.throw("patients-not-listed", "Patient")
        came, verdict, asked = await desk.ends()
        assert came == ALL
        assert (verdict, asked["Patient"].stopped) == ("incomplete", "refused")


@pytest.mark.parametrize("seed", range(12))
async def test_killed_at_any_moment_under_any_faults_a_walk_ends_with_all(socket, seed):
    dice = random.Random(seed)  # noqa: S311 - a test's
    once = [n for n, kind in FAULTS.items() if kind.place in ("request", "body") and not kind.name.startswith(SLOW)]
    async with crawling(socket, unknown_parameters=dice.choice(("refuse", "ignore"))) as desk:
        for name in dice.sample(sorted(set(once) - CHANGES), 3):
            desk.throw(name, dice.choice(("Patient", "Observation")), after=dice.randrange(3), times=1)
        pages, cursor, settings = [], None, {"way": dice.choice(("crawl", "patients")), "at_once": dice.choice((1, 3))}
        landed = dice.choice((None, lambda: pages))
        while True:
            source = await desk.crawl(**settings, landed=landed)
            walking = source.pages(cursor)
            try:
                for _ in range(dice.randrange(1, 6)):
                    pages.append(await anext(walking))
                    cursor = pages[-1].cursor
            except StopAsyncIteration:
                break
            except Fault:
                pass
            await walking.aclose()
        assert set(named(pages)) == ALL
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        assert source.certificate().verdict in ("complete", "unprovable")


SLOW = ("slow", "silent", "never", "huge", "gzip-in", "half", "rate", "redirect", "throttling")
CHANGES = {
    *("deleted-resource", "vanished-resource", "merged-patient", "merged-patient-deleted", "unmerged-patient"),
    *("subject-changed", "id-reused", "edited-without-a-stamp", "expired-token"),
}


async def test_closing_a_walk_leaves_no_request_behind(socket):
    async with crawling(socket) as desk:
        source = await desk.crawl()
        walking = source.pages(None)
        await anext(walking)
        before = asyncio.all_tasks()
        await walking.aclose()
        assert len(asyncio.all_tasks()) < len(before)


def test_no_name_of_a_patient_is_in_what_a_page_is_called():
    """Names of pages and remarks are shown and logged."""

    async def ask():
        with sockets() as socket:
            async with crawling(socket) as desk:
                pages, certificate = await desk.walk(way="patients")
                return pages, certificate

    pages, certificate = asyncio.run(ask())
    told = (
        json.dumps([page.what for page in pages]) + certificate.note + json.dumps([a.what for a in certificate.asked])
    )
    assert not [p for p in range(5) if f"p{p}" in told]

"""A pull by bulk export, against the simulator in the three dialects of the guide."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from conformance.hostile import Misbehaviour
from gateway.pull.bulk import cancel
from gateway.pull.connection import ComeBackLater
from gateway.pull.page import Gone
from gateway.pull.profile import Bulk, Profile
from security.errors import BadSettings, Denied, Refused, Unreachable
from tests.conformance.desk import sockets
from tests.gateway.pull.bulk.bulk_table import Desk, Seen, walk

GROUP = {
    "resourceType": "Group",
    "id": "g",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": f"Patient/p{n}"}} for n in (1, 2)],
}


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


def export(desk: Desk, cursor: str | None = None, **more) -> Seen:
    return asyncio.run(walk(desk, cursor, **more))


def asked(seen: Seen) -> dict[str, tuple]:
    return {each.type: (each.what, each.said, each.came) for each in seen.certificate.asked}


# ---- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["stu2", "stu3", "stu4"])
@pytest.mark.parametrize("level", ["system", "patient", "group"])
def test_an_export_is_complete_in_every_dialect_and_at_every_level(socket, dialect, level):
    desk = Desk.open(socket, bulk={"dialect": dialect}, export=level, group="g" if level == "group" else "")
    desk.ehr.load(GROUP)
    seen = export(desk)
    of_two = {name for name in seen.there if "p1" in name or "p2" in name}
    assert seen.came == (of_two if level == "group" else seen.there)
    assert seen.certificate.verdict == "complete"
    assert seen.certificate.way == "bulk"
    listed = {each.listed for each in seen.certificate.asked}
    assert listed == ({""} if level == "group" else {"Patient", "Observation"})
    assert desk.asked("POST") == (
        ["/fhir/" + {"system": "", "patient": "Patient/", "group": "Group/g/"}[level] + "$export"]
        if dialect == "stu4"
        else []
    )
    assert [each.self_link != "" for each in seen.certificate.asked] == [dialect != "stu4"] * 2


@pytest.mark.parametrize("dialect", ["stu3", "stu4"])
def test_a_comma_in_a_filter_parts_values_and_no_filters(socket, dialect):
    filters = ("Observation?_id=p0-o0,p0-o1", "Observation?_id=p4-o2&status=final")
    desk = Desk.open(socket, bulk={"dialect": dialect}, filters=filters, types=("Observation",))
    seen = export(desk)
    assert seen.came == {"Observation/p0-o0", "Observation/p0-o1", "Observation/p4-o2"}
    [told] = seen.certificate.asked
    assert (told.what, told.listed, told.signs) == ("Observation, filtered", "", ("unproven-filter",))


def test_what_nobody_told_to_export_is_what_this_release_reads_and_what_is_refused_is_left_out(socket):
    """Medication is in no patient's compartment: the simulator refuses it for all patients, and names it."""
    desk = Desk.open(socket, types=())
    seen = export(desk)
    queries = [dict(parse_qsl(s.query)) for s in desk.ehr.seen if s.path.endswith("$export")]
    assert ["Medication" in query["_type"].split(",") for query in queries] == [True, False]
    assert "The server does not export: Medication." in seen.certificate.note
    assert seen.certificate.verdict == "complete"
    assert asked(seen)["Condition"] == ("Condition", 0, 0)  # asked for, and no file: there is none


def test_types_that_our_token_does_not_allow_are_left_out_and_told(socket):
    desk = Desk.open(socket, guarded=True, types=("Patient", "Observation", "Condition"))
    seen = export(desk)
    assert seen.came == seen.there
    assert {each.type: each.stopped for each in seen.certificate.asked}["Condition"] == "denied"


def test_a_server_that_exports_groups_only_wants_to_be_told_which(socket):
    seen = export(Desk.open(socket), profile=Profile(bulk=Bulk(levels=("group",))))
    assert isinstance(seen.fault, BadSettings)
    assert "group in twin.toml" in seen.fault.hint


def test_a_server_that_exports_all_it_has_is_asked_for_that(socket):
    desk = Desk.open(socket)
    export(desk, profile=Profile(bulk=Bulk(levels=("system",), post="yes")))
    assert desk.asked("POST") == ["/fhir/$export"]


def test_a_server_without_an_export_says_what_to_do_instead(socket):
    seen = export(Desk.open(socket, bulk={"levels": ()}))
    assert isinstance(seen.fault, Refused)
    assert "--way crawl" in seen.fault.hint
    assert seen.pages[-1].what == "bulk export, not begun"
    assert "lost-job" not in [sign for each in seen.certificate.asked for sign in each.signs]


@pytest.mark.parametrize("filters", [("Observation",), ("?code=1",), ("observation?code=1",)])
def test_a_filter_is_a_type_and_a_query(socket, filters):
    seen = export(Desk.open(socket, filters=filters))
    assert isinstance(seen.fault, BadSettings)
    assert "Observation?category" in seen.fault.hint


# ---- what changed since ----------------------------------------------------------------------------------------------


def test_what_was_deleted_since_is_gone_and_the_next_export_begins_where_this_one_ended(socket):
    desk = Desk.open(socket)
    first = export(desk)
    desk.time.now += timedelta(hours=1)
    desk.ehr.store.remove("Observation", "p0-o0")
    desk.ehr.load({"resourceType": "Patient", "id": "p9", "gender": "male"})
    second = export(desk, since=first.certificate.until, after="before")
    assert second.came == {"Patient/p9"}
    assert [one for page in second.pages for one in page.gone] == [Gone("Observation", "p0-o0", "deleted")]
    told = {each.type: each for each in second.certificate.asked}
    assert (told["Patient"].of_all, told["Patient"].listed, told["Patient"].since) == (
        "Patient",
        "",
        first.certificate.until["Patient"],
    )
    assert (told[""].said, told[""].came, told[""].verdict) == (1, 1, "complete")
    assert second.certificate.after == "before"
    assert second.certificate.until["Patient"] > first.certificate.until["Patient"]


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ({"Patient": "2026-11-02T00:00:00Z", "Observation": "2026-11-01T01:00:00+02:00"}, "2026-11-01T01:00:00+02:00"),
        ({"Patient": "2026-11-02T00:00:00Z"}, None),
        ({"Patient": "2026-11-02T00:00:00Z", "*": "2026-11-01T00:00:00Z"}, "2026-11-01T00:00:00Z"),
        ("2026-11-01T00:00:00+01:00", "2026-11-01T00:00:00+01:00"),
        ("", None),
    ],
)
def test_one_instant_is_asked_for_before_which_nothing_is_missing(socket, since, said):
    desk = Desk.open(socket)
    export(desk, since=since)
    [query] = [dict(parse_qsl(s.query)) for s in desk.ehr.seen if s.path.endswith("$export")]
    assert query.get("_since") == said


def test_nothing_goes_on_from_an_instant_that_a_person_told_nor_from_a_group(socket):
    assert not export(Desk.open(socket), since="2026-11-01T00:00:00Z").certificate.until
    desk = Desk.open(socket, group="g")
    desk.ehr.load(GROUP)
    assert not export(desk).certificate.until


def test_changes_are_asked_for_only_where_the_filters_are_the_same(socket):
    """What other filters left out is older than the last pull, and no _since would bring it."""
    one, other = ("Observation?category=laboratory",), ("Observation?category=vital-signs",)
    until = export(Desk.open(socket, filters=one)).certificate.until
    asked_since = []
    for filters in (one, other, ()):
        desk = Desk.open(socket, filters=filters)
        export(desk, since=until)
        asked_since += [
            bool(dict(parse_qsl(s.query)).get("_since")) for s in desk.ehr.seen if s.path.endswith("$export")
        ]
    assert asked_since == [True, False, False]


@pytest.mark.parametrize("since", ["", "2026-11-01T00:00:00.000Z"])
def test_what_an_export_leaves_out_is_asked_for_again_by_the_next_pull(socket, since):
    """Nothing in the export tells that a file is not there; the count by search does, of changes too."""
    desk = Desk.open(socket, Misbehaviour("file-left-out", "Export"))
    began = dict.fromkeys(("Patient", "Observation"), since) if since else ""
    seen = export(desk, since=began, profile=Profile(last_updated="yes"))
    short = [each.type for each in seen.certificate.asked if "more-by-search" in each.signs]
    assert short
    assert all(seen.certificate.until.get(type_, "") == since for type_ in short)


def test_a_server_that_cannot_export_changes_is_asked_for_everything(socket):
    desk = Desk.open(socket)
    since = dict.fromkeys(("Patient", "Observation"), "2027-01-01T00:00:00Z")
    seen = export(desk, profile=Profile(bulk=Bulk(since="no")), since=since)
    assert seen.came == seen.there
    assert {each.listed for each in seen.certificate.asked} == {"Patient", "Observation"}


# ---- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "value"), [("wait-for-hours", "7200"), ("wait-until-a-date", "7200")])
def test_a_server_that_asks_for_hours_gets_them_while_we_say_so(socket, fault, value):
    desk = Desk.open(socket, Misbehaviour(fault, "Export", 0, None, value))
    told: list[str] = []
    seen = export(desk, tell=told.append)
    assert seen.certificate.verdict == "complete"
    assert 7200 <= sum(desk.time.slept) < 7300
    assert told[0] == "sim: waiting until the export is ready (0 %, asking again in 2 h 0 min)"
    assert told[-1].endswith("asking again in 60 s)")


def test_without_a_word_of_waiting_the_pauses_grow_to_a_minute(socket):
    desk = Desk.open(socket, Misbehaviour("no-word-of-waiting", "Export"), bulk={"polls": 9})
    assert export(desk).certificate.verdict == "complete"
    assert [s for s in desk.time.slept if s >= 1] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_who_does_not_wait_goes_on_later_with_the_same_export_and_not_too_soon(socket):
    desk = Desk.open(socket, Misbehaviour("wait-for-hours", "Export", 0, None, "7200"))
    first = export(desk, waits=False)
    assert isinstance(first.fault, ComeBackLater)
    assert first.fault.seconds == 7200
    desk.time.now += timedelta(hours=1)
    again = export(desk, first.pages[-1].cursor, waits=False)
    assert (again.pages, again.fault.seconds) == ((), 3600)
    desk.time.now += timedelta(hours=1)
    last = export(desk, first.pages[-1].cursor, waits=False)
    assert last.certificate.verdict == "complete"
    assert last.jobs == 1


def test_who_goes_on_while_another_export_of_ours_runs_is_told_when_to_come_back(socket):
    desk = Desk.open(socket, Misbehaviour("kick-off-throttled", "Export", 0, None, "7200"))
    first = export(desk)
    again = export(desk, first.pages[-1].cursor)
    assert [type(each.fault) for each in (first, again)] == [ComeBackLater] * 2
    assert sum(desk.time.slept) < 200


def test_polls_carry_our_token_and_ask_for_json(socket):
    desk = Desk.open(socket, guarded=True)
    export(desk)
    assert all(s.had_authorization for s in desk.ehr.seen if "/bulk" in s.path or s.path.endswith("$export"))


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["signed-file-url", "files-elsewhere"])
def test_a_token_never_goes_to_where_the_files_are_if_that_is_not_our_server(socket, fault):
    desk = Desk.open(socket, Misbehaviour(fault, "Export"), guarded=True)
    seen = export(desk)
    assert seen.came == seen.there
    assert [s.had_authorization for s in desk.ehr.files.seen] == [False] * 4


def test_a_walk_goes_on_behind_every_page_and_ends_the_same(socket):
    desk = Desk.open(socket, bulk={"lines_a_file": 4}, at_once=1)
    whole = export(desk)
    for stop in whole.pages[:-2]:
        desk = Desk.open(socket, bulk={"lines_a_file": 4}, at_once=1)
        before = export_until(desk, stop.number)
        after = export(desk, before.pages[-1].cursor)
        assert after.certificate == whole.certificate or after.certificate.verdict == "unprovable"
        raw = [entry.raw for page in (*before.pages, *after.pages) for entry in page.entries]
        assert len(raw) == len({*raw}) == 20
        assert [page.number for page in (*before.pages, *after.pages)] == [
            *range(1, len(whole.pages) + 1 + (stop.number == 1))
        ]


def test_a_large_file_goes_on_in_its_middle_by_bytes(socket):
    desk = Desk.open(socket, bulk={"lines_a_file": 20_000}, types=("Patient",))
    desk.ehr.load(*({"resourceType": "Patient", "id": f"n{n}"} for n in range(9_000)))
    before = export_until(desk, 4)
    assert "page 1" in before.pages[-1].what
    desk.ehr.seen.clear()
    after = export(desk, before.pages[-1].cursor)
    assert after.certificate.verdict == "complete"
    assert len(before.came) + len(after.came) == 9_005
    assert [seen.status for seen in desk.ehr.seen if "bulkfiles" in seen.path] == [206]


def test_several_files_are_under_way_at_once_and_none_counts_twice(socket):
    desk = Desk.open(socket, bulk={"lines_a_file": 1}, at_once=6)
    seen = export(desk)
    assert asked(seen) == {"Patient": ("Patient", 5, 5), "Observation": ("Observation", 15, 15)}
    assert len(seen.pages) == 20 + 6


def test_a_file_that_fails_is_tried_again_behind_all_others(socket):
    """Three tries are what our patience has for one go."""
    desk = Desk.open(socket, Misbehaviour("file-bad-gateway", "Export", 0, 3), at_once=1)
    seen = export(desk)
    assert seen.certificate.verdict == "complete"
    assert [page.what for page in seen.pages if ", file " in page.what][-1] == "Patient, file 1 of 4"


def test_a_cursor_does_not_grow_with_the_files_behind_one_that_is_put_off(socket):
    desk = Desk.open(socket, Misbehaviour("file-bad-gateway", "Export", 0, 3), bulk={"lines_a_file": 1}, at_once=1)
    seen = export(desk)
    assert seen.certificate.verdict == "complete"
    sizes = [len(page.cursor) for page in seen.pages if ", file " in page.what]
    assert max(sizes[1:]) - min(sizes[1:]) < 60
    cursor = next(page.cursor for page in seen.pages if "file 20 of 20" in page.what)
    assert json.loads(cursor)["beyond"] == [[1, 20]]


def test_other_files_than_before_are_fetched_anew(socket):
    desk = Desk.open(socket, bulk={"lines_a_file": 4}, at_once=1)
    before = export_until(desk, 5)
    [job] = desk.ehr.exports._jobs.values()
    job.files.pop()
    after = export(desk, before.pages[-1].cursor)
    assert "other files than before" in after.certificate.note
    assert asked(after)["Observation"] == ("Observation", 12, 12)
    assert after.certificate.verdict == "unprovable"  # by search there are more


# ---- the end ---------------------------------------------------------------------------------------------------------


def test_the_job_is_dropped_when_all_is_stored_and_not_before(socket):
    desk = Desk.open(socket)
    export_until(desk, 8, what="bulk export, all fetched")
    assert desk.asked("DELETE") == []
    desk = Desk.open(socket)
    export(desk)
    assert len(desk.asked("DELETE")) == 1
    assert desk.ehr.exports._jobs == {}


def test_an_export_that_nobody_wants_any_more_is_cancelled(socket):
    desk = Desk.open(socket)
    before = export_until(desk, 2)

    async def told() -> list[str]:
        async with desk.connect() as connection:
            return [await cancel(connection, cursor) for cursor in (before.pages[-1].cursor, None, "{}")]

    assert asyncio.run(told()) == ["dropped", "none", "none"]
    assert desk.ehr.exports._jobs == {}


def test_an_export_of_other_settings_is_dropped_and_another_begun(socket):
    desk = Desk.open(socket)
    before = export_until(desk, 2)
    desk.settings["types"] = ("Patient",)
    after = export(desk, before.pages[-1].cursor)
    assert after.pages[0].number == 3
    assert {name.partition("/")[0] for name in after.came} == {"Patient"}
    assert len(desk.asked("DELETE")) == 2
    assert desk.ehr.exports._jobs == {}


def test_a_server_that_says_less_of_itself_tomorrow_does_not_cost_an_export(socket):
    """Which types are asked for comes from its statement, where the settings name none."""
    desk = Desk.open(socket, types=(), export="system")
    before = export_until(desk, 2)
    desk.ehr.misbehaviours.add(Misbehaviour("statement-hides-a-type"))
    after = export(desk, before.pages[-1].cursor)
    assert after.jobs == 1
    assert asked(after)["Observation"] == ("Observation", 15, 15)


def test_an_answer_that_was_lost_may_have_begun_an_export_and_the_next_pull_says_so(socket):
    desk = Desk.open(socket, Misbehaviour("kick-off-lost", "Export", 0, 1))
    first = export(desk)
    assert isinstance(first.fault, Unreachable)
    assert [page.what for page in first.pages] == ["bulk export, asked for"]
    second = export(desk, first.pages[-1].cursor)
    assert second.came == second.there
    assert second.certificate.verdict == "unprovable"
    assert {each.signs for each in second.certificate.asked} == {("lost-job",)}


def test_credentials_that_are_no_good_end_it_without_a_lost_job(socket):
    desk = Desk.open(socket, guarded=True)
    desk.guarded = False
    seen = export(desk)
    assert isinstance(seen.fault, Denied)
    assert seen.pages[-1].what == "bulk export, not begun"


def export_until(desk: Desk, number: int, what: str = "") -> Seen:
    """Export, and be killed behind a page."""

    async def run() -> Seen:
        connection = desk.connect()
        source = await desk.source(connection)
        pages = []
        async with aclosing(source.pages(None)) as walking:
            async for page in walking:
                pages.append(page)
                if page.number == number:
                    break
        await connection.close()
        assert pages[-1].what == (what or pages[-1].what)
        came = {name for page in pages for entry in page.entries for name in [entry.raw]}
        return Seen(tuple(pages), None, frozenset(map(str, came)), frozenset(), frozenset(), None, 0)

    return asyncio.run(run())

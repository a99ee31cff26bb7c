"""What changed since the last pull: watermarks by the server's clock, kept in certificates, moved by whole walks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.pull.increment import Increment
from gateway.pull.profile import Profile
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import NOON, crawling, observation, record

HOUR = 3600.0
DAY = 86_400.0


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


def instant(**later: float) -> str:
    return (NOON + timedelta(**later)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def whole(desk):
    """Pull all; return the certificate, and move time on by a day."""
    _, certificate = await desk.walk(increment=Increment.plan("all", None, "", HOUR))
    desk.wait(DAY)
    desk.ehr.seen.clear()
    return certificate


async def changes(desk, last, told="auto", **settings):
    """Pull what changed since a certificate."""
    increment = Increment.plan(told, last, "first", HOUR)
    came, verdict, asked = await desk.ends(increment=increment, **settings)
    return came, verdict, asked, desk.source.certificate()


async def test_an_increment_brings_what_changed_and_goes_on_from_the_last_pull(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        assert first.until == {"Patient": instant(), "Observation": instant()}
        desk.ehr.load(observation("new", 0))
        came, verdict, asked, certificate = await changes(desk, first)
        since = instant(hours=-1)
        assert verdict == "complete"
        assert f"_lastUpdated=ge{since.replace(':', '%3A')}" in desk.queries("Observation")[0]
        assert "Observation/new" in came
        [line] = [each for each in asked.values() if each.type == "Observation"]
        assert (line.since, line.of_all, line.listed) == (since, "Observation", "")
        assert certificate.after == "first"
        assert certificate.until["Observation"] == instant(days=1)


async def test_only_the_overlap_comes_again(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 0))
        _, _, _, second = await changes(desk, first)
        desk.wait(DAY)
        came, verdict, _, third = await changes(desk, second)
        assert came & {f"Observation/p{n}-o{m}" for n in range(5) for m in range(3)} == set()
        assert "Observation/new" in came
        assert verdict == "complete"
        assert third.until["Observation"] == instant(days=1)  # nothing newer was seen: the copy may lag


async def test_a_replica_that_lags_loses_nothing(socket):
    """Its clock is right, and what it shows is a minute old: the watermark is what was seen, not when it was asked."""
    async with crawling(socket) as desk:
        desk.wait(HOUR)
        desk.ehr.load(observation("unseen", 0))
        desk.throw("stale-replica", value="60")
        _, first = await desk.walk(increment=Increment.plan("all", None, "", 0))
        assert first.until["Observation"] == instant()
        desk.ehr.misbehaviours.clear()
        desk.wait(2 * HOUR)
        assert "Observation/unseen" in (await changes(desk, first))[0]


async def test_a_stamp_from_the_future_does_not_move_the_watermark(socket):
    async with crawling(socket) as desk:
        desk.throw("future-last-updated", times=1)
        assert (await whole(desk)).until["Observation"] == instant()


@pytest.mark.parametrize("seconds", [-7200, 7200])
async def test_a_server_whose_clock_is_wrong_loses_nothing(socket, seconds):
    async with crawling(socket) as desk:
        desk.throw("skewed-clock", "", value=str(seconds))
        assert (await whole(desk)).until.get("Observation", "") <= instant()


async def test_without_date_and_stamps_there_is_no_watermark_and_all_is_asked_for_again(socket):
    async with crawling(socket) as desk:
        desk.throw("no-date", "")
        desk.throw("row-without-meta")
        first = await whole(desk)
        assert "Observation" not in first.until
        _, verdict, asked, _ = await changes(desk, first)
        assert (verdict, asked["Observation"].listed) == ("complete", "Observation")


async def test_a_walk_that_was_cut_short_keeps_the_old_watermark(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.throw("missing-row", times=1)
        desk.ehr.load(*(observation(f"n{n}", 0) for n in range(6)))
        _, verdict, _, second = await changes(desk, first)
        assert (verdict, second.until["Observation"]) == ("incomplete", first.until["Observation"])


async def test_a_type_that_was_not_asked_for_keeps_its_watermark(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 0))
        *_, second = await changes(desk, first, types=("Patient",))
        assert second.until["Observation"] == first.until["Observation"]


async def test_an_instant_that_leaves_a_gap_does_not_move_the_watermark(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 0))
        came, _, _, second = await changes(desk, first, told=instant(hours=12))
        assert came == {"Observation/new"}
        assert (second.until, second.after) == (first.until, "")
        *_, third = await changes(desk, first, told=instant(hours=-2))
        assert third.until["Observation"] == instant(days=1)


@pytest.mark.parametrize("fault", ["last-updated-refused", "ignored-last-updated"])
async def test_where_last_updated_does_not_filter_the_date_of_creation_does_and_proves_nothing(socket, fault):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 0, effectiveDateTime=instant(hours=20)))
        desk.throw(fault)
        came, verdict, asked, _ = await changes(desk, first, profile=Profile(created={"Observation": "date"}))
        assert came >= {"Observation/new"}
        assert verdict == "unprovable"
        [line] = [each for each in asked.values() if each.type == "Observation"]
        assert (line.signs, line.of_all, line.since) == (("created-only",), "", instant(hours=-1))
        assert "asked by date" in desk.source.certificate().note


@pytest.mark.parametrize("fault", ["last-updated-refused", "ignored-last-updated"])
async def test_where_nothing_filters_all_is_asked_for(socket, fault):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.throw(fault)
        came, verdict, asked, _ = await changes(desk, first)
        assert len([each for each in came if each.startswith("Observation")]) == 15
        assert (verdict, asked["Observation"].listed) == ("complete", "Observation")


async def test_a_server_known_not_to_filter_is_not_asked_to(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        await changes(desk, first, profile=Profile(last_updated="no"))
        assert not [each for each in desk.queries("Observation") if "_lastUpdated" in each]


async def test_a_self_link_that_repeats_what_was_ignored_is_seen_by_rows_that_are_older(socket):
    old = [{**each, "meta": {"lastUpdated": instant(days=-9)}} for each in record()]
    async with crawling(socket, *old, observation("newer", 0)) as desk:
        first = await whole(desk)
        desk.throw("ignored-last-updated")
        desk.throw("wrong-self-link")
        _, verdict, asked, _ = await changes(desk, first)
        assert (verdict, asked["Observation"].listed) == ("complete", "Observation")


async def test_a_filter_that_nothing_proves_is_unprovable(socket):
    async with crawling(socket, unknown_parameters="ignore") as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 0))
        desk.throw("no-self-link", "")
        _, verdict, asked, _ = await changes(desk, first)
        assert verdict == "unprovable"
        assert {each.signs for each in asked.values()} == {("unproven-filter",)}
        assert (await changes(desk, first, profile=Profile(last_updated="yes")))[1] == "complete"


async def test_a_patient_who_is_new_to_us_is_asked_for_whole(socket):
    """Their record may be older than the last pull: they were merged, or moved here."""
    async with crawling(socket) as desk:
        first = await whole(desk)
        known = {f"Patient/p{n}" for n in range(4)}
        came, *_ = await changes(desk, first, way="patients", is_held=known.__contains__)
        assert {f"Observation/p4-o{n}" for n in range(3)} <= came


async def test_types_asked_patient_by_patient_are_asked_for_all_patients(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 3))
        desk.throw("patient-required")
        came, verdict, *_ = await changes(desk, first, is_held=lambda name: True)
        assert "Observation/new" in came
        assert verdict == "complete"
        assert len([each for each in desk.queries("Observation") if "patient=p" in each]) == 6  # one was to try


async def test_everything_is_asked_for_what_changed(socket):
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 3))
        profile = Profile(everything="yes")
        came, verdict, *_ = await changes(desk, first, way="patients", profile=profile, is_held=lambda n: True)
        assert "Observation/new" in came
        assert verdict == "complete"
        assert len([each for each in desk.queries("Patient") if "_since=" in each]) == 5


async def test_patients_whose_questions_are_not_filtered_are_no_list_of_all(socket):
    """Some of the questions may have been filtered before."""
    async with crawling(socket) as desk:
        first = await whole(desk)
        desk.ehr.load(observation("new", 4))
        desk.throw("last-updated-refused", after=2)
        came, verdict, asked, _ = await changes(desk, first, way="patients", is_held=lambda name: True)
        assert "Observation/new" in came
        assert verdict == "unprovable"
        [line] = [each for each in asked.values() if each.type == "Observation"]
        assert (line.signs, line.listed) == (("unproven-filter",), "")

"""How a crawl asks where the plain question does not do: slices, patients, POST, smaller pages, other names."""

from __future__ import annotations

import pytest

from gateway.pull.profile import Profile, Slice
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import crawling, named, observation, patient, record

ALL = {f"{each['resourceType']}/{each['id']}" for each in record()}


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


async def test_several_types_are_walked_at_the_same_time(socket):
    async with crawling(socket) as desk:
        pages, certificate = await desk.walk()
        assert set(named(pages)) == ALL
        assert certificate.verdict == "complete"
        assert desk.connection.throttle.use().most > 1
        assert [page.number for page in pages] == list(range(1, 7))


async def test_a_walk_of_several_questions_goes_on_from_any_cursor(socket):
    async with crawling(socket) as desk:
        pages, whole = await desk.walk()
        for position, page in enumerate(pages):
            rest, certificate = await desk.walk(page.cursor)
            assert sorted(named(pages[: position + 1]) + named(rest)) == sorted(ALL)
            assert certificate == whole


async def test_with_landed_pages_at_hand_a_cursor_carries_no_rows_and_the_count_is_exact(socket):
    async with crawling(socket) as desk:
        pages, whole = await desk.walk(landed=list)
        for position, page in enumerate(pages):
            assert '"keys"' not in page.cursor
            rest, certificate = await desk.walk(page.cursor, landed=lambda end=position: pages[: end + 1])
            assert sorted(named(pages[: position + 1]) + named(rest)) == sorted(ALL)
            assert certificate == whole


async def test_where_nobody_kept_the_rows_a_count_proves_nothing(socket):
    async with crawling(socket) as desk:
        pages, _ = await desk.walk(landed=list)
        _, certificate = await desk.walk(pages[0].cursor, landed=list)
        assert certificate.verdict == "unprovable"


async def test_a_type_that_is_searched_by_patient_only_is_asked_patient_by_patient(socket):
    async with crawling(socket) as desk:
        desk.throw("patient-required")
        came, verdict, asked = await desk.ends()
        assert (came, verdict) == (ALL, "complete")
        assert (asked["Observation"].said, asked["Observation"].came) == (15, 15)
        assert asked["Observation"].listed == "Observation"


async def test_where_the_patients_are_not_all_known_their_records_prove_nothing(socket):
    async with crawling(socket) as desk:
        desk.throw("patient-required")
        desk.throw("no-total", "Patient")
        desk.throw("count-alone-refused", "Patient")
        came, verdict, asked = await desk.ends()
        assert (came, verdict) == (ALL, "unprovable")
        assert asked["Observation"].signs == ("patients-unproven",)


async def test_a_type_that_is_searched_by_category_only_is_asked_in_slices_which_prove_nothing(socket):
    async with crawling(socket) as desk:
        desk.throw("category-required")
        came, verdict, asked = await desk.ends()
        assert (came, verdict) == (ALL, "unprovable")
        assert asked["Observation"].signs == ("in-slices",)


async def test_slices_that_are_all_by_the_servers_word_prove_the_list(socket):
    async with crawling(socket) as desk:
        desk.throw("category-required")
        slices = (Slice((("category", "laboratory"),), whole=True), Slice((("category", "vital-signs"),), whole=True))
        came, verdict, asked = await desk.ends(profile=Profile(slices={"Observation": slices}))
        assert (came, verdict) == (ALL, "complete")
        assert "" not in [
            query for query in desk.queries("Observation") if "category" not in query and "ct=" not in query
        ]
        assert asked["Observation"].listed == "Observation"


async def test_one_slice_that_is_cut_is_not_made_up_for_by_another(socket):
    rows = [patient(0), *(observation(f"a{n}", 0) for n in range(3))]
    rows += [observation(f"b{n}", 0, category=[{"coding": [{"code": "vital-signs"}]}]) for n in range(3)]
    async with crawling(socket, *rows) as desk:
        slices = tuple(Slice((("category", code),), whole=True) for code in ("laboratory", "vital-signs"))
        desk.throw("missing-row", times=1)
        _, verdict, asked = await desk.ends(profile=Profile(slices={"Observation": slices}))
        assert (verdict, asked["Observation"].said, asked["Observation"].came) == ("incomplete", 6, 5)


async def test_a_type_that_wants_patient_and_category_gets_both(socket):
    async with crawling(socket, required={"Observation": ("category",)}) as desk:
        desk.throw("patient-required")
        came, verdict, _ = await desk.ends()
        assert (came, verdict) == (ALL, "unprovable")


async def test_what_is_refused_however_it_is_asked_stays_refused(socket):
    async with crawling(socket, without=frozenset({"patient", "subject", "category"})) as desk:
        desk.throw("patient-required")
        came, verdict, asked = await desk.ends()
        assert (len(came), verdict, asked["Observation"].stopped) == (5, "incomplete", "refused")


async def test_patient_after_patient_brings_the_same(socket):
    async with crawling(socket) as desk:
        came, verdict, asked = await desk.ends(way="patients")
        assert (came, verdict) == (ALL, "complete")
        assert asked["Observation"].said == 15
        assert all("patient=" in each or "ct=" in each for each in desk.queries("Observation"))
        assert desk.source.certificate().way == "patients"


async def test_where_everything_is_whole_a_record_is_one_question(socket):
    async with crawling(socket) as desk:
        came, verdict, asked = await desk.ends(way="patients", profile=Profile(everything="yes"))
        assert (came, verdict) == (ALL, "complete")
        assert asked["Observation"].listed == "Observation"
        assert [each for each in desk.queries("Observation") if "_summary=count" not in each] == []


async def test_an_everything_that_is_cut_is_seen_by_the_count_of_each_type(socket):
    async with crawling(socket) as desk:
        desk.throw("everything-capped", "Patient")
        _, verdict, asked = await desk.ends(way="patients", profile=Profile(everything="yes"))
        assert verdict == "incomplete"
        assert asked["Observation"].said > asked["Observation"].came


async def test_a_killed_walk_over_patients_goes_on_from_any_cursor(socket):
    async with crawling(socket) as desk:
        pages, whole = await desk.walk(way="patients")
        for position in range(0, len(pages), 3):
            rest, certificate = await desk.walk(pages[position].cursor, way="patients")
            assert set(named(pages[: position + 1]) + named(rest)) == ALL
            assert certificate == whole


@pytest.mark.parametrize(
    "fault", ["count-refused", "count-capped", "count-ignored", "post-only-search", "next-after-post"]
)
async def test_what_a_server_does_not_take_is_asked_in_another_way(socket, fault):
    async with crawling(socket) as desk:
        desk.throw(fault)
        came, verdict, _ = await desk.ends(profile=Profile(longest_url=40))
        assert (came, verdict) == (ALL, "complete")


async def test_a_long_question_goes_by_post(socket):
    async with crawling(socket) as desk:
        desk.throw("long-url-refused", value="60")
        slices = (Slice((("category", ",".join(["laboratory"] * 20)),), whole=True),)
        came, verdict, _ = await desk.ends(profile=Profile(slices={"Observation": slices}, longest_url=200))
        assert (came, verdict) == (ALL, "complete")
        assert {each.method for each in desk.ehr.seen if each.path.endswith("_search")} == {"POST"}


@pytest.mark.parametrize(("fault", "times"), [("server-error", 4), ("huge-body", 1)])
async def test_pages_that_are_too_much_for_a_server_are_asked_for_smaller(socket, fault, times):
    async with crawling(socket) as desk:
        desk.throw(fault, after=1, times=times, value="66" if fault == "huge-body" else "")
        came, verdict, _ = await desk.ends()
        assert (came, verdict) == (ALL, "complete")
        assert "smaller pages" in desk.source.certificate().note


async def test_no_larger_page_is_asked_for_than_the_server_gives(socket):
    async with crawling(socket) as desk:
        await desk.ends(page_size=500, profile=Profile(largest_page=3))
        assert all("_count=3" in each for each in desk.queries("Observation") if "_count=" in each)


@pytest.mark.parametrize(
    "fault", ["doubled-port-next-link", "other-scheme-next-link", "inner-host-next-link", "typeless-next-link"]
)
async def test_a_link_to_the_same_server_under_another_name_is_followed_at_our_own(socket, fault):
    async with crawling(socket) as desk:
        desk.throw(fault)
        came, verdict, _ = await desk.ends()
        assert (came, verdict) == (ALL, "complete")


async def test_a_link_below_an_alias_is_followed_at_our_own_base(socket):
    async with crawling(socket) as desk:
        desk.throw("inner-host-next-link", value="http://inner.invalid/r4")
        assert (await desk.ends())[2]["Observation"].stopped == "foreign-next-link"
        came, verdict, _ = await desk.ends(aliases=("http://inner.invalid/r4/",))
        assert (came, verdict) == (ALL, "complete")


@pytest.mark.parametrize(("totals", "verdict"), [("estimate", "complete"), ("told", "incomplete")])
async def test_a_total_that_is_a_guess_until_the_last_page_is_believed_there_only(socket, totals, verdict):
    async with crawling(socket) as desk:
        desk.throw("wrong-total", times=3)  # of four pages
        came, found, _ = await desk.ends(profile=Profile(totals=totals))
        assert (came, found) == (ALL, verdict)

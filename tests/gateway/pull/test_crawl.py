from __future__ import annotations

import json

import pytest
from starlette.responses import JSONResponse, Response

from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.metadata import fetch_capability
from gateway.pull.passwords import StaticBearer
from security.errors import Denied, Unreachable

TOKEN = StaticBearer("t0k3n")


@pytest.fixture
async def crawl(ehr, clock):
    """Make a crawl of the server as it is now; `clock` does the sleeping."""
    opened = []

    async def make(auth=TOKEN, **settings):
        connection = Connection(ehr.base, None, auth, clock=clock, sleep=clock.sleep)
        opened.append(connection)
        return SearchCrawl("north", connection, await fetch_capability(connection), **settings)

    yield make
    for connection in opened:
        await connection.wire.close()


async def walk(source, cursor=None):
    return [page async for page in source.pages(cursor)]


def ids(pages):
    return [json.loads(e.raw)["id"] for page in pages for e in page.entries if not e.problem]


def observations(count, **changes):
    return [{"resourceType": "Observation", "id": f"o{n}", "status": "final", **changes} for n in range(count)]


async def test_all_pages_of_all_types_come_and_the_certificate_is_complete(ehr, crawl, patients):
    ehr.resources = {"Observation": observations(3), "Patient": patients, "Goal": []}
    source = await crawl()
    pages = await walk(source)
    assert ids(pages) == [f"p{n}" for n in range(5)] + ["o0", "o1", "o2"]
    certificate = source.certificate()
    assert [(a.what, a.said, a.came, a.pages, a.stopped) for a in certificate.asked] == [
        ("Patient", 5, 5, 3, ""),
        ("Observation", 3, 3, 2, ""),
        ("Goal", 0, 0, 1, ""),
    ]
    assert certificate.verdict == "complete"
    assert (certificate.source, certificate.fhir_version) == ("north", "r4")
    assert {e.version for page in pages for e in page.entries} == {"r4"}
    assert [p.number for p in pages] == list(range(1, 7))
    assert pages[1].what == "Patient, page 2"
    assert set(ehr.tokens()) == {"Bearer t0k3n"}


async def test_each_resource_is_kept_as_the_bytes_that_came(ehr, crawl):
    sent = b'{"resourceType" : "Observation","id":"o","valueQuantity":{"value":7.10},"id":"twice"}'
    bundle = b'{"resourceType":"Bundle","total":1,"entry":[ {"fullUrl":"urn:x","resource": ' + sent + b" }]}"
    ehr.resources = {"Observation": []}
    ehr.once("Observation", Response(bundle), times=2)
    [page] = await walk(await crawl())
    assert page.entries[0].raw == sent
    assert page.entries[0].full_url == "urn:x"


async def test_resuming_from_any_cursor_brings_the_same(ehr, crawl, patients):
    ehr.resources = {"Patient": patients, "Observation": observations(5), "Goal": [], "Condition": []}
    whole = await crawl()
    pages = await walk(whole)
    for position, page in enumerate(pages):
        source = await crawl()
        rest = await walk(source, page.cursor)
        assert ids(pages[: position + 1]) + ids(rest) == ids(pages)
        assert source.certificate() == whole.certificate()
        assert [p.number for p in rest] == [p.number for p in pages[position + 1 :]]


async def test_a_walk_that_was_left_is_not_certified(ehr, crawl, patients):
    ehr.resources = {"Patient": patients, "Observation": []}
    source = await crawl()
    assert source.certificate().verdict == "incomplete"
    walking = source.pages(None)
    await anext(walking)
    await walking.aclose()
    assert source.certificate().verdict == "incomplete"
    assert [a.stopped for a in source.certificate().asked] == ["unfinished", "unfinished"]


async def test_a_cursor_of_other_questions_starts_over(ehr, crawl, patients):
    ehr.resources = {"Patient": patients}
    cursor = (await walk(await crawl()))[-1].cursor
    assert len(ids(await walk(await crawl(since="2026-01-01T00:00:00Z"), cursor))) == 5
    assert len(ids(await walk(await crawl(), "no cursor"))) == 5


@pytest.mark.parametrize("relative", ["?_page=2", "Patient?_page=2", "/fhir/Patient?_page=2"])
async def test_a_relative_next_link_is_followed(ehr, crawl, patients, relative):
    ehr.resources = {"Patient": patients[:4]}
    ehr.hooks.append(with_next(ehr, "Patient", relative))
    source = await crawl()
    assert ids(await walk(source)) == ["p0", "p1", "p2", "p3"]
    assert source.certificate().verdict == "complete"


def with_next(ehr, type_, link):
    """Put another next link on the first page of a type."""

    def hook(request):
        if request.url.path != f"/fhir/{type_}" or "_page" in request.query_params:
            return None
        page = ehr.page(type_, request)
        page["link"] = [{"relation": "next", "url": link}]
        return JSONResponse(page)

    return hook


@pytest.mark.parametrize("elsewhere", ["other-server", "other-path", "user-in-url", "no-url"])
async def test_a_next_link_to_another_host_stops_the_type_and_the_token_stays_here(
    ehr, stranger, crawl, patients, elsewhere
):
    link = {
        "other-server": f"{stranger.url}/r4/Patient?_page=2",
        "other-path": f"{ehr.url}/tenant-b/Patient?_page=2",
        "user-in-url": f"{ehr.base}/Patient?_page=2".replace("://", "://a:b@"),
        "no-url": "http://[",
    }[elsewhere]
    ehr.resources = {"Patient": patients, "Observation": observations(3)}
    ehr.hooks.append(with_next(ehr, "Patient", link))
    source = await crawl()
    pages = await walk(source)
    assert ids(pages) == ["p0", "p1", "o0", "o1", "o2"]
    assert [a.stopped for a in source.certificate().asked] == ["foreign-next-link", ""]
    assert source.certificate().verdict == "incomplete"
    assert stranger.asked == []
    assert not [r for r in ehr.asked if "tenant-b" in r.url.path]


@pytest.mark.parametrize("elsewhere", ["other-server", "other-scheme"])
async def test_where_a_link_names_our_base_on_another_host_our_own_is_asked_and_never_the_other(
    ehr, stranger, crawl, patients, elsewhere
):
    base = stranger.base if elsewhere == "other-server" else ehr.base.replace("http:", "https:")
    ehr.resources = {"Patient": patients}
    ehr.hooks.append(with_next(ehr, "Patient", f"{base}/Patient?_page=2"))
    source = await crawl()
    assert ids(await walk(source)) == [f"p{n}" for n in range(5)]
    assert source.certificate().verdict == "complete"
    assert "named another host" in source.certificate().note
    assert stranger.asked == []


async def test_a_redirect_to_another_host_costs_the_type(ehr, stranger, crawl, patients):
    ehr.resources = {"Patient": patients, "Observation": observations(1)}
    ehr.once("Patient", Response(status_code=302, headers={"location": f"{stranger.base}/Patient"}), times=9)
    source = await crawl()
    assert ids(await walk(source)) == ["o0"]
    assert [a.stopped for a in source.certificate().asked] == ["refused", ""]
    assert stranger.asked == []


async def test_a_looping_next_link_is_noticed(ehr, crawl, patients):
    ehr.resources = {"Patient": patients}
    ehr.hooks.append(lambda r: with_next(ehr, "Patient", str(r.url))(r))
    source = await crawl()
    assert ids(await walk(source)) == ["p0", "p1"]
    assert source.certificate().asked[0].stopped == "loop"


async def test_a_loop_with_ever_new_links_is_noticed_by_its_resources(ehr, crawl, patients):
    ehr.resources = {"Patient": patients[:2]}

    def hook(request):
        if request.url.path != "/fhir/Patient":
            return None
        page = ehr.page("Patient", request) | {"total": 99}
        turn = int(request.query_params.get("turn", 0)) + 1
        page["link"] = [{"relation": "next", "url": f"Patient?turn={turn}"}]
        return JSONResponse(page)

    ehr.hooks.append(hook)
    source = await crawl()
    assert len(await walk(source)) == 2
    [asked] = source.certificate().asked
    assert (asked.stopped, asked.came) == ("loop", 2)


async def test_empty_pages_are_walked_through_but_not_for_ever(ehr, crawl):
    def hook(request):
        if request.url.path != "/fhir/Patient":
            return None
        turn = int(request.query_params.get("turn", 0)) + 1
        return JSONResponse({"resourceType": "Bundle", "link": [{"relation": "next", "url": f"?turn={turn}"}]})

    ehr.resources = {"Patient": []}
    ehr.hooks.append(hook)
    source = await crawl()
    assert 3 < len(await walk(source)) < 20
    assert source.certificate().asked[0].stopped == "loop"


async def test_rows_that_are_repeated_do_not_make_up_for_rows_that_are_missing(ehr, crawl, patients):
    ehr.resources = {"Patient": [*patients[:3], patients[2]]}  # total 4, and one of the four is there twice
    source = await crawl()
    await walk(source)
    [asked] = source.certificate().asked
    assert (asked.said, asked.came) == (4, 3)
    assert source.certificate().verdict == "incomplete"


async def test_a_list_that_is_cut_short_is_not_complete(ehr, crawl, patients):
    ehr.resources = {"Patient": patients}
    ehr.once("Patient", JSONResponse({"resourceType": "Bundle", "total": 5, "entry": [{"resource": patients[0]}]}), 2)
    source = await crawl()
    await walk(source)
    assert source.certificate().verdict == "incomplete"


async def test_a_server_that_leaves_out_totals_is_asked_for_them(ehr, crawl, patients):
    ehr.with_total = False
    ehr.resources = {"Patient": patients}
    source = await crawl()
    await walk(source)
    assert source.certificate().asked[0].said == 5
    assert source.certificate().verdict == "complete"


async def test_without_any_total_completeness_cannot_be_proven(ehr, crawl, patients):
    ehr.with_total = False
    ehr.resources = {"Patient": patients}
    ehr.hooks.append(lambda r: Response(status_code=400) if r.query_params.get("_summary") else None)
    source = await crawl()
    assert len(ids(await walk(source))) == 5
    assert source.certificate().verdict == "unprovable"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda o: Response("<html>Sign in</html>", media_type="text/html"), "not-fhir"),
        (lambda o: JSONResponse({"resourceType": "Patient", "id": "p"}), "not-fhir"),
        (lambda o: Response(b'{"resourceType":"Bundle","entry":['), "not-fhir"),
        (lambda o: JSONResponse(o("forbidden", "Jane Doe"), 403), "denied"),
        (lambda o: JSONResponse(o("not-supported", "Jane Doe"), 400), "refused"),
        (lambda o: Response(status_code=404), "refused"),
        (lambda o: Response(status_code=500), "unreachable"),
        (lambda o: Response(b"x", headers={"content-length": str(1 << 40)}), "too-large"),
    ],
)
@pytest.mark.parametrize("page", [1, 2])
async def test_one_types_trouble_costs_that_type_only(ehr, crawl, refusal, answer, reason, page):
    ehr.resources = {
        "Patient": [{"resourceType": "Patient", "id": "p0"}],
        "Observation": observations(3),
        "Procedure": [{"resourceType": "Procedure", "id": "x"}],
    }

    def hook(request):
        is_first = "_page" not in request.query_params
        return answer(refusal) if request.url.path == "/fhir/Observation" and is_first == (page == 1) else None

    ehr.hooks.append(hook)
    source = await crawl()
    pages = await walk(source)
    assert list(dict.fromkeys(ids(pages))) == (["p0", "x"] if page == 1 else ["p0", "o0", "o1", "x"])
    certificate = source.certificate()
    stopped = [a.stopped for a in certificate.asked]
    if page == 2 and reason == "refused":  # the lost next link made it start over once
        assert "started over" in certificate.note
    assert stopped == ["", reason, ""]
    assert certificate.verdict == "incomplete"
    assert "Jane" not in certificate.note
    assert f"Observation, stopped: {reason}" in [p.what for p in pages]


async def test_a_token_that_ends_between_pages_is_renewed_unseen(ehr, crawl, patients):
    class Renewing:
        serial = 1

        async def authorization(self, wire):
            return f"Bearer {self.serial}"

        def forget(self, used=""):
            self.serial += 1
            return True

    ehr.resources = {"Patient": patients}

    def hook(request):
        is_late = "_page" in request.query_params and request.headers["authorization"] == "Bearer 1"
        return Response(status_code=401) if is_late else None

    ehr.hooks.append(hook)
    source = await crawl(Renewing())
    assert len(ids(await walk(source))) == 5
    assert source.certificate().verdict == "complete"


async def test_credentials_that_no_longer_hold_end_the_pull_and_its_cursor_goes_on(ehr, crawl, patients):
    ehr.resources = {"Patient": patients, "Observation": observations(3)}
    source = await crawl()
    ehr.hooks.append(lambda r: Response(status_code=401) if "_page" in r.query_params else None)
    walking = source.pages(None)
    first = await anext(walking)
    with pytest.raises(Denied):
        await anext(walking)
    assert ids([first]) == ["p0", "p1"]
    assert source.certificate().verdict == "incomplete"
    ehr.hooks.clear()
    again = await crawl()
    assert ids(await walk(again, first.cursor)) == ["p2", "p3", "p4", "o0", "o1", "o2"]
    assert again.certificate().verdict == "complete"


async def test_a_server_that_is_gone_ends_the_pull(ehr, crawl, patients):
    ehr.resources = {"Patient": patients}
    source = await crawl()
    ehr.hooks.append(
        lambda r: Response(status_code=503) if "_page" in r.query_params or r.url.path.endswith("metadata") else None
    )
    with pytest.raises(Unreachable):
        await walk(source)
    assert source.certificate().verdict == "incomplete"


async def test_a_server_that_wants_a_long_pause_gets_it(ehr, crawl, patients):
    ehr.resources = {"Patient": patients, "Observation": observations(1)}
    source = await crawl()
    busy = Response(status_code=429, headers={"retry-after": "3600"})
    ehr.hooks.append(lambda r: busy if "_page" in r.query_params else None)
    with pytest.raises(ComeBackLater):
        await walk(source)
    assert [a.stopped for a in source.certificate().asked] == ["unfinished", ""]  # the others went on meanwhile
    assert len([r for r in ehr.asked if "_page" in r.query_params]) == 2


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_stored_next_link_that_the_server_forgot_starts_the_type_over(ehr, crawl, patients, status):
    ehr.resources = {"Patient": patients, "Observation": observations(2)}
    cursor = (await walk(await crawl()))[0].cursor
    ehr.hooks.append(
        lambda r: Response(status_code=status) if r.query_params.get("_page") == "2" and not used else None
    )
    used: list[int] = []
    old = ehr.hooks[0]

    def once(request):
        response = old(request)
        if response is not None:
            used.append(1)
        return response

    ehr.hooks[0] = once
    source = await crawl()
    assert ids(await walk(source, cursor)) == ["p0", "p1", "p2", "p3", "p4", "o0", "o1"]
    certificate = source.certificate()
    assert (certificate.asked[0].came, certificate.asked[0].pages) == (5, 3)
    assert certificate.verdict == "complete"
    assert "started over" in certificate.note


async def test_outcomes_are_remarks_and_no_resources(ehr, crawl, patients, refusal):
    remark = {"search": {"mode": "outcome"}, "resource": refusal("informational", "Jane Doe", "warning")}
    bundle = {"resourceType": "Bundle", "total": 1, "entry": [{"resource": patients[0]}, remark]}
    ehr.resources = {"Patient": []}
    ehr.once("Patient", JSONResponse(bundle), 2)
    source = await crawl()
    pages = await walk(source)
    assert ids(pages) == ["p0"]
    assert source.certificate().verdict == "complete"
    assert "warning informational" in source.certificate().note
    assert "Jane" not in source.certificate().note


async def test_what_was_not_asked_for_is_told_apart_from_what_was_included(ehr, crawl, patients):
    entries = [
        {"resource": patients[0], "search": {"mode": "match"}},
        {"resource": {"resourceType": "Organization", "id": "org"}, "search": {"mode": "include"}},
        {"resource": {"resourceType": "Observatory", "id": "x"}},
        {"resource": {"id": "nothing"}},
    ]
    ehr.resources = {"Patient": []}
    ehr.once("Patient", JSONResponse({"resourceType": "Bundle", "total": 1, "entry": entries}), 2)
    source = await crawl()
    [page] = await walk(source)
    assert [e.problem for e in page.entries] == ["", "", "unexpected-type", "not-fhir"]
    assert source.certificate().asked[0].came == 1


async def test_a_bundle_that_hides_entries_is_no_fhir(ehr, crawl):
    ehr.resources = {"Patient": []}
    hidden = (
        b'{"resourceType":"Bundle","total":1,"entry":[{"resource":{"resourceType":"Patient","id":"a"}}],"entry":[]}'
    )
    ehr.once("Patient", Response(hidden), 3)  # one to the control, and twice to the question
    source = await crawl()
    await walk(source)
    assert source.certificate().asked[0].stopped == "not-fhir"


async def test_only_changes_are_asked_for_when_the_server_repeats_the_filter(ehr, crawl, patients):
    ehr.resources = {"Patient": patients[:1]}
    source = await crawl(since="2026-11-01T00:00:00Z", page_size=77)
    await walk(source)
    asked = [r for r in ehr.asked if r.query_params.get("_lastUpdated")]
    assert asked[0].query_params["_lastUpdated"] == "ge2026-11-01T00:00:00Z"
    assert asked[0].query_params["_count"] == "77"
    assert source.certificate().verdict == "complete"


async def test_a_server_that_drops_our_filter_is_not_believed(ehr, crawl, patients):
    ehr.resources = {"Patient": patients[:1]}
    own = {"resourceType": "Bundle", "total": 0, "link": [{"relation": "self", "url": f"{ehr.base}/Patient?_count=2"}]}
    ehr.hooks.append(lambda r: JSONResponse(own) if r.query_params.get("_lastUpdated") else None)
    source = await crawl(since="2026-11-01T00:00:00Z")
    await walk(source)
    assert source.certificate().asked[0].stopped == "unknown-filter"


@pytest.mark.parametrize(
    ("habit", "note"),
    [
        ("refuses", "refused"),
        ("drops", "left out of the self link"),
        ("repeats", "no filter can be proven"),
        ("fails", "not known"),
    ],
)
async def test_a_nonsense_parameter_shows_what_a_filter_is_worth(ehr, crawl, patients, habit, note):
    ehr.resources = {"Patient": patients}

    def hook(request):
        if not any(k.startswith("fhirtwin") for k in request.query_params):
            return None
        if habit == "repeats":
            link = [{"relation": "self", "url": str(request.url)}]
            return JSONResponse({"resourceType": "Bundle", "link": link})
        return {"refuses": Response(status_code=400), "fails": Response(status_code=500)}.get(habit)

    ehr.hooks.append(hook)
    source = await crawl()
    await walk(source)
    assert note in source.certificate().note
    assert source.certificate().verdict == "complete"


async def test_types_that_the_server_does_not_offer_are_named(ehr, crawl, patients):
    ehr.resources = {"Patient": patients}
    source = await crawl()
    await walk(source)
    assert "Observation" in source.certificate().note.partition("does not offer")[2]

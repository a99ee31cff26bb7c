"""Every switch does what its row says, where and as often as it was told, and nothing when it is not thrown."""

from __future__ import annotations

import gzip
import json
from urllib.parse import urlsplit

import pytest

from conformance.hostile import Misbehaviour
from security.errors import BadSettings, UnknownName

ORGANISATION = {"resourceType": "Organization", "id": "org", "name": "St Elsewhere"}


@pytest.fixture
def moody(bench, observation):
    """An EHR with five observations on pages of two, and switches thrown."""

    def make(*thrown, **settings):
        rows = [observation(id=f"o{n}") for n in range(5)]
        table = bench(*rows, ORGANISATION, page_size=2, **settings)
        table.ehr.misbehaviours.add(*thrown)
        return table

    return make


def link(bundle, relation):
    return next((told["url"] for told in bundle["link"] if told["relation"] == relation), None)


def ids(bundle):
    return [entry["resource"].get("id") for entry in bundle["entry"]]


async def pages(table):
    """Walk the pages as long as there is a next link that leads on."""
    url, found = "Observation", []
    while url:
        found.append((await table.http.get(url)).json())
        url = link(found[-1], "next")
    return found


async def test_nothing_happens_unless_a_switch_is_thrown(moody):
    walked = await pages(moody())
    assert [ids(page) for page in walked] == [["o0", "o1"], ["o2", "o3"], ["o4"]]
    assert [page["total"] for page in walked] == [5, 5, 5]


async def test_a_switch_strikes_after_and_as_often_as_told(moody):
    table = moody(Misbehaviour("server-error", after=1, times=2))
    statuses = [(await table.http.get("Observation")).status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]


async def test_a_switch_strikes_its_type_only(moody):
    table = moody(Misbehaviour("server-error", type="Organization"))
    assert (await table.http.get("Observation")).status_code == 200
    assert (await table.http.get("Organization")).status_code == 500
    table.ehr.misbehaviours.clear()
    assert (await table.http.get("Organization")).status_code == 200


@pytest.mark.parametrize("paging", ["typed", "base"])
async def test_a_token_expires_in_mid_paging(moody, paging):
    table = moody(Misbehaviour("expired-token", type="Observation", after=1, times=1), require_auth=True, paging=paging)
    old, new = (table.ehr.smart.issue("twin", "system/*.rs") for _ in range(2))
    first = await table.http.get("Observation", headers={"Authorization": f"Bearer {old}"})
    following = link(first.json(), "next")
    refused = await table.http.get(following, headers={"Authorization": f"Bearer {old}"})
    assert (refused.status_code, "www-authenticate" in refused.headers) == (401, True)
    still = await table.http.get(following, headers={"Authorization": f"Bearer {old}"})
    assert still.status_code == 401, "the token is gone, not the request"
    assert (await table.http.get(following, headers={"Authorization": f"Bearer {new}"})).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("unavailable", 503), ("throttled", 429)])
async def test_a_busy_server_says_when_to_come_back(moody, name, status):
    table = moody(Misbehaviour(name, times=1, value="7"))
    answer = await table.http.get("Observation")
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert (await table.http.get("Observation")).status_code == 200


async def test_a_proxy_answers_with_html(moody):
    answer = await moody(Misbehaviour("login-page")).http.get("Observation")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_the_token_endpoint_has_a_bad_moment(moody, ec_client):
    table = moody(Misbehaviour("token-refused", times=1), require_auth=True)
    table.ehr.smart.register(ec_client.name, ec_client.jwks)
    first = await table.http.post(table.ehr.token_url, data=ec_client.form(table.ehr.token_url))
    second = await table.http.post(table.ehr.token_url, data=ec_client.form(table.ehr.token_url))
    assert (first.status_code, first.content, second.status_code) == (400, b"", 200)


async def test_writes_are_forbidden_and_reads_are_not(moody, observation):
    table = moody(Misbehaviour("write-forbidden"))
    assert (await table.http.post("Observation", json=observation())).status_code == 403
    assert (await table.http.post("", json={})).status_code == 403
    assert (await table.http.post("Observation/_search", data={"patient": "p1"})).status_code == 200


async def test_an_answer_is_lost_after_the_write_was_kept(moody, observation):
    table = moody(Misbehaviour("lost-answer", times=1))
    with pytest.raises(ConnectionAbortedError):
        await table.http.post("Observation", json=observation())
    assert len(table.ehr.store.all("Observation")) == 6
    assert table.ehr.seen[-1].status == 0


async def test_a_condition_is_ignored(moody, observation):
    table = moody(Misbehaviour("condition-ignored", times=1))
    for status in (201, 200):
        answer = await table.http.post("Observation", json=observation(), headers={"If-None-Exist": "_id=o1"})
        assert answer.status_code == status


async def test_next_leads_to_another_host(moody):
    table = moody(Misbehaviour("foreign-next-link", value="http://127.0.0.2:9/fhir"))
    assert link((await table.http.get("Observation")).json(), "next").startswith("http://127.0.0.2:9/fhir/Observation?")


@pytest.mark.parametrize("paging", ["typed", "base"])
async def test_next_is_relative_and_still_leads_on(moody, paging):
    table = moody(Misbehaviour("relative-next-link"), paging=paging)
    answer = await table.http.get("Observation")
    following = link(answer.json(), "next")
    assert not urlsplit(following).netloc
    assert ids((await table.http.get(answer.url.join(following))).json()) == ["o2", "o3"]


async def test_next_leads_back(moody):
    table = moody(Misbehaviour("looping-next-link", after=1))
    first = (await table.http.get("Observation")).json()
    second = (await table.http.get(link(first, "next"))).json()
    assert link(second, "next") == link(first, "next")


async def test_next_has_its_port_twice(moody):
    table = moody(Misbehaviour("doubled-port-next-link"))
    assert ":443:443/" in link((await table.http.get("Observation")).json(), "next")


async def test_the_rest_is_silently_cut_off(moody):
    [only] = await pages(moody(Misbehaviour("no-next-link")))
    assert (len(only["entry"]), only["total"]) == (2, 5)


async def test_the_total_is_absent_or_wrong(moody):
    assert "total" not in (await moody(Misbehaviour("no-total")).http.get("Observation")).json()
    assert (await moody(Misbehaviour("wrong-total")).http.get("Observation")).json()["total"] == 12
    quiet = moody(includes_total=False)
    assert "total" not in (await quiet.http.get("Observation")).json()
    assert (await quiet.http.get("Observation?_total=accurate")).json()["total"] == 5
    assert (await quiet.http.get("Observation?_summary=count")).json()["total"] == 5
    assert "total" not in (await moody().http.get("Observation?_total=none")).json()


async def test_a_row_is_missing_while_the_total_stays(moody):
    walked = await pages(moody(Misbehaviour("missing-row", times=1)))
    assert [ids(page) for page in walked] == [["o0"], ["o2", "o3"], ["o4"]]
    assert walked[0]["total"] == 5


async def test_a_row_comes_twice(moody):
    walked = await pages(moody(Misbehaviour("repeated-row", times=1)))
    assert [ids(page) for page in walked] == [["o0", "o1"], ["o1", "o2", "o3"], ["o4"]]


async def test_a_page_holds_more_than_matches(moody):
    table = moody(Misbehaviour("outcome-entry"), Misbehaviour("included-resource"))
    entries = (await table.http.get("Observation")).json()["entry"]
    assert [(e["search"]["mode"], e["resource"]["resourceType"]) for e in entries] == [
        ("match", "Observation"),
        ("match", "Observation"),
        ("include", "Organization"),
        ("outcome", "OperationOutcome"),
    ]


async def test_an_unknown_parameter_is_ignored_whatever_is_preferred(moody):
    table = moody(Misbehaviour("ignored-parameter"))
    answer = await table.http.get("Observation?date-typo=ge2030", headers={"Prefer": "handling=strict"})
    assert answer.json()["total"] == 5
    assert link(answer.json(), "self").endswith("/Observation")


async def test_self_may_lie_about_what_was_applied(moody):
    table = moody(Misbehaviour("ignored-parameter"), Misbehaviour("wrong-self-link"))
    told = (await table.http.get("Observation?date-typo=ge2030")).json()
    assert (told["total"], link(told, "self").endswith("?date-typo=ge2030")) == (5, True)


async def test_a_resource_names_another_type(moody):
    entries = (await moody(Misbehaviour("wrong-resource-type")).http.get("Observation")).json()["entry"]
    assert [e["resource"]["resourceType"] for e in entries] == ["Observatory", "Observation"]


async def test_a_resource_has_its_id_twice(moody):
    answer = await moody(Misbehaviour("duplicate-keys")).http.get("Observation")
    seen = []
    json.loads(answer.content, object_pairs_hook=lambda pairs: seen.append([name for name, _ in pairs]))
    assert sum(names.count("id") == 2 for names in seen) == 1


async def test_a_body_is_cut_though_well_framed(moody):
    answer = await moody(Misbehaviour("cut-body", times=1)).http.get("Observation")
    assert (answer.status_code, int(answer.headers["content-length"])) == (200, len(answer.content))
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_a_body_is_no_utf_8(moody):
    answer = await moody(Misbehaviour("not-utf-8")).http.get("Observation")
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode("utf-8")


async def test_a_small_body_unfolds_to_a_huge_one(moody):
    table = moody(Misbehaviour("huge-body", value="3"))
    async with table.http.stream("GET", "Observation") as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert len(raw) < 50_000
    unfolded = gzip.decompress(raw)
    assert len(unfolded) > 3_000_000
    assert json.loads(unfolded)["total"] == 5


async def test_a_body_may_drip(moody):
    table = moody(Misbehaviour("slow-drip", value="0.001"))
    async with table.http.stream("GET", "Observation") as answer:
        assert json.loads(await answer.aread())["total"] == 5


async def test_requests_are_noted(moody):
    table = moody()
    await table.http.get("Observation?patient=p1", headers={"Authorization": "Bearer x"})
    await table.http.get("Wizard")
    await table.http.get("metadata")
    assert [tuple(seen) for seen in table.ehr.seen] == [
        ("GET", "/fhir/Observation", "patient=p1", True, 200),
        ("GET", "/fhir/Wizard", "", False, 404),
        ("GET", "/fhir/metadata", "", False, 200),
    ]


def test_a_switch_that_is_unknown_or_cannot_strike_is_refused():
    with pytest.raises(UnknownName) as known:
        Misbehaviour("expired-tokens")
    assert "expired-token" in known.value.hint
    for wrong in ({"times": 0}, {"after": -1}):
        with pytest.raises(BadSettings):
            Misbehaviour("server-error", **wrong)

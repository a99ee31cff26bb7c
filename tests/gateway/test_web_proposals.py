"""The proposals on the page of a twin: what changes at the EHR, who may agree, and two buttons."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from conformance.hostile import Misbehaviour
from gateway.deliver.approval import read_decision
from gateway.store import Delivery
from gateway.web import web_app
from gateway.web.forms import token_of
from tests.gateway.deliver.superseding import SECOND, Ward, ward

KEY = "a-key-of-this-test"
TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


@asynccontextmanager
async def page_of(folder: Path, toml: str = "", **habits: str) -> AsyncIterator[SimpleNamespace]:
    """A twin with a proposal, and a browser that is in."""
    with ward(folder, toml=toml, **habits) as there:
        await there.pull()
        there.propose()
        transport = httpx.ASGITransport(web_app(there.home, KEY))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            await browser.get(f"/enter?key={KEY}")
            yield SimpleNamespace(there=there, browser=browser, twin=f"/twins/{there.twin}")


def newest(there: Ward) -> Delivery:
    return there.results()[-1]


def section(page: httpx.Response) -> str:
    """The part of the page that is about proposals, without markup."""
    assert page.status_code in (200, 422), page.text[:500]
    found = re.search(r'<section id="proposals".*?</section>', page.text, re.DOTALL)
    assert found
    return found[0]


async def decide(at: SimpleNamespace, what: str, **form: str) -> httpx.Response:
    told = {"token": token_of(KEY, at.there.twin), "proposal": newest(at.there).id} | form
    return await at.browser.post(f"{at.twin}/{what}", data=told)


async def test_the_page_says_what_would_be_written_on_what_it_stands_and_who_may_agree(tmp_path):
    async with page_of(tmp_path) as at:
        said = section(await at.browser.get(at.twin))
        assert "What changes at ward" in said
        assert "simulated, not measured" in said
        assert "Observation/c1/_history/1" in said
        assert "any person who works here" in said
        preview = unescape(re.search(r"<pre[^>]*>(.*?)</pre>", said, re.DOTALL)[1])
        assert '"resourceType": "RiskAssessment"' in preview
        assert '"code": "AIAST"' in preview
        assert set(re.findall(r'action="([^"]+)"', said)) == {f"{at.twin}/approve", f"{at.twin}/decline"}


async def test_every_number_of_a_proposal_stands_where_all_is_marked_as_simulated(tmp_path):
    async with page_of(tmp_path) as at:
        said = section(await at.browser.get(at.twin))
        outside = re.sub(r'<article class="simulated".*?</article>', "", said, flags=re.DOTALL)
        told = re.sub(r"<[^>]+>", "", outside)
        assert not re.search(r"\d", told.replace(": 1 open", ""))
        assert "Would be, simulated" in said
        assert "There now, of ours, simulated" in said


async def test_a_button_agrees_and_another_one_declines_with_a_reason(tmp_path):
    async with page_of(tmp_path) as at:
        refused = await decide(at, "decline")
        assert refused.status_code == 422
        assert "Say why" in section(refused)
        done = await decide(at, "approve", why="seen <b>together</b>")
        assert (done.status_code, done.headers["location"]) == (303, f"{at.twin}#proposals")
        decision = read_decision(newest(at.there).decision)
        assert (decision.agreed, decision.who, decision.why) == (True, at.there.home.actor, "seen <b>together</b>")
        said = section(await at.browser.get(at.twin))
        assert "seen &lt;b&gt;together&lt;/b&gt;" in said
        assert "<form" not in said
        late = await decide(at, "decline", why="too late")
        assert "there is nothing to decline" in section(late)
        await at.there.deliver()
        said = section(await at.browser.get(at.twin))
        assert "Decided and delivered: 1" in said
        assert next(each.reference for each in newest(at.there).landed) in said


async def test_a_form_of_another_page_or_twin_decides_nothing(tmp_path):
    async with page_of(tmp_path) as at:
        for forged in ({"token": "0" * 64}, {"token": token_of(KEY, "another")}):
            assert (await decide(at, "approve", **forged)).status_code == 403
        stranger = httpx.AsyncClient(transport=at.browser._transport, base_url="http://127.0.0.1")
        assert (await stranger.post(f"{at.twin}/approve", data={})).status_code == 403
        assert (await decide(at, "approve", proposal="0000")).status_code == 422
        assert newest(at.there).state == "proposed"


async def test_who_may_not_agree_sees_who_may_and_no_button(tmp_path):
    rule = '[[approval.rules]]\nby = "person"\npeople = ["dr.weber"]\n'
    async with page_of(tmp_path, rule) as at:
        said = section(await at.browser.get(at.twin))
        assert "Who may agree: <b>dr.weber</b>. You may not." in said
        assert "<button" not in said
        refused = await decide(at, "approve")
        assert refused.status_code == 422
        assert "Who may: dr.weber" in unescape(section(refused))
        assert newest(at.there).state == "proposed"


async def test_what_the_ehr_has_of_ours_stands_beside_it_and_is_asked_for_only_on_request(tmp_path):
    async with page_of(tmp_path) as at:
        await at.there.deliver()
        at.there.measure("c2", 2.4, SECOND)
        await at.there.pull()
        at.there.propose()
        asked = len(at.there.ehr.seen)
        said = section(await at.browser.get(at.twin))
        assert len(at.there.ehr.seen) == asked
        assert ">nothing</td>" not in said  # the older number stands beside the new one
        [link] = re.findall(r'href="([^"]+compare=[^"]+)"', said)
        told = section(await at.browser.get(link.partition("#")[0]))
        assert len(at.there.ehr.seen) > asked
        assert "an older result of ours is there" in told
        assert "<code>Observation.valueQuantity.value</code>" in told
        assert "data-live" not in told.partition(">")[0]  # it is not asked again by itself


async def test_an_ehr_that_does_not_answer_costs_only_that_answer(tmp_path):
    async with page_of(tmp_path) as at:
        at.there.ehr.misbehaviours.add(Misbehaviour("outcome-for-bundle"))
        page = await at.browser.get(f"{at.twin}?compare={newest(at.there).id}")
        assert "Not shown, because" in section(page)
        assert "What changes at ward" in section(page)


@pytest.mark.parametrize("wanted", [True, False])
async def test_where_a_reason_is_wanted_the_form_says_so(tmp_path, wanted):
    async with page_of(tmp_path, f"[approval]\nwhy = {str(wanted).lower()}\n") as at:
        said = section(await at.browser.get(at.twin))
        assert ("which has to be said" in said) is wanted
        assert (await decide(at, "approve")).status_code == (422 if wanted else 303)

"""The page of a twin that lives: forecast, scores, warnings, what-ifs and glucose figures, as a browser gets them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.events import Hub
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.virtual_wear import VirtualWear, resources, shipped_wear
from gateway.warnings import assess, kept_warnings
from gateway.web import web_app
from gateway.web.forms import token_of
from gateway.web.live import Watcher
from gateway.web.twins import build_twins

KEY = "a-key-of-this-test"
MINUTES = 1800


def last_day(wear: VirtualWear) -> VirtualWear:
    """The last thirty hours of the shipped wear: enough for a day of scores, and quick."""
    left_out = (-MINUTES - wear.first) // 5
    return VirtualWear(wear.made_by, wear.first + 5 * left_out, wear.readings[left_out:], wear.given)


def write(folder: Path, begin: int, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{begin + 9000}.ndjson"
    file.write_text(text, "utf-8")
    return file


async def put(home: Home, folder: Path, present: datetime, begin: int, end: int) -> None:
    lines = map(json.dumps, resources(last_day(shipped_wear()), present, begin, end))
    file = write(folder, begin, "\n".join(lines))
    await ingest(home, Folder("sensor", file, "r4"), lambda text: None)


async def put_somebody_else(home: Home) -> None:
    """Pull a person without a sensor."""
    folder = home.settings.home / "else"
    folder.mkdir()
    (folder / "a.json").write_text('{"resourceType": "Patient", "id": "else", "gender": "male"}', "utf-8")
    await ingest(home, Folder("files", folder, "r4"), lambda text: None)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """A home with one twin whose sensor read last two minutes ago; what is fitted once is kept."""
    place: Path = tmp_path_factory.mktemp("living")
    present = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
    (place / "home").mkdir()
    (place / "home" / "twin.toml").write_text("[warnings]\nfalse_alarms_a_day = 24\n", "utf-8")  # so that it warns
    with Home.open(load_settings(place / "home")) as opened:
        asyncio.run(put(opened, place / "in", present, -MINUTES, 1))
        [twin] = opened.store.twins()
        assess(opened, twin.id, "glucose")
    return place / "home", present


@pytest.fixture
def home(calibrated, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(calibrated[0], tmp_path / "home")
    with Home.open(load_settings(tmp_path / "home"), create=False) as opened:
        yield opened


@pytest.fixture
def twin(home: Home) -> str:
    [only] = home.store.twins()
    return only.id


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def browser(home: Home, hub: Hub, twin: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web_app(home, KEY, hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.get(f"/enter?key={KEY}&twin={twin}")
        yield client


def form(twin: str, **fields: str) -> dict[str, str]:
    return {"token": token_of(KEY, twin), "model": "glucose", **fields}


def tried(twin: str, **fields: str) -> dict[str, str]:
    return form(twin, **{"hours": "2", **{name.replace("_", ".", 1): value for name, value in fields.items()}})


async def test_the_forecast_stands_beside_how_right_such_forecasts_were(browser, twin):
    page = (await browser.get(f"/twins/{twin}")).text
    assert "Next hour: Glucose under meals and insulin" in page
    assert re.search(r"Glucose of the sensor in mg/dL: 3[67] measured values until .* of which the last is 71;", page)
    assert re.search(r"then simulated, with the middle 90 %: expected ends at \d+ \(\d+ to \d+\)", page)
    for told in ("RMSE, mg/dL", "CRPS", "Inside 90 %", "“Nothing changes”: RMSE", "Method: ", "Not for dosing"):
        assert told in page
    scores = page[page.index('aria-label="Scores by horizon"') :]
    [counted] = re.findall(r'<th scope="row">60</th>.*?<td class="number">(\d+)</td></tr>', scores, re.DOTALL)[:1]
    assert int(counted) > 200


async def test_simulated_and_measured_never_look_alike(browser, twin):
    await browser.post(f"/twins/{twin}/try", data=tried(twin, plan1_words="20 g carbohydrate"))
    page = (await browser.get(f"/twins/{twin}")).text
    dots = re.findall(r'<circle class="dot"[^>]*><title>([^<]*)', page)
    lines = re.findall(r'<polyline class="median[^>]*><title>([^<]*)', page)
    assert len(dots) > 36
    assert all(words.startswith("measured ") or "," in words for words in dots)
    assert len(lines) == 3
    assert all(words.startswith("simulated: ") for words in lines)
    style = (await browser.get("/static/twin.css")).text
    assert re.search(r"\.median \{[^}]*stroke: var\(--simulated\)[^}]*stroke-dasharray", style)
    assert re.search(r"\.dot \{ fill: var\(--measured\)", style)
    assert page.count(">simulated</text>") == 2
    assert page.count(">measured</text>") == 2


async def test_a_warning_shows_its_probability_lead_time_threshold_and_false_alarms(browser, twin):
    page = (await browser.get(f"/twins/{twin}")).text
    warned = page[page.index('id="warned-glucose"') : page.index('id="try-glucose"')]
    assert "Glucose below 70 mg/dL" in warned
    assert re.search(r"\d+%</b> likely, expected in \d+ minutes", warned)
    assert re.search(r"raised from \d+% on, it foresaw \d+ of\s+\d+ events", warned)
    assert re.search(r"rang \d+ times for nothing \(\d\.\d\d a day\)", warned)
    assert "not seen" in warned


async def test_a_person_sees_a_warning_and_others_see_that_and_hear_of_it(browser, twin, home, hub):
    page = (await browser.get(f"/twins/{twin}")).text
    number = re.search(r'name="number" value="(\d+)"', page)[1]
    before = len(home.store.audit_rows())
    async with aclosing(hub.listen()) as stream:
        await anext(stream)
        answer = await browser.post(f"/twins/{twin}/seen", data=form(twin, number=number))
        assert (answer.status_code, answer.headers["location"]) == (303, f"/twins/{twin}#warned-glucose")
        assert b"event: warning" in await asyncio.wait_for(anext(stream), 5)
    assert len(home.store.audit_rows()) > before
    page = (await browser.get(f"/twins/{twin}")).text
    assert f"seen by {home.actor}" in page
    assert f'name="number" value="{number}"' not in page


async def test_a_rule_is_silent_for_an_hour(browser, twin):
    page = (await browser.get(f"/twins/{twin}")).text
    rule = re.search(r'name="rule" value="([^"]+)"', page)[1]
    assert (await browser.post(f"/twins/{twin}/silent", data=form(twin, rule=rule))).status_code == 303
    assert "silent until" in (await browser.get(f"/twins/{twin}")).text


async def test_the_list_tells_what_each_twin_has_to_be_looked_at_for(browser, twin, home, hub):
    await put_somebody_else(home)
    other = next(each.id for each in home.store.twins() if each.id != twin)
    before = len(home.store.audit_rows())
    page = (await browser.get("/")).text
    assert "2 twins, 1 with warnings that stand" in page
    rows = dict(re.findall(r'<a href="/twins/([-\w]+)">.*?</th>(.*?)</tr>', page, re.DOTALL))
    assert list(rows) == [twin, other]  # what has to be looked at comes first
    standing = [one for _, _, kept in kept_warnings(home, twin) for one in kept.watch.standing]
    for one in standing:
        assert f"{one.rule.title} within {one.rule.minutes} minutes, {one.probability:.0%} likely<" in rows[twin]
    assert f"simulated · {len(standing)} not seen" in rows[twin]
    assert re.search(r"[2-9] minutes ago\s*</td>", rows[twin])
    assert "no warning stands" in rows[other]
    [event] = home.store.audit_events(len(home.store.audit_rows()) - before)[-1:]
    assert event.event["subtype"][0]["code"] == "read"
    await browser.post(f"/twins/{twin}/seen", data=form(twin, number=str(standing[0].number)))
    assert f"simulated · {len(standing) - 1 or 'none'} not seen" in (await browser.get("/")).text


async def test_a_reading_that_is_too_old_to_warn_is_said_in_the_list(home, twin):
    [kept] = [kept for owner, _, kept in kept_warnings(home) if owner == twin]
    assert kept.watch.at is not None
    for hours, said, stale in ((0, "0 minutes ago", False), (1, "1 hour ago", True), (49, "2 days ago", True)):
        [row] = build_twins(home, kept.watch.at + timedelta(hours=hours))
        assert (row.read, row.stale) == (said, stale)


@pytest.mark.parametrize("where", ["seen", "silent", "try"])
async def test_a_form_that_is_not_ours_does_nothing(browser, twin, home, where):
    fields = {"number": "1", "rule": "hypoglycaemia-level-1-30", "plan1.words": "20 g carbohydrate", "hours": "2"}
    before = len(home.store.audit_rows()), len(home.store.runs(twin))
    for token in ("", token_of("another key", twin), token_of(KEY, "another twin")):
        answer = await browser.post(f"/twins/{twin}/{where}", data={**form(twin), **fields, "token": token})
        assert answer.status_code == 403
        assert "mg/dL" not in answer.text
    assert (len(home.store.audit_rows()), len(home.store.runs(twin))) == before
    browser.cookies.clear()
    assert (await browser.post(f"/twins/{twin}/{where}", data={**form(twin), **fields})).status_code == 403
    assert (await browser.get(f"/twins/{twin}/{where}")).status_code == 405


async def test_something_else_than_a_form_is_refused(browser, twin):
    answer = await browser.post(f"/twins/{twin}/seen", json=form(twin, number="1"))
    assert (answer.status_code, "This is no form." in answer.text) == (422, True)
    answer = await browser.post(f"/twins/{twin}/try", data=tried(twin, plan1_words="x" * 20_000))
    assert (answer.status_code, "too large" in answer.text) == (422, True)


async def test_a_treatment_is_tried_beside_doing_nothing_and_kept(browser, twin, home):
    fields = {"plan1.carbohydrate.amount": "30", "plan1.carbohydrate.at": "0", "plan1.carbohydrate.minutes": "10"}
    fields |= {"plan2.words": "15 g carbohydrate at +10min\n15 g carbohydrate at +40min"}
    answer = await browser.post(f"/twins/{twin}/try", data=tried(twin) | fields)
    assert answer.status_code == 303
    assert "carb" not in answer.headers["location"]
    page = (await browser.get(answer.headers["location"])).text
    assert "3 courses side by side" in page
    assert "<b>B</b> 30 g carbohydrate over 10 min at +0min" in page
    assert "<b>C</b> 15 g carbohydrate at +10min, 15 g carbohydrate at +40min" in page
    assert "By expected worth: <b>" in page
    assert "Declared by" in page
    assert "How each differs from A" in page
    run = re.search(r"run=([0-9a-f]+)", answer.headers["location"])[1]
    kept = home.store.run(run)
    assert kept.twin == twin
    result = json.loads(kept.content)
    assert result["type"] == "what-if"
    assert result["branches"][0]["plan"]["title"] == "nothing new"


async def test_a_closed_loop_is_tried_beside_a_person_who_counts(browser, twin):
    settings = "basal 0.8 [iU]/h, carb_ratio 12 g/[iU], correction 50 mg/dL/[iU]"
    fields = {f"plan{n}.words": "40 g carbohydrate at +20min" for n in (1, 2)}
    fields |= {"plan1.therapy": f"closed-loop, {settings}", "plan2.therapy": f"basal-bolus, {settings}"}
    answer = await browser.post(f"/twins/{twin}/try", data=tried(twin) | fields)
    assert answer.status_code == 303, answer.text[answer.text.index('role="alert"') :][:400]
    page = (await browser.get(answer.headers["location"])).text
    assert "<b>B</b> closed-loop, basal 0.8 [iU]/h" in page
    assert "<b>C</b> basal-bolus, basal 0.8 [iU]/h" in page


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "There is nothing to try."),
        ({"plan1.carbohydrate.amount": "900"}, "the model holds from 0 to 300 g"),
        ({"plan1.carbohydrate.amount": "much"}, "a field holds no number"),
        ({"plan1.carbohydrate.amount": "nan"}, "no number that can be"),
        ({"plan1.insulin-bolus.amount": "2", "plan1.insulin-bolus.at": "-30"}, "cannot begin in the past"),
        ({"plan1.words": "a lot of cake"}, "cannot be read as something that is given"),
        ({"plan1.therapy": "closed-loop"}, "The therapy lacks basal"),
        ({"plan1.words": "30 W exercise"}, "does not answer to"),
        ({"plan1.words": "20 g carbohydrate", "plan2.words": "20 g carbohydrate"}, "titles that differ"),
        ({"plan1.words": "20 g carbohydrate", "hours": "999"}, "none of the hours"),
        ({"plan1.words": "1 g carbohydrate;" * 9}, "up to 8 items"),
    ],
)
async def test_a_plan_that_cannot_be_is_a_sentence_at_the_form_which_keeps_what_was_typed(
    browser, twin, home, fields, says
):
    before = sum(run.content.startswith(b'{"type":"what-if"') for run in home.store.runs(twin))
    answer = await browser.post(f"/twins/{twin}/try", data=tried(twin) | fields)
    assert answer.status_code == 422
    alert = answer.text[answer.text.index('role="alert"') :]
    assert says in alert[: alert.index("</div>")].replace("&#34;", '"')
    for typed in fields.values():
        assert typed in answer.text or typed == "999"
    assert sum(run.content.startswith(b'{"type":"what-if"') for run in home.store.runs(twin)) == before


async def test_a_refusal_at_a_warning_stands_there_and_an_unknown_twin_is_not_found(browser, twin):
    answer = await browser.post(f"/twins/{twin}/seen", data=form(twin, number="99"))
    assert (answer.status_code, "No warning of this number stands." in answer.text) == (422, True)
    answer = await browser.post(f"/twins/{twin}/silent", data=form(twin, rule="thirst"))
    assert (answer.status_code, "There is no rule of that name." in answer.text) == (422, True)
    assert (await browser.post("/twins/zzzz/seen", data=form("zzzz", number="1"))).status_code == 404


async def test_a_what_if_that_newer_data_overtook_says_so(browser, twin, home, calibrated, tmp_path):
    address = (await browser.post(f"/twins/{twin}/try", data=tried(twin, plan1_words="20 g carbohydrate"))).headers
    assert "Newer data has come since" not in (await browser.get(address["location"])).text
    await put(home, tmp_path / "in", calibrated[1] - timedelta(minutes=4), 1, 6)
    assert "Newer data has come since" in (await browser.get(address["location"])).text
    assert "courses side by side" not in (await browser.get(f"/twins/{twin}?run=ffffffff")).text


async def test_the_glucose_figures_are_measured_ones(browser, twin):
    page = (await browser.get(f"/twins/{twin}")).text
    figures = page[page.index('id="figures-glucose"') : page.index('id="facts"')]
    assert "measured</b> by a sensor" in figures
    assert "simulated" not in figures
    shares = [float(share) for share in re.findall(r"mg/dL: <b>([\d.]+) %</b>", figures)]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100.0, abs=0.3)
    for told in ("Glucose management indicator", "Coefficient of variation", "The consensus asks for 14 days"):
        assert told in figures


async def test_nothing_on_the_page_runs_but_one_script_of_ours(browser, twin):
    answer = await browser.get(f"/twins/{twin}")
    assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/static/live.js" defer>']
    assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    script = await browser.get("/static/live.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert (await browser.get("/static/pages.py")).status_code == 404


async def test_the_stream_is_for_the_holder_of_the_key(browser):
    browser.cookies.clear()
    assert (await browser.get("/events")).status_code == 403


async def test_a_new_version_of_a_twin_is_told_once_to_whoever_looks_at_it(home, twin, calibrated, tmp_path):
    hub = Hub()
    watcher = Watcher(home, hub)
    watcher.follow(twin, home.store.twin_version(twin))
    async with aclosing(hub.listen()) as stream:
        await anext(stream)
        await watcher.look()
        await put(home, tmp_path / "in", calibrated[1] - timedelta(minutes=4), 1, 6)
        await watcher.look()
        await watcher.look()
        hub.publish("end", {})
        told = await asyncio.wait_for(anext(stream), 5)
        assert b"event: twin" in told
        assert json.loads(told.split(b"data: ")[1]) == {"twin": twin, "version": home.store.twin_version(twin)}
        assert b"event: end" in await asyncio.wait_for(anext(stream), 5)


async def test_what_somebody_typed_is_text_and_never_markup(browser, twin):
    evil = {"plan1.words": '"><script>alert(1)</script>', "plan2.carbohydrate.amount": "'onfocus='alert(1)"}
    answer = await browser.post(f"/twins/{twin}/try", data=tried(twin) | evil)
    assert answer.status_code == 422
    assert answer.text.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "'onfocus='" not in answer.text


async def test_a_page_in_another_process_hears_of_a_reading_that_this_one_pulls(home, twin, calibrated, tmp_path):
    command = [sys.executable, "-m", "gateway.cli", "show", twin[:8], "--web", "--home", str(tmp_path / "home")]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        address = (await asyncio.wait_for(server.stdout.readline(), 60)).decode()
        async with httpx.AsyncClient(timeout=30) as client:
            page = await client.get(address.strip(), follow_redirects=True)
            assert "Next hour" in page.text
            await put(home, tmp_path / "in", calibrated[1] - timedelta(minutes=4), 1, 6)
            base = str(page.url.copy_with(path="/events", query=None))
            async with client.stream("GET", base, headers={"Last-Event-ID": "0"}) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                lines = [line async for line in until_data(stream)]
            assert "event: twin" in lines
            assert json.loads(lines[-1].removeprefix("data: "))["version"] == home.store.twin_version(twin)
    finally:
        server.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(server.communicate(), 30)
    assert (server.returncode, said) == (0, b"")


async def until_data(stream: httpx.Response) -> AsyncIterator[str]:
    async for line in stream.aiter_lines():
        yield line
        if line.startswith("data: "):
            return


async def test_who_cannot_be_recorded_gets_no_page(home, browser, twin, tmp_path):
    with sqlite3.connect(tmp_path / "home" / "twin.db") as store:
        store.execute("DELETE FROM audit_state")
    for answer in (await browser.get(f"/twins/{twin}"), await browser.post(f"/twins/{twin}/seen", data=form(twin))):
        assert answer.status_code in (422, 503)
        assert "mg/dL" not in answer.text
        assert "1991" not in answer.text


async def test_what_the_page_shows_is_what_the_terminal_keeps(browser, twin, home):
    page = (await browser.get(f"/twins/{twin}")).text
    run = re.search(r"· run ([0-9a-f]{12})</p>", page)[1]
    kept = home.store.run(run)
    assert kept.twin == twin
    assert json.loads(kept.content)["type"] == "forecast"
    assert open_twin(home, twin).version == kept.twin_version

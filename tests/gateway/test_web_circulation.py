"""The circulation on the page of a twin: calibrated behind it, drawn, and operated on, as a browser gets it."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.calibration import current, dynamic_model
from gateway.events import Hub
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.loop_picture import Cuff, Shown, draw
from gateway.medication import Medication
from gateway.operations import Operations, resting_in
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.web import web_app
from gateway.web.behind import Behind, Part
from gateway.web.forms import token_of
from gateway.web.section import Lacking, attempt
from security.errors import Misuse, StoreFull
from tests.gateway.circulating import ECHO, SEEN, amount, observation, person, pulled
from twin_engine import Missing
from twin_engine.circulation.waveform import portrait, stand_in

KEY = "a-key-of-this-test"
VALVE, PUMP = "aortic valve: Edwards SAPIEN 3 23 mm", "pump 9000 /min"
LONG = 60.0  # seconds: a page that waits until all of it is there


FAILURE = {
    "resourceType": "Condition",
    "id": "failure",
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "703272007"}]},
    "subject": {"reference": "Patient/p1"},
    "onsetDateTime": "2024-01-01",
}


def lately(**told: Any) -> list[dict[str, Any]]:
    """Return the person as measured five days ago, so that no reading is too old; the heart is known to fail."""
    text = json.dumps([*person(**told), FAILURE])
    for when, days in ((SEEN, 5), (ECHO, 50)):
        text = text.replace(when, f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}")
    return json.loads(text)


def only(home: Home) -> str:
    [twin] = home.store.twins()
    return twin.id


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two homes with one twin: as pulled, and calibrated."""
    place: Path = tmp_path_factory.mktemp("circulation")
    with asyncio.run(pulled(place, lately())) as home:
        pass
    shutil.copytree(place / "home", place / "calibrated")
    with Home.open(load_settings(place / "calibrated"), create=False) as home:
        run_model(home, open_twin(home, only(home)), "circulation")
    return {"pulled": place / "home", "calibrated": place / "calibrated"}


@pytest.fixture
def home(homes, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(homes["calibrated"], tmp_path / "home")
    with Home.open(load_settings(tmp_path / "home"), create=False) as opened:
        yield opened


@pytest.fixture
def twin(home: Home) -> str:
    return only(home)


def client(home: Home, behind: Behind | None = None) -> httpx.AsyncClient:
    """Return a browser with the key; without `behind`, its pages wait until all is there."""
    app = web_app(home, KEY, behind=behind or Behind(Hub(), patience=LONG))
    cookies = {"fhirtwin": KEY}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", cookies=cookies, timeout=2 * LONG
    )


@pytest.fixture
async def browser(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    async with client(home) as opened:
        yield opened


def form(twin: str, *plans: str, **fields: str) -> dict[str, str]:
    told = {f"plan{number}": plan for number, plan in enumerate(plans, 1)}
    return {"token": token_of(KEY, twin), "model": "circulation", **told, **fields}


def part(page: str, name: str) -> str:
    """Return the section of that id."""
    return page[page.index(f'id="{name}"') :].partition("</section>")[0]


def words(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def calibrations(home: Home) -> int:
    return sum("calibration" in json.dumps(each.event) for each in home.store.audit_events(100))


async def test_the_page_opens_at_once_and_is_told_when_the_circulation_is_calibrated(homes, tmp_path):
    shutil.copytree(homes["pulled"], tmp_path / "home")
    hub, free = Hub(), threading.Event()
    behind = Behind(hub, patience=0.0)
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        twin = only(home)
        async with client(home, behind) as browser, aclosing(hub.listen()) as stream:
            await anext(stream)
            before = asyncio.create_task(behind.do(partial(free.wait, LONG)))  # somebody else's turn
            pages = await asyncio.gather(*(browser.get(f"/twins/{twin}") for _ in range(3)))
            for page in pages:
                rest = part(page.text, "rest-circulation")
                assert "data-awaited" in rest
                assert f'<a href="/twins/{twin}#rest-circulation">Look again</a>' in rest  # without JavaScript
                assert "<svg" not in rest
                assert 'name="plan1"' in page.text  # what can be tried is there from the start
                assert "Kidney function" in page.text
            assert calibrations(home) == 0
            free.set()
            assert b"event: made" in await asyncio.wait_for(anext(stream), LONG)
            assert await before
            page = (await browser.get(f"/twins/{twin}")).text
        assert "data-awaited" not in page
        assert "<svg" in part(page, "rest-circulation")
        assert calibrations(home) == 1  # three looked at once, and it was made once


async def test_while_newer_data_waits_for_its_turn_the_page_shows_what_was_made_before_and_says_so(
    home, twin, tmp_path
):
    hub, free = Hub(), threading.Event()
    behind = Behind(hub, patience=2.0)
    async with client(home, behind) as browser, aclosing(hub.listen()) as stream:
        await anext(stream)
        assert "data-awaited" not in (await browser.get(f"/twins/{twin}")).text
        before = asyncio.create_task(behind.do(partial(free.wait, LONG)))
        (tmp_path / "new").mkdir()
        new = observation("new", "2823-3", f"{datetime.now(UTC):%Y-%m-%d}", valueQuantity=amount(4.1, "mmol/L"))
        (tmp_path / "new" / "a.json").write_text(json.dumps(new), "utf-8")
        await ingest(home, Folder("files", tmp_path / "new", "r4"), lambda text: None)
        rest = part((await browser.get(f"/twins/{twin}")).text, "rest-circulation")
        assert "Newer data has come" in rest
        assert "<svg" in rest
        free.set()
        assert b"event: made" in await asyncio.wait_for(anext(stream), LONG)
        assert await before
        assert "Newer data has come" not in (await browser.get(f"/twins/{twin}")).text


async def test_nothing_is_calibrated_where_the_facts_do_not_suffice_and_what_lacks_is_said(tmp_path):
    with await pulled(tmp_path, lately(leave_out=frozenset({"cuff"}))) as home:
        async with client(home) as browser:
            page = (await browser.get(f"/twins/{only(home)}")).text
            answer = await browser.post(f"/twins/{only(home)}/operate", data=form(only(home), VALVE))
        assert home.store.state(only(home), "circulation", "ensemble") is None
    assert "Systolic pressure, measured was never measured." in part(page, "answers")
    assert 'id="rest-circulation"' not in page
    assert "Try an operation" not in page
    assert answer.status_code == 422
    assert "Systolic pressure, measured was never measured." in answer.text[answer.text.index('role="alert"') :]


async def test_what_is_simulated_has_intervals_and_says_so_and_what_was_measured_is_dots(browser, home, twin):
    before = len(home.store.audit_rows())
    page = (await browser.get(f"/twins/{twin}")).text
    assert len(home.store.audit_rows()) > before
    rest = part(page, "rest-circulation")
    assert rest.count("<svg") == 1
    assert re.search(r"<title>measured by cuff, 112/70 mmHg</title>\s*<circle", rest)
    assert "simulated, not measured" in rest
    assert rest.index("<title>A circulation, simulated, not measured</title>")
    rows = re.findall(
        r'<th scope="row">([^<]*)</th><td class="number big">([^<]*)</td>.*?<td class="short">(.*?)</td>', rest
    )
    assert len(rows) > 20
    assert all(re.fullmatch(r"-?[\d.]+ to [\d.]+", spread) for _, _, spread in rows)
    told = {title: float(value) for title, value, _ in rows}
    assert abs(told["Ejection fraction"] - 28.0) <= 5.0
    assert "Note: Not told by these readings" in words(rest)
    assert "Ejection fraction, measured" in rest
    assert "Not for treatment" in rest
    assert "Heart and circulation" not in part(page, "answers")  # it is not said twice


async def test_two_plans_stand_beside_the_heart_as_it_is_with_what_they_stand_on(browser, home, twin):
    before = len(home.store.audit_rows())
    answer = await browser.post(f"/twins/{twin}/operate", data=form(twin, VALVE, f"{PUMP} and mitral repair"))
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert place.endswith("#operated-circulation")
    run = home.store.run(re.search(r"run=([0-9a-f]{24})", place)[1])
    kept = msgspec.json.decode(run.content, type=Operations)
    assert len(home.store.audit_rows()) > before
    page = (await browser.get(place)).text
    shown = part(page, "operate-circulation")
    said = words(shown)
    assert f"B {VALVE}" in said
    assert f"C {PUMP} and mitral repair" in said
    assert "A, before (95 %)" in said
    assert "B, after (95 %)" in said
    [low, middle, high] = next(row.after for row in kept.plans[0].rows if row.name == "aortic-mean-gradient")
    assert f"{middle:.1f} ({low:.1f} to {high:.1f})" in said
    risk = next(each for each in kept.plans[1].risks if each.name == "suction")
    assert re.search(rf"Suction by the pump .*? {100 * risk.after:.0f} ", said)
    assert re.search(r"B, new aortic valve: \d\.\d\d cm2/m2 \(.*\); mismatch: none \d+ %", said)
    assert "Published numbers that the model meets, unfitted: aortic valve" in said
    assert "Assumed: The pump is that of Simaan 2009" in said
    assert "simulated, not measured" in said
    assert shown.count("<svg") == 1
    assert re.search(r"<desc>Simulated, not measured. A before: .* B aortic valve: Edwards SAPIEN 3 23 mm: ", shown)
    assert f'name="plan1" value="{VALVE}"' in shown  # to go on from
    assert len(re.findall(r"<caption", shown)) == 2
    assert not re.search(r"<th(?![^>]*scope)[ >]", shown)
    labels = re.findall(r"<label>(?:(?!</label>).)*<input", shown, re.DOTALL)
    assert len(labels) == 2
    assert '<option value="aortic valve: Edwards SAPIEN 3 23 mm">' in shown

    async with client(home) as later:  # another life of the server, which has no picture any more
        plain = part((await later.get(f"/twins/{twin}")).text, "operate-circulation")
        assert "<svg" not in plain
        assert f'href="/twins/{twin}?run={run.id[:24]}#operated-circulation"' in plain
        again = part((await later.get(place)).text, "operate-circulation")
    svg = re.compile(r"<svg.*?</svg>", re.DOTALL)
    assert svg.search(again)[0] == svg.search(shown)[0]


async def test_a_plan_that_kills_says_so_above_its_numbers(browser, home, twin):
    plan = "aortic valve: orifice 0.3 cm2, leak 0.6 cm2 and mitral valve: orifice 0.5 cm2, leak 0.6 cm2"
    answer = await browser.post(f"/twins/{twin}/operate", data=form(twin, plan))
    shown = part((await browser.get(answer.headers["location"])).text, "operate-circulation")
    told = re.search(r"B: (\d+) of 100 members collapse, the first \d+ min after the operation\.", shown)
    assert int(told[1]) > 0
    assert told.start() < shown.index("What changes")
    share = re.search(r"Collapse of the circulation .*? 0 (\d+) ", words(shown))
    assert share[1] == told[1]


@pytest.mark.parametrize(
    ("plans", "said"),
    [
        (("aortic valve: Edwards SAPIEN 9 23 mm",), "Did you mean Edwards SAPIEN 3?"),
        (("pump 9000",), "the number or its unit cannot be read"),
        (("mitral repair", "<script>alert(1)</script>"), "There is no operation of that name."),
        (("", " "), "There is nothing to try."),
        (("mitral repair and " * 60,), "A plan is too long."),
    ],
)
async def test_what_was_typed_wrong_is_said_at_the_form_with_what_was_typed(browser, home, twin, plans, said):
    answer = await browser.post(f"/twins/{twin}/operate", data=form(twin, *plans))
    shown = part(answer.text, "operate-circulation")
    assert answer.status_code == 422
    assert said in shown[shown.index('role="alert"') :]
    assert "<script>" not in shown
    for plan in plans:
        assert f'value="{html.escape(plan)}"' in shown
    assert not [run for run in home.store.runs(twin) if run.content.startswith(b'{"type":"operations"')]


async def test_operations_on_other_readings_than_are_known_now_say_so(browser, home, twin):
    await browser.post(f"/twins/{twin}/operate", data=form(twin, PUMP))
    assert "Other readings are known by now" not in (await browser.get(f"/twins/{twin}")).text
    [saved] = [run for run in home.store.runs(twin) if run.content.startswith(b'{"type":"operations"')]
    old = msgspec.json.decode(saved.content, type=Operations)
    weight = msgspec.structs.replace(old.inputs[2], value=99.0)
    other = msgspec.structs.replace(old, inputs=(*old.inputs[:2], weight, *old.inputs[3:]))
    home.store.save_run("ab" * 32, twin, "circulation", 1, msgspec.json.encode(other), now=now())
    assert "Other readings are known by now" in (await browser.get(f"/twins/{twin}?run={'ab' * 12}")).text


async def test_medicines_are_compared_and_those_that_are_not_are_named_with_the_reason(browser, home, twin):
    fields = {"within": "hours", "most": "1", "absent": "yes", "drug.furosemide": "yes", "drug.dobutamine": "yes"}
    answer = await browser.post(f"/twins/{twin}/medicate", data=form(twin, **fields))
    assert (answer.status_code, answer.headers["location"][-22:]) == (303, "#medicated-circulation")
    page = (await browser.get(answer.headers["location"])).text
    shown = part(page, "medicate-circulation")
    run = re.search(r"run=([0-9a-f]{24})", answer.headers["location"])[1]
    kept = msgspec.json.decode(home.store.run(run).content, type=Medication)
    said = words(shown)
    assert "A comparison for a clinician, never an order." in said
    assert "simulated, not measured" in said
    assert kept.comparison.said in said
    first = kept.comparison.candidates[0]
    wedge = first.told["wedge-pressure"]
    assert f"{first.parts[0].title} {first.parts[0].dose:g} {first.parts[0].unit}" in said
    assert f"{wedge.median:.0f} ({wedge.low:.0f} to {wedge.high:.0f})" in said
    assert re.search(r"Dobutamine [^.]*cardiac index at most 2\.2 L/min/m2", said)
    assert "Assumed: Absent, though no list proves it" in said
    assert "Other facts are known by now" not in said
    assert not re.search(r"<th(?![^>]*scope)[ >]", shown)

    wrong = await browser.post(f"/twins/{twin}/medicate", data=form(twin, **{**fields, "most": "9"}))
    shown = part(wrong.text, "medicate-circulation")
    assert (wrong.status_code, "none of the choices" in shown[shown.index('role="alert"') :]) == (422, True)
    assert re.search(r'name="drug.furosemide" value="yes" checked', shown)

    (home.settings.home / "new").mkdir()
    new = observation("new", "2823-3", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", valueQuantity=amount(5.6, "mmol/L"))
    (home.settings.home / "new" / "a.json").write_text(json.dumps(new), "utf-8")
    await ingest(home, Folder("files", home.settings.home / "new", "r4"), lambda text: None)
    assert "Other facts are known by now" in (await browser.get(f"/twins/{twin}")).text


async def test_bleeding_over_minutes_is_tried_beside_nothing_new(browser, twin):
    fields = {"hours": "1", "plan1.words": "500 mL/min bleeding for 12 min"}
    answer = await browser.post(f"/twins/{twin}/try", data=form(twin, **fields))
    assert (answer.status_code, answer.headers["location"][-16:]) == (303, "#try-circulation")
    shown = words(part((await browser.get(answer.headers["location"])).text, "try-circulation"))
    assert "B 500 mL/min bleeding for 12 min" in shown
    assert "simulated, not measured" in shown
    assert re.search(r"Collapse \(mean pressure below 30 mmHg\) % of cases 0 100 ", shown)
    assert "dots are measured" not in shown
    assert "Newer data has come since" not in shown
    wrong = await browser.post(f"/twins/{twin}/try", data=form(twin, hours="1", **{"plan1.words": "1 mL bleeding"}))
    assert 'role="alert"' in part(wrong.text, "try-circulation")
    assert 'role="alert"' not in part(wrong.text, "operate-circulation")


async def test_without_the_key_the_token_or_a_record_nothing_is_done(home, twin, tmp_path):
    async with client(home) as browser:
        answer = await browser.post(f"/twins/{twin}/operate", data=form(twin, PUMP, token="another"))
        assert answer.status_code == 403
        browser.cookies.clear()
        assert (await browser.post(f"/twins/{twin}/operate", data=form(twin, PUMP))).status_code == 403
    with sqlite3.connect(tmp_path / "home" / "twin.db") as store:
        store.execute("DELETE FROM audit_state")
    async with client(home) as browser:
        for answer in (
            await browser.get(f"/twins/{twin}"),
            await browser.post(f"/twins/{twin}/operate", data=form(twin, PUMP)),
        ):
            assert answer.status_code == 503
            assert "mmHg" not in answer.text
            assert "1958" not in answer.text


async def test_a_clock_that_runs_ahead_is_said_in_the_place_of_the_heart(tmp_path):
    ahead = [
        observation(
            f"rate-{hours}",
            "8867-4",
            f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
            valueQuantity=amount(80.0, "/min"),
        )
        for hours in (2, 3, 4)
    ]
    with await pulled(tmp_path, [*lately(), *ahead]) as home:
        async with client(home) as browser:
            page = (await browser.get(f"/twins/{only(home)}")).text
        assert calibrations(home) == 0
    rest = part(page, "rest-circulation")
    assert "The clock of the source files is ahead" in rest
    assert "<svg" not in rest


class Elements(HTMLParser):
    """Names what a browser would make of markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_a_picture_is_only_a_picture_whatever_its_words_are(home, twin):
    # The page sets it as it is: this is why it may.
    found = current(home, open_twin(home, twin), dynamic_model(home, "circulation"))
    assert not isinstance(found, Missing)
    rest = resting_in(found)
    drawn = portrait(rest.hearts, rest.parameters, rest.beats, member=stand_in(rest.beats))
    evil = "</title></desc></svg><script>alert(1)</script><img src=x onerror='alert(2)'>\" onload=\"alert(3)"
    seen = Elements(draw([Shown(evil, drawn), Shown("&lt;script&gt;" + evil, drawn)], measured=Cuff(112.0, 70.0, evil)))
    assert seen.names <= {"svg", "title", "desc", "rect", "g", "path", "polyline", "text", "tspan", "circle", "line"}
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("href", "style", "src")}


async def test_what_is_made_behind_a_page_is_made_one_at_a_time_from_what_is_newest_and_failures_are_told():
    hub, free, running = Hub(), threading.Event(), []
    behind = Behind(hub, patience=0.05)

    def slow(name: str) -> str:
        running.append(name)
        free.wait(LONG)
        assert len(running) == 1
        return running.pop()

    def fail() -> str:
        raise Misuse("It cannot be.")

    async with aclosing(hub.listen()) as stream:
        await anext(stream)
        nothing: Part[str] = Part(None, awaited=True)
        assert await behind.ask("t", ("t", "a"), 1, partial(slow, "first")) == nothing
        assert await behind.ask("t", ("t", "b"), 1, partial(slow, "old")) == nothing
        assert await behind.ask("t", ("t", "b"), 2, partial(slow, "new")) == nothing
        assert await behind.ask("t", ("t", "c"), 1, partial(attempt, "Heart", fail)) == nothing
        free.set()
        for _ in "abc":
            assert b"event: made" in await asyncio.wait_for(anext(stream), 5)
        assert await behind.ask("t", ("t", "a"), 1, partial(slow, "again")) == Part("first", awaited=False)
        assert await behind.ask("t", ("t", "b"), 1, partial(slow, "again")) == Part("new", awaited=False)
        lacks = Lacking("Heart", ("It cannot be.",))
        assert await behind.ask("t", ("t", "c"), 1, partial(slow, "again")) == Part(lacks, awaited=False)
        free.clear()
        assert await behind.ask("t", ("t", "a"), 2, partial(slow, "newer")) == Part("first", awaited=True)
        free.set()
        assert b"event: made" in await asyncio.wait_for(anext(stream), 5)
        assert await behind.ask("t", ("t", "a"), 2, partial(slow, "again")) == Part("newer", awaited=False)

    def full() -> str:
        raise StoreFull("The disk is full.")

    with pytest.raises(StoreFull):  # without a record there is no page
        await behind.ask("t", ("t", "d"), 1, partial(attempt, "Heart", full))


async def test_a_server_that_stops_keeps_what_it_has_begun(homes, tmp_path):
    shutil.copytree(homes["pulled"], tmp_path / "home")
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        twin = only(home)
    command = [sys.executable, "-m", "gateway.cli", "show", twin[:8], "--web", "--home", str(tmp_path / "home")]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        address = (await asyncio.wait_for(server.stdout.readline(), LONG)).decode()
        async with httpx.AsyncClient(timeout=LONG) as browser:
            assert (await browser.get(address.strip(), follow_redirects=True)).status_code == 200
    finally:
        server.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(server.communicate(), 2 * LONG)
    assert (server.returncode, said) == (0, b"")
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        kept = home.store.state(twin, "circulation", "ensemble")
        assert kept is not None
        assert kept.revision == 1

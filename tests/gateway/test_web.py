"""The page of one twin."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.web import web_app
from gateway.web.forms import token_of

KEY = "a-key-of-this-test"
GENDER = "female"


def resources() -> list[dict[str, object]]:
    quantity = {"value": 1.4, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}
    return [
        {
            "resourceType": "Patient",
            "id": "p1",
            "name": [{"family": "<script>alert(1)</script>", "given": ["Ada"]}],
            "gender": GENDER,
            "birthDate": "1956-02-03",
        },
        *(
            {
                "resourceType": "Observation",
                "id": f"o{year}",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "<b>Creatinine</b>"}]},
                "subject": {"reference": "Patient/p1"},
                "effectiveDateTime": f"{year}-03-04T05:06:07Z",
                "valueQuantity": quantity,
            }
            for year in (2025, 2026)
        ),
        {
            "resourceType": "Condition",
            "id": "c1",
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": "<i>odd</i>"}]},
            "subject": {"reference": "Patient/p1"},
            "onsetDateTime": "2020-01-01",
        },
    ]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.ndjson").write_text("\n".join(map(json.dumps, resources())), "utf-8")
    with Home.open(load_settings(tmp_path / "home")) as opened:
        await ingest(opened, Folder("files", folder, "r4"), lambda text: None)
        yield opened


@pytest.fixture
async def browser(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web_app(home, KEY))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_without_the_key_there_is_no_page_and_no_reading(home, browser):
    [twin] = home.store.twins()
    before = len(home.store.audit_rows())
    for address in (f"/twins/{twin.id}", f"/enter?key=wrong&twin={twin.id}"):
        answer = await browser.get(address)
        assert answer.status_code == 403
        assert GENDER not in answer.text.lower()
    assert len(home.store.audit_rows()) == before


async def test_the_page_shows_the_twin_and_its_opening_is_recorded(home, browser):
    [twin] = home.store.twins()
    before = len(home.store.audit_rows())
    page = await browser.get(f"/enter?key={KEY}&twin={twin.id}", follow_redirects=True)
    assert page.status_code == 200
    assert "Female, born 1956-02-03" in page.text
    assert page.text.count("<circle") == 2
    assert "simulated, not measured" in page.text
    assert "Estimated glomerular filtration rate" in page.text
    newest = home.store.audit_events(10)
    assert len(home.store.audit_rows()) > before
    assert any(e.event["subtype"][0]["code"] == "read" for e in newest)


async def test_what_varies_has_a_column_for_its_interval_that_a_screen_reader_can_name(home, browser):
    [twin] = home.store.twins()
    record = open_twin(home, twin.id)
    run, _ = run_model(home, record, "kidney")
    page = await browser.get(f"/enter?key={KEY}&twin={twin.id}", follow_redirects=True)
    assert "95 %" not in page.text  # an equation has no interval

    exact = msgspec.structs.replace(run.outputs[0], value=61.4)
    wide = msgspec.structs.replace(exact, name="wide", low=57.6, high=66.2)
    widened = msgspec.structs.replace(run, outputs=(wide, exact))
    home.store.save_run("ab" * 32, twin.id, "kidney", record.version, msgspec.json.encode(widened), now=now())
    page = await browser.get(f"/twins/{twin.id}")
    table, after = re.search(
        r'<section id="answers".*?<table>(.*?)</table>(.*?)<details', page.text, re.DOTALL
    ).groups()
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table) == ["Result", "Value", "Unit", "95 %"]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", table)[0::3] == ["61", "61"]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", table)[2::3] == ["58 to 66", ""]
    assert "the middle 95 % of the simulated ensemble" in after


async def test_what_an_ehr_wrote_is_text_and_never_markup(home, browser):
    [twin] = home.store.twins()
    page = await browser.get(f"/enter?key={KEY}&twin={twin.id}", follow_redirects=True)
    assert "&lt;i&gt;odd" in page.text
    assert "<i>odd" not in page.text
    assert page.text.count("<script") == page.text.count('<script src="/static/live.js" defer></script>') == 1
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


async def test_the_person_is_not_named_on_a_page_without_a_login(home, browser):
    [twin] = home.store.twins()
    page = await browser.get(f"/enter?key={KEY}&twin={twin.id}", follow_redirects=True)
    assert "Ada" not in page.text


async def test_a_twin_without_a_sensor_says_what_is_missing_and_how_to_get_it(home, browser):
    [twin] = home.store.twins()
    page = (await browser.get(f"/enter?key={KEY}&twin={twin.id}", follow_redirects=True)).text
    missing = page[page.index('id="lacking-1"') :]
    assert "Glucose under meals and insulin" in missing
    assert "no usable readings" in missing
    assert "twin pull" in missing
    assert "<form" not in page


async def test_a_form_of_a_model_that_cannot_run_is_answered_on_the_page(home, browser):
    [twin] = home.store.twins()
    await browser.get(f"/enter?key={KEY}&twin={twin.id}")
    fields = {"token": token_of(KEY, twin.id), "model": "glucose", "hours": "2", "plan1.words": "20 g carbohydrate"}
    answer = await browser.post(f"/twins/{twin.id}/try", data=fields)
    assert answer.status_code == 422
    assert "no usable readings" in answer.text[answer.text.index('role="alert"') :]


async def test_another_host_name_gets_nothing(home):
    transport = httpx.ASGITransport(web_app(home, KEY))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
        assert (await client.get(f"/enter?key={KEY}")).status_code == 400


async def test_an_unknown_twin_is_not_found(browser):
    await browser.get(f"/enter?key={KEY}&twin=x")
    answer = await browser.get("/twins/00000000")
    assert answer.status_code == 404


async def test_the_list_of_twins_is_for_the_holder_of_the_key_and_names_nobody(home, browser):
    [twin] = home.store.twins()
    assert (await browser.get("/")).status_code == 403
    page = await browser.get(f"/enter?key={KEY}", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/")
    assert f'<a href="/twins/{twin.id}">{twin.id[:8]}</a>' in page.text
    assert "1 twin, none with warnings that stand" in page.text
    assert "none watched" in page.text
    assert "Ada" not in page.text
    assert "1956" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert (await browser.get(f"/twins/{twin.id}")).text.count('<a href="/">all twins</a>') == 1

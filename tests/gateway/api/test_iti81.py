"""Auditors' systems search the audit log over HTTP as IHE ITI-81 says (I8), and are on record themselves."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from gateway.api import Auditors, audit_app
from gateway.api.audit_events import Asked, AuditEvents
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import System, fetch_event, read_event, run_event
from security.errors import BadSettings

BASE = "http://127.0.0.1:8425"
TOKENS = {"audit-office": "a" * 43, "ombudsman": "b" * 43}
NORTH = System("north", "https://north.example.org/fhir")


def fill(home: Home) -> None:
    for n in range(6):
        access = home.access(patient=f"t{n % 2}", what=(f"Observation/{n}",), peer=NORTH, request_id=f"r{n}")
        home.store.append_audit([fetch_event(access), read_event(replace(access, peer=None))])
    failed = home.access(patient="t1", outcome="8", reason="missing-data")
    home.store.append_audit([run_event(failed, run="run-1", model="kidney")])


@pytest.fixture
def home(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as opened:
        fill(opened)
        yield opened


@pytest.fixture
async def auditor(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(audit_app(home, Auditors(TOKENS), BASE), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKENS['audit-office']}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


def numbers(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(entry["resource"]["id"]) for entry in answer.json().get("entry", [])]


def link(answer: httpx.Response, relation: str) -> str | None:
    return next((each["url"] for each in answer.json()["link"] if each["relation"] == relation), None)


async def test_a_search_is_a_valid_searchset_of_audit_events_newest_first(auditor):
    answer = await auditor.get("/AuditEvent", params={"patient": "Patient/t1"})
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["cache-control"] == "no-store"
    assert numbers(answer) == [13, 12, 11, 8, 7, 4, 3]
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 7)
    assert {entry["fullUrl"] for entry in bundle["entry"]} >= {f"{BASE}/AuditEvent/13"}
    Bundle.model_validate_json(answer.content)
    assert bundle["entry"][0]["resource"]["meta"]["lastUpdated"] == bundle["entry"][0]["resource"]["recorded"]


DCM = "http://dicom.nema.org/resources/ontology/DCM"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("outcome=8", [13]),
        ("outcome=4,8", [13]),
        ("outcome=http://terminology.hl7.org/CodeSystem/audit-event-outcome|8", [13]),
        ("_id=3,4,99", [4, 3]),
        ("_id=4&patient=t0", []),
        ("patient=t1&outcome=8", [13]),
        ("patient.identifier=urn:fhirtwin:twin|t1&_count=1", [13]),
        ("patient:identifier=t1&_count=1", [13]),
        ("patient=t1&patient=t0", []),
        ("agent.identifier=north&_count=2", [11, 9]),
        ("agent.identifier=urn:fhirtwin:system|north&_count=1", [11]),
        ("agent.identifier=http://elsewhere|north", []),
        ("entity=Observation/3", [8, 7]),
        ("entity.identifier=run-1", [13]),
        ("entity.identifier=r2", [6, 5]),
        ("entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type|1&outcome=8", [13]),
        ("entity-role=20", [13]),
        ("source.identifier=fhirtwin&_count=1", [13]),
        ("source.identifier=other", []),
        ("type=rest&_count=1", [12]),
        ("type=http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle|originate", [13]),
        ("subtype=run", [13]),
        ("subtype=read&entity=Observation/5", [12, 11]),
        ("address=HTTPS://North&_count=1", [11]),
        ("address:exact=https://north.example.org/fhir&_count=1", [11]),
        ("address:exact=https://north", []),
        ("date=ge2000&date=le2001", []),
        ("date=ge2000&date=lt2100-01-01&outcome=8", [13]),
        ("_lastUpdated=gt2100", []),
        ("date=2000-02-29", []),
        ("_format=json&outcome=8", [13]),
    ],
)
async def test_each_parameter_of_iti_81_finds_what_it_says(auditor, asked, found):
    assert numbers(await auditor.get(f"/AuditEvent?{asked}")) == found


async def test_a_date_has_the_precision_that_it_is_told_with(auditor, home):
    when = home.store.audit_event(13).event["recorded"]
    for asked, there in [
        (f"date={when}", True),
        (f"date=ge{when}", True),
        (f"date=le{when}", True),
        (f"date=gt{when}", False),
        (f"date=lt{when}", False),
        (f"date={when[:19]}Z", True),
        (f"date={when[:16]}Z", True),
        (f"date={when[:10]}", True),
        (f"date={when[:7]}", True),
        (f"date=sa{when[:4]}", False),
        (f"date=eb{when[:4]}", False),
    ]:
        answer = await auditor.get(f"/AuditEvent?_count=1&outcome=8&{asked}")
        assert (numbers(answer) == [13]) is there, asked


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("name=Ada", 400, "not-supported"),
        ("patient.name=Ada", 400, "not-supported"),
        ("_include=AuditEvent:patient", 400, "not-supported"),
        ("type:not=rest", 400, "not-supported"),
        ("_sort=date", 400, "not-supported"),
        ("_count=0", 400, "not-supported"),
        ("date=ap2026", 400, "not-supported"),
        ("date=yesterday", 400, "invalid"),
        ("date=2026-02-31", 400, "invalid"),
        ("type=", 400, "invalid"),
        ("type=|", 400, "invalid"),
        ("_format=xml", 406, "not-supported"),
        ("_page=abc", 404, "not-found"),
        ("x=%ff", 400, "invalid"),
        ("&".join(["type=rest"] * 41), 400, "too-costly"),
    ],
)
async def test_what_is_not_answered_is_refused_in_fhirs_words_and_not_left_out(auditor, home, asked, status, code):
    answer = await auditor.get(f"/AuditEvent?{asked}")
    assert answer.status_code == status
    outcome = answer.json()
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", code)
    assert "Ada" not in answer.text
    newest = home.store.search_audit(limit=1).entries[0].event
    assert (newest["outcome"], newest["outcomeDesc"]) == ("4", "not-understood")


async def test_pages_follow_each_other_and_are_whole(auditor):
    answer = await auditor.get("/AuditEvent", params={"type": "rest", "_count": 5})
    assert "total" not in answer.json()
    found = numbers(answer)
    while further := link(answer, "next"):
        assert "rest" not in further  # the token tells nothing
        answer = await auditor.get(further)
        found += numbers(answer)
    assert found == list(range(12, 0, -1))


def test_a_page_that_is_costly_ends_early_and_goes_on(home):
    events = AuditEvents(home, BASE, patience=4)
    asked = Asked("audit-office", "x", b"GET /AuditEvent?address=https://n")
    parameters, found, pages = "address=https://n", [], 0
    while parameters:
        bundle = events.search(asked, parameters).body
        found += [int(entry["resource"]["id"]) for entry in bundle.get("entry", [])]
        pages += 1
        parameters = next((urlsplit(each["url"]).query for each in bundle["link"] if each["relation"] == "next"), "")
    assert pages > 3
    assert found == [11, 9, 7, 5, 3, 1]


async def test_the_next_page_is_for_its_caller_alone(auditor):
    further = link(await auditor.get("/AuditEvent?_count=1"), "next")
    token = dict(parse_qsl(urlsplit(further).query))["_page"]
    other = {"Authorization": f"Bearer {TOKENS['ombudsman']}"}
    assert (await auditor.get(further, headers=other)).status_code == 404
    raw = bytearray(base64.urlsafe_b64decode(token + "=="))
    for place in (0, 5, len(raw) // 2, len(raw) - 1):
        changed = bytearray(raw)
        changed[place] ^= 1
        told = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert (await auditor.get("/AuditEvent", params={"_page": told})).status_code == 404
    assert (await auditor.get("/AuditEvent", params={"_page": token, "type": "rest"})).status_code == 400
    assert (await auditor.get(further)).status_code == 200


@pytest.mark.parametrize(
    "said", ["", "Bearer ", "Bearer x", f"Basic {'a' * 43}", f"Bearer {'a' * 42}", f"Bearer {'a' * 43}b"]
)
async def test_who_shows_no_token_is_told_nothing_and_is_on_record(auditor, home, said):
    answer = await auditor.get("/AuditEvent?patient=t1", headers={"Authorization": said})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "entry" not in answer.json()
    newest = home.store.search_audit(limit=1).entries[0].event
    assert (newest["outcome"], newest["outcomeDesc"]) == ("8", "not-authenticated")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *((method, "/AuditEvent/1", "GET") for method in ("PUT", "PATCH", "DELETE", "POST")),
        *((method, "/AuditEvent", "GET") for method in ("POST", "PUT", "PATCH", "DELETE")),
        *((method, "/AuditEvent/_search", "POST") for method in ("GET", "PUT", "DELETE")),
    ],
)
async def test_nobody_writes_events_over_http(auditor, home, method, path, allowed):
    before = home.store.audit_rows()
    answer = await auditor.request(method, path, json={"resourceType": "AuditEvent"})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["resourceType"] == "OperationOutcome"
    rows = home.store.audit_rows()
    assert rows[: len(before)] == before
    newest = home.store.audit_event(len(rows)).event
    assert (newest["outcomeDesc"], newest["subtype"][0]["code"]) == ("not-allowed", "ITI-81")


async def test_a_posted_search_is_the_same_search(auditor, home):
    answer = await auditor.post("/AuditEvent/_search?type=rest", data={"patient": "t1", "_count": "2"})
    assert numbers(answer) == [12, 11]
    assert numbers(await auditor.get(link(answer, "self"))) == [12, 11]
    recorded = home.store.audit_event(14).event
    [query] = [entity["query"] for entity in recorded["entity"] if "query" in entity]
    assert base64.b64decode(query) == b"POST /AuditEvent/_search?type=rest\n\npatient=t1&_count=2"
    json_body = await auditor.post("/AuditEvent/_search", json={"patient": "t1"})
    assert json_body.status_code == 415


async def test_each_search_is_recorded_with_who_asked_what_and_what_was_shown(auditor, home):
    answer = await auditor.get("/AuditEvent?patient=t1&_count=2", headers={"X-Request-Id": "theirs-7"})
    assert answer.headers["x-request-id"] == "theirs-7"
    event = home.store.audit_event(14).event
    assert event["subtype"] == [{"system": "urn:ihe:event-type-code", "code": "ITI-81"}]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "HCOMPL"
    [user] = [agent for agent in event["agent"] if agent["requestor"]]
    assert user["who"]["identifier"]["value"] == "auditor:audit-office"
    told = [entity["what"].get("reference") for entity in event["entity"] if "what" in entity]
    assert {"Patient/t1", "AuditEvent/13", "AuditEvent/12"} <= set(told)
    assert numbers(await auditor.get("/AuditEvent?entity.identifier=theirs-7")) == [14]
    assert numbers(await auditor.get("/AuditEvent?agent.identifier=auditor:audit-office&_count=1")) == [15]
    assert TOKENS["audit-office"] not in str([home.store.audit_event(n).event for n in (14, 15, 16)])


async def test_a_request_id_that_could_forge_a_line_is_replaced(auditor):
    answer = await auditor.get("/AuditEvent?_count=1", headers={"X-Request-Id": "a b;\tc"})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


async def test_where_the_search_cannot_be_recorded_nothing_leaves(auditor, home):
    """I7: somebody changed the log, so that nothing more is signed; whoever asks gets no event."""
    with closing(sqlite3.connect(home.settings.home / "twin.db")) as connection, connection:
        connection.execute("DELETE FROM audit_state")
    for path in ("/AuditEvent?patient=t1", "/AuditEvent/13", "/AuditEvent?name=x"):
        answer = await auditor.get(path)
        assert (answer.status_code, answer.json()["resourceType"]) == (503, "OperationOutcome")
        assert answer.headers["retry-after"] == "30"
        assert "t1" not in answer.text


async def test_one_event_is_read_by_its_number(auditor):
    answer = await auditor.get("/AuditEvent/13")
    assert (answer.json()["id"], answer.json()["outcome"]) == ("13", "8")
    for wrong in ("99", "0", "x", "013", "9" * 30):
        assert (await auditor.get(f"/AuditEvent/{wrong}")).status_code == 404


async def test_the_capability_statement_tells_exactly_what_is_answered(auditor):
    answer = await auditor.get("/metadata", headers={"Authorization": ""})
    assert answer.status_code == 200
    CapabilityStatement.model_validate_json(answer.content)
    [resource] = answer.json()["rest"][0]["resource"]
    assert [each["code"] for each in resource["interaction"]] == ["read", "search-type"]
    values = {"date": "2026", "token": "1", "string": "a", "reference": "X/1"}
    for parameter in resource["searchParam"]:
        told = await auditor.get("/AuditEvent", params={parameter["name"]: values[parameter["type"]]})
        assert told.status_code == 200, parameter
    iti_81 = {"date", "_id", "_lastUpdated", "address", "agent.identifier", "patient.identifier", "entity.identifier"}
    iti_81 |= {"entity-type", "entity-role", "source.identifier", "type", "subtype", "outcome"}
    assert iti_81 <= {each["name"] for each in resource["searchParam"]}


async def test_only_json_is_offered_and_only_our_own_name_is_answered_to(auditor):
    assert (await auditor.get("/AuditEvent", headers={"Accept": "application/fhir+xml"})).status_code == 406
    assert (await auditor.get("/AuditEvent", headers={"Host": "evil.example.org"})).status_code == 400
    assert (await auditor.get("/Patient/1")).json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"office {'a' * 43}\n", 0o644, "read by others"),
        ("office short\n", 0o600, "Line 1"),
        (f"office {'a' * 43}\noffice {'b' * 43}\n", 0o600, "Line 2"),
        (f"one {'a' * 43}\ntwo {'a' * 43}\n", 0o600, "Line 2"),
        ("# nobody yet\n", 0o600, "has none"),
    ],
)
def test_a_file_of_tokens_that_is_not_safe_is_refused(tmp_path, text, mode, said):
    file = tmp_path / "tokens"
    file.write_text(text, "utf-8")
    file.chmod(mode)
    with pytest.raises(BadSettings, match=said) as raised:
        Auditors.read(file)
    assert "a" * 20 not in str(raised.value)


def test_a_file_of_tokens_is_read_and_not_kept(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# who may\noffice\t{'a' * 43}\n", "utf-8")
    file.chmod(0o600)
    auditors = Auditors.read(file)
    assert auditors.who(f"Bearer {'a' * 43}") == "office"
    assert auditors.who(f"bearer  {'a' * 43} ") == "office"
    assert auditors.who("Bearer ") is None
    assert "aaa" not in repr(vars(auditors))

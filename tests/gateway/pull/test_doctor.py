from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from starlette.responses import JSONResponse, Response

from gateway.pull.connection import Connection
from gateway.pull.doctor import CHECKS, examine
from gateway.pull.keys import SigningKey, new_key
from gateway.pull.passwords import StaticBearer
from gateway.pull.tokens import BackendServices


@pytest.fixture
async def look(ehr, clock):
    """Examine the server as it is now; findings by check."""

    async def examined(auth=None, version=None, base=None, types=("Patient",), create=("Observation",)):
        connection = Connection(base or ehr.base, version, auth, clock=clock, sleep=clock.sleep)
        async with connection:
            return {f.check: f async for f in examine(connection, types=types, create=create)}

    ehr.resources = {"Patient": [{"resourceType": "Patient", "id": "p"}], "Observation": []}
    return examined


def smart(ehr, **changes):
    configuration = {"token_endpoint": f"{ehr.url}/auth/token", "capabilities": ["permission-v2"]}

    def hook(request):
        if request.url.path == "/fhir/.well-known/smart-configuration":
            return JSONResponse(configuration)
        if request.url.path == "/auth/token":
            scope = parse_qs(ehr.bodies[-1].decode())["scope"][0]
            return JSONResponse({"access_token": "t", "token_type": "Bearer", "scope": scope, **changes})
        return None

    ehr.hooks.append(hook)
    return BackendServices(
        ehr.base, "client", SigningKey.read(new_key()[0]), read=["Patient", "Observation"], create=["Observation"]
    )


async def test_a_healthy_server_passes_every_check_and_nothing_is_written(ehr, look):
    findings = await look(smart(ehr))
    assert {f.check: f.state for f in findings.values()} == {
        **dict.fromkeys((*CHECKS[:6], "read Patient", "write"), "ok")
    }
    assert findings["read Patient"].seen == "There are 1."
    assert {(r.method, r.url.path) for r in ehr.asked if r.method != "GET"} == {("POST", "/auth/token")}


async def test_a_server_that_is_not_there_is_told_and_the_rest_is_skipped(look):
    findings = await look(base="http://127.0.0.1:9/fhir")
    assert findings["metadata"].state == "failed"
    assert "Check url" in findings["metadata"].hint
    assert {findings[c].state for c in CHECKS[2:]} == {"skipped"}


async def test_a_login_page_is_told(ehr, look):
    ehr.once("metadata", Response("<html>", media_type="text/html"), 9)
    assert "login page" in (await look())["metadata"].hint


async def test_another_version_than_told_is_told(look):
    finding = (await look(version="stu3"))["version"]
    assert (finding.state, "fhir_version" in finding.hint) == ("failed", True)


async def test_a_refused_client_is_told_and_nothing_is_read(ehr, look):
    auth = smart(ehr)
    ehr.hooks.insert(
        0, lambda r: JSONResponse({"error": "invalid_client"}, 401) if r.url.path == "/auth/token" else None
    )
    findings = await look(auth)
    assert findings["smart"].state == "ok"
    assert findings["token"].state == "failed"
    assert "public key" in findings["token"].hint
    assert findings["read"].state == findings["write"].state == "skipped"


async def test_a_server_without_smart_is_told(ehr, look):
    auth = smart(ehr)
    ehr.hooks.clear()
    findings = await look(auth)
    assert findings["smart"].state == "failed"


async def test_scopes_that_are_missing_are_named_and_no_writing_follows(ehr, look):
    findings = await look(smart(ehr, scope="system/Patient.rs system/Observation.rs"))
    assert findings["scopes"].state == "warning"
    assert "Observation.c" in findings["scopes"].seen
    assert findings["write"].state == "failed"


async def test_a_type_that_we_may_not_read_is_told(ehr, look, refusal):
    ehr.once("Patient", JSONResponse(refusal("forbidden", "Jane Doe"), 403), 9)
    finding = (await look(StaticBearer("t")))["read Patient"]
    assert finding.state == "failed"
    assert "Jane" not in finding.seen + finding.hint


async def test_an_open_server_needs_no_token(look):
    findings = await look()
    assert [findings[c].state for c in ("smart", "token", "scopes")] == ["skipped"] * 3


@pytest.mark.parametrize(
    ("rest", "state"),
    [
        ({"interaction": []}, "ok"),  # no transactions: results go part by part
        ({"resource": [{"type": "DocumentReference", "interaction": [{"code": "create"}]}]}, "warning"),
        ({"resource": [{"type": "Patient"}]}, "failed"),
    ],
)
async def test_what_a_server_does_not_take_is_told(ehr, look, rest, state):
    told = ehr.metadata()
    told["rest"][0] |= rest
    ehr.once("metadata", JSONResponse(told), 9)
    assert (await look())["write"].state == state


async def test_a_reading_source_is_not_asked_about_writing(look):
    assert (await look(create=()))["write"].state == "skipped"


async def test_every_finding_that_is_not_fine_says_what_to_do(ehr, look):
    for findings in (await look(), await look(smart(ehr, scope="")), await look(base="http://127.0.0.1:9/fhir")):
        assert all(f.hint for f in findings.values() if f.state in ("warning", "failed"))

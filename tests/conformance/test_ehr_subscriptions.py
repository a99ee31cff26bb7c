"""The EHR that tells: what it takes, what it shows, and that what it sends is well-formed in each version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b

from conformance.hostile import EhrSettings
from conformance.hostile.subscriptions import TellingEhr
from security.errors import BadSettings

LABS = "http://example.org/topics/labs"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
MODELS: dict[str, Callable[[str], Any]] = {"r4": r4b, "r4b": r4b, "r5": r5}
SECRET = "Bearer a-secret-of-ours"
in_every_version = pytest.mark.parametrize("version", MODELS)


def backport(content: str = "full-resource", **channel: Any) -> dict[str, Any]:
    """Subscriptions Backport 1.1.0, the profile backport-subscription."""
    told = {
        "type": "rest-hook",
        "endpoint": "https://twin.example/notify",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": content}]},
        "header": [f"Authorization: {SECRET}"],
        "extension": [{"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": 60}],
        **channel,
    }
    return {"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": LABS, "channel": told}


def native(content: str = "full-resource", **changes: Any) -> dict[str, Any]:
    """FHIR R5 5.0.0 subscription.html."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "topic": LABS,
        "channelType": {"code": "rest-hook"},
        "endpoint": "https://twin.example/notify",
        "contentType": "application/fhir+json",
        "content": content,
        "parameter": [{"name": "Authorization", "value": SECRET}],
        "heartbeatPeriod": 60,
        **changes,
    }


def asked(version: str, content: str = "full-resource") -> dict[str, Any]:
    return native(content) if version == "r5" else backport(content)


@asynccontextmanager
async def telling(version: Any) -> AsyncIterator[tuple[TellingEhr, httpx.AsyncClient, list[httpx.Request]]]:
    """An EHR, a client of it, and what it sent."""
    sent: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    settings = EhrSettings(fhir_version=version, require_auth=False)
    ehr = TellingEhr({LABS: frozenset({"Observation"})}, settings, transport=httpx.MockTransport(receive))
    transport = httpx.ASGITransport(app=ehr.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"{ehr.base_url}/") as http:
        yield ehr, http, sent


@in_every_version
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
async def test_what_it_sends_and_answers_is_of_its_version(version, content, observation):
    async with telling(version) as (ehr, http, sent):
        made = await http.post("Subscription", json=asked(version, content))
        assert made.status_code == 201, made.text
        ehr.load(observation(id="a"), observation(id="b"))
        await ehr.deliver()
        status = (await http.get(f"Subscription/{made.json()['id']}/$status")).json()
        events = (await http.get(f"Subscription/{made.json()['id']}/$events")).json()
        bodies = [httpx.Response(200, content=request.content).json() for request in sent]
    assert len(bodies) == 3
    assert {request.headers["authorization"] for request in sent} == {SECRET}
    for bundle in (*bodies, status, events):
        MODELS[version]("Bundle").model_validate(bundle)
        assert bundle["entry"][0]["resource"]["resourceType"] == (
            "Parameters" if version == "r4" else "SubscriptionStatus"
        )
    kind = "subscription-notification" if version == "r5" else "history"
    assert [bundle["type"] for bundle in (*bodies, status, events)] == [kind] * 3 + ["searchset", kind]
    assert len(events["entry"]) == (3 if content == "full-resource" else 1)


@in_every_version
async def test_the_secret_is_shown_to_nobody(version):
    async with telling(version) as (_, http, _):
        made = await http.post("Subscription", json=asked(version))
        found = await http.get("Subscription", params={"url": "https://twin.example/notify"})
        assert found.json()["total"] == 1
        for answer in (made, found, await http.get(f"Subscription/{made.json()['id']}")):
            assert SECRET not in answer.text
            assert "https://twin.example/notify" in answer.text


@pytest.mark.parametrize(
    ("version", "resource", "status"),
    [
        ("r5", backport(), 422),
        ("r4", native(), 422),
        ("r4b", native(), 422),
        ("r5", native(topic="http://example.org/topics/other"), 422),
        ("r5", native(channelType={"code": "websocket"}), 422),
        ("r5", native(contentType="application/fhir+xml"), 422),
        ("r5", native(content=None), 422),
        ("r5", native(endpoint="http://twin.example/notify"), 422),
        ("r5", native(filterBy=[{"resourceType": "Observation", "filterParameter": "code", "value": "x"}]), 422),
        ("r5", native(filterBy=[{"resourceType": "Encounter", "filterParameter": "patient", "value": "x"}]), 422),
        ("r5", native(filterBy=[{"filterParameter": "patient", "value": "x", "modifier": "not"}]), 422),
        ("r4b", backport(type="websocket"), 422),
        ("r4b", backport("everything"), 422),
        ("r5", {"resourceType": "Patient"}, 400),
    ],
)
async def test_what_it_will_not_honour_it_does_not_take(version, resource, status):
    async with telling(version) as (ehr, http, _):
        resource = {key: value for key, value in resource.items() if value is not None}
        assert (await http.post("Subscription", json=resource)).status_code == status
        assert not ehr.subscriptions


@in_every_version
async def test_a_filter_is_of_its_patient_only(version, observation):
    filters = [{"resourceType": "Observation", "filterParameter": "patient", "value": "Patient/p2"}]
    extension = [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": "Observation?patient=Patient/p2"}]
    told = native(filterBy=filters) if version == "r5" else {**backport(), "_criteria": {"extension": extension}}
    async with telling(version) as (ehr, http, sent):
        assert (await http.post("Subscription", json=told)).status_code == 201
        ehr.load(observation(id="a"), observation(id="b", subject={"reference": "Patient/p2"}))
        await ehr.deliver()
    assert len(sent) == 2
    assert b'"id":"b"' in sent[1].content


@pytest.mark.parametrize("version", ["dstu2", "stu3"])
def test_before_r4_there_are_no_topics(version):
    with pytest.raises(BadSettings):
        TellingEhr({}, EhrSettings(fhir_version=version))

"""What a server that we did not write tells by rest-hook to who subscribed to a topic, in R5, R4B and R4 (backport)."""

from __future__ import annotations

import http.server
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
TOPIC_OF_R4 = "http://fhirtwin.example/topics/observations"  # Topics.java
SECRET = "Bearer of-one-test-only"
JSON = "application/fhir+json"
WAIT_SECONDS = 60


class Hook:
    """An address on loopback that keeps what is posted to it; it gives the answers that it was told, then 204."""

    def __init__(self, server: http.server.ThreadingHTTPServer, *first_answers: int) -> None:
        self.address = f"http://127.0.0.1:{server.server_port}/notify/{uuid4()}"
        self.answers = list(first_answers)
        self.posted: queue.Queue[tuple[str, dict[str, str], dict[str, Any]]] = queue.Queue()

    def next(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        """The path, the headers and the body of the next notification."""
        return self.posted.get(timeout=WAIT_SECONDS)


@contextmanager
def hook(*first_answers: int) -> Iterator[Hook]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(kept.answers.pop(0) if kept.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            kept.posted.put((self.path, dict(self.headers), body))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = Hook(server, *first_answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept
        server.shutdown()


@pytest.fixture(params=["r4", "r4b", "r5"])
def peer(request: pytest.FixtureRequest, hapi_server: HapiServer) -> Iterator[tuple[httpx.Client, str]]:
    headers = {"Content-Type": JSON, "Accept": JSON}
    with httpx.Client(base_url=f"{hapi_server.base(request.param)}/", headers=headers, timeout=120) as http_client:
        yield http_client, request.param


def create(peer: httpx.Client, resource: dict[str, Any]) -> str:
    answer = peer.post(resource["resourceType"], json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def topic(peer: httpx.Client, version: str) -> str:
    """The URL of a topic of all Observations: one of this test's own, but for R4, where operators define them."""
    if version == "r4":
        return TOPIC_OF_R4
    url = f"http://fhirtwin.example/topics/{uuid4()}"
    # HAPI compares the type as it stands; R5 would let the URL of its definition stand there too.
    trigger = {"resource": "Observation", "supportedInteraction": ["create", "update"]}
    told = {"resourceTrigger": [trigger], "canFilterBy": [{"resource": "Observation", "filterParameter": "subject"}]}
    create(peer, {"resourceType": "SubscriptionTopic", "url": url, "title": "a test", "status": "active"} | told)
    return url


def subscription(version: str, url: str, patient: str, address: str) -> dict[str, Any]:
    common = {"resourceType": "Subscription", "status": "requested", "reason": "a test"}
    if version == "r5":
        kind = {"system": "http://terminology.hl7.org/CodeSystem/subscription-channel-type", "code": "rest-hook"}
        return common | {
            "topic": url,
            "channelType": kind,
            "endpoint": address,
            "parameter": [{"name": "Authorization", "value": SECRET}],
            "contentType": JSON,
            "content": "full-resource",
            "filterBy": [{"resourceType": "Observation", "filterParameter": "subject", "value": patient}],
        }
    narrowed = {"url": f"{BACKPORT}/backport-filter-criteria", "valueString": f"Observation?subject={patient}"}
    content = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": "full-resource"}
    return common | {
        "meta": {"profile": [f"{BACKPORT}/backport-subscription"]},
        "criteria": url,
        "_criteria": {"extension": [narrowed]},
        "channel": {
            "type": "rest-hook",
            "endpoint": address,
            "payload": JSON,
            "_payload": {"extension": [content]},
            "header": [f"Authorization: {SECRET}"],
        },
    }


@contextmanager
def subscribed(peer: httpx.Client, version: str, patient: str, address: str) -> Iterator[str]:
    """A subscription that is active, for as long as a test needs it: HAPI goes on for a minute with what fails."""
    path = create(peer, subscription(version, topic(peer, version), patient, address))
    until = time.monotonic() + WAIT_SECONDS
    while peer.get(path).json()["status"] != "active":
        assert time.monotonic() < until, "the subscription did not become active"
        time.sleep(0.1)
    try:
        yield path
    finally:
        assert peer.delete(path).status_code == 200


def told(bundle: dict[str, Any]) -> dict[str, str]:
    """Read a notification of one event; its numbers as text, whatever the version makes of them."""
    status = bundle["entry"][0]["resource"]
    if status["resourceType"] == "SubscriptionStatus":
        [event] = status["notificationEvent"]
        return {
            "number": str(event["eventNumber"]),
            "count": str(status["eventsSinceSubscriptionStart"]),
            "focus": event["focus"]["reference"],
            "subscription": status["subscription"]["reference"],
            "type": status["type"],
        }
    parts = {part["name"]: part for part in status["parameter"]}
    event = {part["name"]: part for part in parts["notification-event"]["part"]}
    return {
        "number": event["event-number"]["valueString"],
        "count": parts["events-since-subscription-start"]["valueString"],
        "focus": event["focus"]["valueReference"]["reference"],
        "subscription": parts["subscription"]["valueReference"]["reference"],
        "type": parts["type"]["valueCode"],
    }


def observation(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": {"text": "measured"},
        "subject": {"reference": patient},
    }


def test_each_change_is_told_once_with_its_number_and_the_secret(peer: tuple[httpx.Client, str]) -> None:
    ehr, version = peer
    patient = create(ehr, {"resourceType": "Patient", "active": True})
    with hook() as ours, subscribed(ehr, version, patient, ours.address) as path:
        measured = create(ehr, observation(patient))
        events = [ours.next()]
        assert (
            ehr.put(measured, json=observation(patient) | {"id": measured[12:], "status": "final"}).status_code == 200
        )
        events.append(ours.next())
        for number, (address, headers, bundle) in enumerate(events, 1):
            assert ours.address.endswith(address)
            assert headers["Authorization"] == SECRET
            assert headers["Content-Type"].startswith(JSON)
            assert bundle["type"] == ("subscription-notification" if version == "r5" else "history")
            said = told(bundle)
            assert (said["number"], said["count"], said["type"]) == (str(number), str(number), "event-notification")
            assert said["focus"].split("/_history")[0] == measured
            assert said["subscription"] == path
            assert bundle["entry"][1]["resource"]["status"] == ("preliminary", "final")[number - 1]
        assert ours.posted.empty()


@pytest.mark.parametrize("peer", ["r5"], indirect=True)
def test_an_answer_without_fhir_in_it_is_taken_for_a_failure_and_the_event_sent_again(
    peer: tuple[httpx.Client, str],
) -> None:
    """HAPI reads our answer as that to a transaction (hapi-fhir-jpaserver-starter#677): 204 says that there is none."""
    ehr, version = peer
    patient = create(ehr, {"resourceType": "Patient", "active": True})
    with hook(200, 503) as ours, subscribed(ehr, version, patient, ours.address):
        create(ehr, observation(patient))
        sent = [ours.next()[2] for _ in range(3)]
        assert sent[0] == sent[1] == sent[2]


def test_what_hapi_does_not_have_it_says(peer: tuple[httpx.Client, str]) -> None:
    ehr, version = peer
    with hook() as ours, subscribed(ehr, version, create(ehr, {"resourceType": "Patient"}), ours.address) as path:
        for operation in ("$status", "$events?eventsSinceNumber=1"):
            answer = ehr.get(f"{path}/{operation}")
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported")
        assert ours.posted.empty(), "there is a handshake now"

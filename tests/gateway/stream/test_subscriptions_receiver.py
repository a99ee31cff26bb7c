"""The door: who has the secret comes in, and 204 is said of what is stored only."""

from __future__ import annotations

import json
import logging

import pytest

from gateway.stream.subscriptions import receiver
from gateway.stream.subscriptions.receiver import receive
from gateway.stream.subscriptions.secret import Door, Secret
from security.errors import StoreFull

SECRET, OTHER = Secret.new(), Secret.new()
DOORS = (Door("labs", SECRET.digest, "admission"), Door("new", OTHER.digest))


def body(kind="event-notification", subscription="admission"):
    focus = {"name": "focus", "valueReference": {"reference": "Encounter/e1"}}
    parts = [{"name": "event-number", "valueString": "1"}, focus]
    told = [
        {
            "name": "subscription",
            "valueReference": {"reference": f"https://example.org/fhir/Subscription/{subscription}"},
        },
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": "1"},
        {"name": "notification-event", "part": parts},
    ]
    status = {"resourceType": "Parameters", "parameter": told}
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}).encode()


def headers(secret=SECRET, **changes):
    return {"authorization": f"Bearer {secret.token}", "content-type": "application/fhir+json", **changes}


class Shelf:
    """A store that fails where it is told to."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault, self.kept = fault, []

    async def keep(self, door, notification, raw):
        if self.fault is not None:
            raise self.fault
        self.kept.append((door.name, notification.type, raw))


def outcome(answer):
    told = json.loads(answer.outcome)
    assert told["resourceType"] == "OperationOutcome"
    return told["issue"][0]["code"]


@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "event-notification"])
async def test_what_is_stored_is_answered_with_200(kind):
    shelf = Shelf()
    answer = await receive(headers(), body(kind), DOORS, shelf.keep)
    assert (answer.status, answer.outcome) == (204, b"")
    assert shelf.kept == [("labs", kind, body(kind))]
    assert answer.notification is not None
    assert answer.notification.type == kind


@pytest.mark.parametrize("fault", [StoreFull("The disk is full."), OSError(28, "no space"), TimeoutError()])
async def test_what_cannot_be_stored_is_asked_for_again(fault):
    answer = await receive(headers(), body(), DOORS, Shelf(fault).keep)
    assert (answer.status, outcome(answer)) == (503, "transient")
    assert answer.headers["Retry-After"]
    assert answer.notification is None


async def test_a_bug_is_not_hidden_and_not_acknowledged():
    with pytest.raises(ZeroDivisionError):
        await receive(headers(), body(), DOORS, Shelf(ZeroDivisionError()).keep)


@pytest.mark.parametrize(
    "shown",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {SECRET.token}"}, {"authorization": "Bearer"}],
)
@pytest.mark.parametrize("sent", [body(), body(subscription="other"), b"{", b"x" * 100])
async def test_without_the_secret_all_are_told_the_same(shown, sent):
    shelf = Shelf()
    answer = await receive(shown, sent, DOORS, shelf.keep)
    bare = await receive({}, b"", (), shelf.keep)
    assert answer == bare
    assert (answer.status, outcome(answer), shelf.kept) == (401, "login", [])
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_secret_is_good_for_its_own_subscription_only():
    shelf = Shelf()
    answer = await receive(headers(), body(subscription="other"), DOORS, shelf.keep)
    assert (answer.status, outcome(answer), shelf.kept) == (403, "forbidden", [])


async def test_a_handshake_may_come_before_the_id_is_known():
    answer = await receive(headers(OTHER), body("handshake", "whatever"), DOORS, Shelf().keep)
    assert answer.status == 204


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"", 400, "structure"),
        (b'{"resourceType":"Patient"}', 400, "structure"),
        (body("gossip"), 400, "structure"),
        (body()[:-9], 400, "structure"),
    ],
)
async def test_what_is_malformed_is_refused_with_a_reason(sent, status, code):
    answer = await receive(headers(), sent, DOORS, Shelf().keep)
    assert (answer.status, outcome(answer)) == (status, code)
    assert b"Encounter" not in answer.outcome


@pytest.mark.parametrize("change", [{"content-type": "application/fhir+xml"}, {"content-encoding": "gzip"}])
async def test_only_plain_json_is_read(change):
    answer = await receive(headers(**change), body(), DOORS, Shelf().keep)
    assert (answer.status, outcome(answer)) == (415, "not-supported")


async def test_a_body_that_is_too_large_is_not_parsed(monkeypatch):
    monkeypatch.setattr(receiver, "LARGEST_BODY", 100)
    answer = await receive(headers(), body(), DOORS, Shelf().keep)
    assert (answer.status, outcome(answer)) == (413, "too-long")


async def test_nothing_is_logged_and_no_repr_tells(caplog):
    caplog.set_level(logging.DEBUG)
    answer = await receive(headers(), body(), DOORS, Shelf().keep)
    await receive(headers(), b'{"resourceType":"Encounter"}', DOORS, Shelf().keep)
    assert caplog.records == []
    assert "e1" not in repr(answer)
    assert SECRET.token not in repr(DOORS)

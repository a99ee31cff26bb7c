"""The Subscription that we ask for, and the secret that goes with it."""

from __future__ import annotations

import pytest

from gateway.stream.subscriptions.request import subscription_resource
from gateway.stream.subscriptions.secret import Door, Secret, knock
from gateway.stream.subscriptions.topic import Filter, Topic
from security.errors import BadSettings

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
HEADER = ("Authorization", "Bearer secret-token-abc-123")
ENDPOINT = "https://example.org/Endpoints/eae3806a-f7fb-4e3f-a14d-c4c58ca9c038"


def admission(**changes) -> Topic:
    told = {
        "url": "http://hl7.org/SubscriptionTopic/admission",
        "types": ("Encounter",),
        "filters": (Filter.read("Encounter?patient=Patient/123"),),
        "content": "id-only",
        "heartbeat_seconds": 86400,
        "timeout_seconds": 60,
        "max_count": 20,
    }
    return Topic(**{**told, **changes})


def test_r4_is_the_guides_own_example():
    """Subscriptions Backport 1.1.0, Subscription-subscription-admission.json, but for id, end, reason and status."""
    resource = subscription_resource("r4", admission(), ENDPOINT, HEADER)
    assert subscription_resource("r4b", admission(), ENDPOINT, HEADER) == resource  # the guide's profile is for both
    del resource["reason"]
    assert resource == {
        "resourceType": "Subscription",
        "meta": {"profile": [f"{BACKPORT}/backport-subscription"]},
        "status": "requested",
        "criteria": "http://hl7.org/SubscriptionTopic/admission",
        "_criteria": {
            "extension": [
                {"url": f"{BACKPORT}/backport-filter-criteria", "valueString": "Encounter?patient=Patient/123"}
            ]
        },
        "channel": {
            "extension": [
                {"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": 86400},
                {"url": f"{BACKPORT}/backport-timeout", "valueUnsignedInt": 60},
                {"url": f"{BACKPORT}/backport-max-count", "valuePositiveInt": 20},
            ],
            "type": "rest-hook",
            "endpoint": ENDPOINT,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": "id-only"}]},
            "header": ["Authorization: Bearer secret-token-abc-123"],
        },
    }


def test_r5_says_the_same_in_elements():
    """FHIR R5 5.0.0 subscription.html."""
    resource = subscription_resource("r5", admission(), ENDPOINT, HEADER, id_="s1")
    assert resource["id"] == "s1"
    assert resource["topic"] == "http://hl7.org/SubscriptionTopic/admission"
    assert resource["channelType"]["code"] == "rest-hook"
    assert resource["parameter"] == [{"name": "Authorization", "value": "Bearer secret-token-abc-123"}]
    assert (resource["heartbeatPeriod"], resource["timeout"], resource["maxCount"]) == (86400, 60, 20)
    [filter_by] = resource["filterBy"]
    assert filter_by == {"resourceType": "Encounter", "filterParameter": "patient", "value": "Patient/123"}


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_what_is_not_asked_for_is_left_out(version):
    resource = subscription_resource(
        version, admission(filters=(), heartbeat_seconds=0, timeout_seconds=0, max_count=0), ENDPOINT, HEADER
    )
    assert not {"_criteria", "filterBy", "heartbeatPeriod", "timeout", "maxCount"} & set(resource)
    assert "extension" not in resource.get("channel", {})


@pytest.mark.parametrize(
    ("version", "endpoint", "header"),
    [
        ("r4", "http://example.org/notify", HEADER),
        ("r4", "ftp://example.org/notify", HEADER),
        ("r4", "https://user:password@example.org/notify", HEADER),
        ("r5", "http://example.org/notify", HEADER),
        ("stu3", ENDPOINT, HEADER),
        ("r4", ENDPOINT, ("Authorization", "Bearer a\r\nX-Other: b")),
    ],
)
def test_what_would_leak_or_cannot_be_is_refused(version, endpoint, header):
    with pytest.raises(BadSettings):
        subscription_resource(version, admission(), endpoint, header)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "admission"},
        {"types": ()},
        {"types": ("encounter",)},
        {"content": "everything"},
        {"heartbeat_seconds": -1},
    ],
)
def test_a_topic_that_nobody_can_mean_is_refused(changes):
    with pytest.raises(BadSettings):
        admission(**changes)


@pytest.mark.parametrize("text", ["Observation", "Observation?", "Observation?code", "observation?code=1", "O b?c=1"])
def test_a_filter_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadSettings):
        Filter.read(text)


def test_a_value_adds_no_second_condition():
    told = Filter("Observation", "code", "http://loinc.org|4548-4&subject=Patient/2", "in")
    assert told.criteria() == "Observation?code:in=http://loinc.org|4548-4%26subject%3DPatient/2"
    assert "4548-4" not in repr(told)


def test_each_secret_is_another_and_shows_itself_to_nobody():
    one, other = Secret.new(), Secret.new()
    assert one.token != other.token
    assert len(one.token) >= 43
    assert one.token not in repr(one)
    assert one.token.encode() not in one.digest


def test_a_secret_opens_its_own_door_only():
    one, other, former = Secret.new(), Secret.new(), Secret.new()
    doors = [Door("one", one.digest, former=former.digest), Door("other", other.digest)]
    assert knock({"authorization": f"Bearer {one.token}"}, doors) == doors[0]
    assert knock({"Authorization": f"bearer {former.token}"}, doors) == doors[0]
    assert knock(dict([other.header]), doors) == doors[1]


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x", "Bearer \ud800"]
)
def test_nothing_else_opens_any(shown):
    secret = Secret.new()
    headers = {"Authorization": shown.replace("{token}", secret.token)} if shown else {}
    assert knock(headers, [Door("one", secret.digest)]) is None

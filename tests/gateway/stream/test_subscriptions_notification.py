"""Notifications read, in the forms of R4, R4B and R5."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stream.subscriptions.notification import REASONS, Notification, Refusal, read_answer, read_notification

SUBSCRIPTION = "https://example.org/fhir/Subscription/admission"
TOPIC = "http://hl7.org/SubscriptionTopic/admission"
ENCOUNTER = "https://example.org/fhir/Encounter/551683b3-1477-41d1-b58e-32fe8b0047b0"
PATIENT = "https://example.org/fhir/Patient/1599eb66-431a-447c-a3de-6897fe9ae9a1"
WHEN = "2020-05-29T11:44:13.1882432-05:00"


def r4(kind="event-notification", status="active", count="2", events=(), **changes):
    """Make the Parameters of the guide's examples (Subscriptions Backport 1.1.0, Bundle-r4-notification-*)."""
    told = [
        {"name": "subscription", "valueReference": {"reference": SUBSCRIPTION}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": count},
        *events,
        *changes.get("more", ()),
    ]
    return {"resourceType": "Parameters", "parameter": [p for p in told if p["name"] not in changes.get("without", ())]}


def event(number="2", *references, when=WHEN):
    parts = [{"name": "event-number", "valueString": number}] if number else []
    parts += [{"name": "timestamp", "valueInstant": when}] if when else []
    names = ["focus", *["additional-context"] * len(references)]
    parts += [
        {"name": name, "valueReference": {"reference": each}} for name, each in zip(names, references, strict=False)
    ]
    return {"name": "notification-event", "part": parts}


def r5(kind="event-notification", count: object = "2", events=(), **changes):
    """Make a SubscriptionStatus as R4B and R5 have it."""
    return {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": kind,
        "eventsSinceSubscriptionStart": count,
        "notificationEvent": list(events),
        "subscription": {"reference": SUBSCRIPTION},
        "topic": TOPIC,
        **changes,
    }


def bundle(status, *entries, type_="history"):
    first = {
        "fullUrl": "urn:uuid:1",
        "resource": status,
        "request": {"method": "GET", "url": f"{SUBSCRIPTION}/$status"},
    }
    return json.dumps({"resourceType": "Bundle", "type": type_, "entry": [first, *entries]}).encode()


def entry(reference, method="POST"):
    type_, _, id_ = reference.rpartition("/")[0].rpartition("/")[2], "", reference.rpartition("/")[2]
    return {
        "fullUrl": reference,
        "resource": {"resourceType": type_, "id": id_},
        "request": {"method": method, "url": type_},
        "response": {"status": "201"},
    }


@pytest.mark.parametrize(
    ("kind", "status", "count"),
    [("handshake", "requested", 0), ("heartbeat", "active", 2), ("query-status", "error", 3)],
)
def test_the_guides_examples_without_events(kind, status, count):
    told = read_notification(bundle(r4(kind, status, str(count))))
    assert isinstance(told, Notification)
    assert (told.type, told.status, told.since_start) == (kind, status, count)
    assert (told.subscription_id, told.topic, told.events, told.reasons) == ("admission", TOPIC, (), ())


def test_empty_tells_only_that_something_happened():
    told = read_notification(bundle(r4(events=[event()])))
    [one] = told.events
    assert (one.number, one.when, one.content, one.references) == (2, WHEN, "empty", ())


def test_id_only_tells_what_to_fetch():
    told = read_notification(bundle(r4(events=[event("2", ENCOUNTER, PATIENT)])))
    [one] = told.events
    assert (one.content, one.references) == ("id-only", (ENCOUNTER, PATIENT))


def test_id_only_with_entries_that_hold_no_resource():
    """payloads.html#id-only: an entry may stand for each resource, with fullUrl and request."""
    shell = {"fullUrl": ENCOUNTER, "request": {"method": "POST", "url": "Encounter"}, "response": {"status": "201"}}
    [one] = read_notification(bundle(r4(events=[event("2", ENCOUNTER)]), shell)).events
    assert (one.content, one.references) == ("id-only", (ENCOUNTER,))


def test_full_resource_brings_the_bytes_that_came():
    raw = b'{"resourceType":"Encounter","id":"551683b3-1477-41d1-b58e-32fe8b0047b0","length":{"value":7.10}}'
    whole = bundle(r4(events=[event("2", ENCOUNTER, PATIENT)]), {**entry(ENCOUNTER), "resource": "HERE"})
    told = read_notification(whole.replace(b'"HERE"', raw))
    [one] = told.events
    assert [part.raw for part in one.parts] == [raw]
    assert (one.content, one.references) == ("full-resource", (PATIENT,))


def test_a_relative_reference_finds_its_entry_but_no_other_servers():
    [one] = read_notification(
        bundle(r4(events=[event("2", "Encounter/e1")]), entry("https://a/fhir/Encounter/e1"))
    ).events
    assert one.content == "full-resource"
    [one] = read_notification(
        bundle(r4(events=[event("2", "https://b/fhir/Encounter/e1")]), entry("https://a/fhir/Encounter/e1"))
    ).events
    assert one.content == "id-only"


def test_a_deletion_needs_no_fetch():
    gone = {"fullUrl": ENCOUNTER, "request": {"method": "DELETE", "url": "Encounter/1"}}
    [one] = read_notification(bundle(r4(events=[event("2", ENCOUNTER)]), gone)).events
    assert one.references == ()
    assert [part.deleted for part in one.parts] == [True]


@pytest.mark.parametrize(("type_", "count"), [("history", "2"), ("subscription-notification", "2"), ("history", 2)])
def test_r4b_and_r5_are_read_as_well(type_, count):
    """The event is that of hapifhir/org.hl7.fhir.core#1212: relative focus, no timestamp."""
    told = read_notification(
        bundle(r5(count=count, events=[{"eventNumber": count, "focus": {"reference": "Encounter/3"}}]), type_=type_)
    )
    assert told.since_start == 2
    [one] = told.events
    assert (one.number, one.when, one.references) == (2, "", ("Encounter/3",))


def test_codes_of_errors_are_kept_and_their_text_is_not():
    concept = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscription-error", "code": "no-response"}]
    }
    error = {"name": "error", "valueCodeableConcept": {**concept, "text": "for Mrs Example"}}
    told = read_notification(bundle(r4("query-status", "error", "3", more=[error])))
    assert told.errors == ("no-response",)


@pytest.mark.parametrize("number", ["", "0", "-1", "two", "1.0", "9" * 19, "9" * 30, "\u0662"])
def test_a_number_that_is_none_is_named_and_the_event_kept(number):
    told = read_notification(bundle(r4(events=[event(number, ENCOUNTER)])))
    assert told.reasons == ("no-event-number",)
    [one] = told.events
    assert (one.number, one.focus) == (None, ENCOUNTER)


def test_two_numbers_for_one_event_are_none():
    twice = event("2", ENCOUNTER)
    twice["part"].append({"name": "event-number", "valueString": "3"})
    assert read_notification(bundle(r4(events=[twice]))).reasons == ("no-event-number",)


def test_what_a_notification_lacks_is_named():
    told = read_notification(bundle(r4(without=("events-since-subscription-start",))))
    assert set(told.reasons) == {"no-event", "no-count"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b"<Bundle/>", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b'{"resourceType":"Bundle","type":"history","entry":[', "truncated"),
        (b'{"resourceType":"Patient"}', "not-fhir"),
        (b'{"resourceType":"Bundle","type":"history"}', "no-status"),
        (b'{"resourceType":"Bundle","type":"history","type":"history"}', "not-json"),
        (bundle(r4(), type_="searchset"), "wrong-bundle"),
        (bundle({"resourceType": "Patient"}), "no-status"),
        (bundle(r4(without=("subscription",))), "no-subscription"),
        (bundle(r4("gossip")), "unknown-type"),
        (bundle(r4(without=("type",))), "unknown-type"),
        (bundle(r4(status="asleep")), "unknown-status"),
        (bundle(r5(notificationEvent="none")), "no-status"),
    ],
)
def test_what_is_no_notification_is_refused_with_its_reason(body, reason):
    told = read_notification(body)
    assert told == Refusal(reason)
    assert str(told) == REASONS[reason]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_notification_or_a_refusal(body):
    assert isinstance(read_notification(body), Notification | Refusal)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "part", "valueString", "valueReference", "reference", "parameter"]), v, max_size=3
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_status_is_read_or_refused(value):
    assert isinstance(
        read_notification(bundle({"resourceType": "Parameters", "parameter": value})), Notification | Refusal
    )


def test_of_several_statuses_ours_is_taken():
    other = r4("query-status", "error", "9")
    other["parameter"][0]["valueReference"]["reference"] = "https://example.org/fhir/Subscription/other"
    found = [{"resource": other}, {"resource": r4("query-status", "active", "4")}]
    body = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": found}).encode()
    assert read_answer(body, "admission").since_start == 4
    assert read_answer(body, "third") == Refusal("no-status")

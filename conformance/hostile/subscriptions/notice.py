"""Notifications as they leave: a Bundle that begins with the status, in the shape of each version.

Sources: Subscriptions R5 Backport 1.1.0, notifications.html and payloads.html (R4: a Bundle of type history, the status
as Parameters by backport-subscription-status-r4, numbers as strings; R4B: the same Bundle, the status as a
SubscriptionStatus); FHIR R5 5.0.0 subscriptionstatus.html (a Bundle of type subscription-notification; numbers are
integer64, which JSON writes as strings, too).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from conformance.hostile import wire
from conformance.hostile.store import Held
from conformance.hostile.subscriptions.asked import PROFILE
from conformance.hostile.subscriptions.kept import Happening, Kept, Notice
from conformance.hostile.versions import FhirVersion

__all__ = ["notification", "status_answer"]


def notification(
    version: FhirVersion, base: str, kept: Kept, notice: Notice, now: datetime, *, is_curt: bool = False
) -> dict[str, Any]:
    """Write a notification, or the answer to `$events`, which is one; `is_curt` as in `Mischief`."""
    status = _status(version, base, kept, notice, now)
    first = {
        "fullUrl": f"urn:uuid:{status['id']}",
        "resource": status,
        "request": {"method": "GET", "url": f"{base}/Subscription/{kept.id}/$status"},
        "response": {"status": "200"},
    }
    entries = [first]
    if kept.asked.content == "full-resource":
        entries += [_entry(base, event.held) for event in notice.events]
    if is_curt:
        _shorten(entries, base, notice)
    type_ = "subscription-notification" if version == "r5" else "history"
    return {"resourceType": "Bundle", "type": type_, "timestamp": wire.instant(now), "entry": entries}


def _shorten(entries: list[dict[str, Any]], base: str, notice: Notice) -> None:
    """Tell the same in fewer words, in place."""
    status, *others = entries
    told = status["resource"]
    events = told.get("notificationEvent", [])
    told["eventsSinceSubscriptionStart"] = int(told["eventsSinceSubscriptionStart"])
    told["subscription"] = {"reference": told["subscription"]["reference"].removeprefix(f"{base}/")}
    for event, happened in zip(events, notice.events, strict=True):
        del event["timestamp"]
        event["eventNumber"] = int(event["eventNumber"])
        if "focus" in event:
            event["focus"] = {"reference": happened.held.location}
    for entry, happened in zip(others, notice.events, strict=False):
        entry["fullUrl"] = happened.held.location


def status_answer(version: FhirVersion, base: str, kept: Kept, now: datetime) -> dict[str, Any]:
    """Write the answer to `$status`."""
    status = _status(version, base, kept, Notice("query-status"), now)
    entry = {"fullUrl": f"urn:uuid:{status['id']}", "resource": status, "search": {"mode": "match"}}
    return {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [entry]}


def _entry(base: str, held: Held) -> dict[str, Any]:
    is_first = held.number == 1
    return {
        "fullUrl": f"{base}/{held.reference}",
        "resource": msgspec.Raw(held.body),
        "request": {"method": "POST", "url": held.type} if is_first else {"method": "PUT", "url": held.reference},
        "response": {"status": "201" if is_first else "200", "etag": held.etag},
    }


def _status(version: FhirVersion, base: str, kept: Kept, notice: Notice, now: datetime) -> dict[str, Any]:
    count = max([kept.count, *(event.number + notice.wrong for event in notice.events)])
    id_ = str(uuid5(NAMESPACE_URL, f"{base}/{kept.id}/{notice.type}/{wire.instant(now)}/{count}"))
    return (_parameters if version == "r4" else _subscription_status)(id_, base, kept, notice, count)


def _parameters(id_: str, base: str, kept: Kept, notice: Notice, count: int) -> dict[str, Any]:
    told: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{kept.id}"}},
        {"name": "status", "valueCode": kept.status},
        {"name": "type", "valueCode": notice.type},
        {"name": "events-since-subscription-start", "valueString": str(count)},
    ]
    if kept.asked.content != "empty":
        told.append({"name": "topic", "valueCanonical": kept.asked.topic})
    told += [_parts(base, kept, event, notice.wrong) for event in notice.events]
    profile = [f"{PROFILE}/backport-subscription-status-r4"]
    return {"resourceType": "Parameters", "id": id_, "meta": {"profile": profile}, "parameter": told}


def _parts(base: str, kept: Kept, event: Happening, wrong: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number + wrong)},
        {"name": "timestamp", "valueInstant": wire.instant(event.when)},
    ]
    if kept.asked.content != "empty":  # payloads.html#empty: no references
        parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{event.held.reference}"}})
    return {"name": "notification-event", "part": parts}


def _subscription_status(id_: str, base: str, kept: Kept, notice: Notice, count: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "resourceType": "SubscriptionStatus",
        "id": id_,
        "status": kept.status,
        "type": notice.type,
        "eventsSinceSubscriptionStart": str(count),
        "subscription": {"reference": f"{base}/Subscription/{kept.id}"},
    }
    if kept.asked.content != "empty":
        told["topic"] = kept.asked.topic
    if notice.events:
        told["notificationEvent"] = [_event(base, kept, event, notice.wrong) for event in notice.events]
    return told


def _event(base: str, kept: Kept, event: Happening, wrong: int) -> dict[str, Any]:
    told: dict[str, Any] = {"eventNumber": str(event.number + wrong), "timestamp": wire.instant(event.when)}
    if kept.asked.content != "empty":
        told["focus"] = {"reference": f"{base}/{event.held.reference}"}
    return told

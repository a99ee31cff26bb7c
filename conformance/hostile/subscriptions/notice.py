"""Notifications as they leave: a Bundle of type history that begins with the status as Parameters.

Source: Subscriptions R5 Backport 1.1.0, notifications.html, payloads.html and the R4 profiles
backport-subscription-notification-r4 and backport-subscription-status-r4, where all numbers are strings.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from conformance.hostile import wire
from conformance.hostile.store import Held
from conformance.hostile.subscriptions.kept import PROFILE, Happening, Kept, Notice

__all__ = ["notification", "status_answer"]


def notification(base: str, kept: Kept, notice: Notice, now: datetime) -> dict[str, Any]:
    """Write a notification, or the answer to `$events`, which is one."""
    status = _status(base, kept, notice, now)
    first = {
        "fullUrl": f"urn:uuid:{status['id']}",
        "resource": status,
        "request": {"method": "GET", "url": f"{base}/Subscription/{kept.id}/$status"},
        "response": {"status": "200"},
    }
    entries = [first]
    if kept.content == "full-resource":
        entries += [_entry(base, event.held) for event in notice.events]
    return {"resourceType": "Bundle", "type": "history", "timestamp": wire.instant(now), "entry": entries}


def status_answer(base: str, kept: Kept, now: datetime) -> dict[str, Any]:
    """Write the answer to `$status`."""
    status = _status(base, kept, Notice("query-status"), now)
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


def _status(base: str, kept: Kept, notice: Notice, now: datetime) -> dict[str, Any]:
    count = max([kept.count, *(event.number + notice.wrong for event in notice.events)])
    told: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{kept.id}"}},
        {"name": "status", "valueCode": kept.status},
        {"name": "type", "valueCode": notice.type},
        {"name": "events-since-subscription-start", "valueString": str(count)},
    ]
    if kept.content != "empty":
        told.append({"name": "topic", "valueCanonical": kept.resource["criteria"]})
    told += [_event(base, kept, event, notice.wrong) for event in notice.events]
    id_ = str(uuid5(NAMESPACE_URL, f"{base}/{kept.id}/{notice.type}/{wire.instant(now)}/{count}"))
    profile = [f"{PROFILE}/backport-subscription-status-r4"]
    return {"resourceType": "Parameters", "id": id_, "meta": {"profile": profile}, "parameter": told}


def _event(base: str, kept: Kept, event: Happening, wrong: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number + wrong)},
        {"name": "timestamp", "valueInstant": wire.instant(event.when)},
    ]
    if kept.content != "empty":  # payloads.html#empty: no references
        parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{event.held.reference}"}})
    return {"name": "notification-event", "part": parts}

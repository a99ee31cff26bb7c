"""The door at which an EHR delivers notifications: who has the secret comes in, and 2xx is said of what is stored only.

Transport is not decided here: a web server hands over headers and body, and sends back what it gets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.stream.subscriptions.notification import Notification, Refusal, read_notification
from gateway.stream.subscriptions.secret import Door, knock
from security.errors import Fault

__all__ = ["LARGEST_BODY", "Answer", "Store", "receive"]

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of a notification that we read; the web server should stop reading there as well."""

Store = Callable[[Door, Notification, bytes], Awaitable[None]]
"""Stores a notification for good before it returns; raises a `Fault` or an `OSError` where it cannot."""

_KINDS = ("application/fhir+json", "application/json", "application/json+fhir", "text/json")
_PLAIN = ("", "identity")
_RETRY_SECONDS = "30"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: status, headers, an OperationOutcome as JSON (b"" for none), and what was taken."""

    status: int
    outcome: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    notification: Notification | None = field(default=None, repr=False)


async def receive(
    headers: Mapping[str, str], body: bytes, doors: Iterable[Door], store: Store, *, largest: int | None = None
) -> Answer:
    """Take one POST of an EHR; a body of more than `largest` bytes (else `LARGEST_BODY`) is not read.

    - 401 where no secret, a wrong one or that of nobody is shown, all in the same words (RFC 6750 section 3);
    - 403 where the notification is about another subscription than the one whose secret was shown;
    - 413, 415, 400 for a body that is too large, not JSON or not a notification;
    - 503 where it could not be stored, so that the EHR sends it again;
    - 204 once it is stored: with 200 and nothing to read, HAPI takes it for a failure and sends it again for a minute
      (hapi-fhir-jpaserver-starter#677).

    The secret comes first: who has none is told nothing of how bodies are read. Nothing is logged here.
    """
    door = knock(headers, doors)
    if door is None:
        said = {"WWW-Authenticate": 'Bearer realm="notifications"'}
        return _refuse(401, "login", "This address is for those who were given its secret.", said)
    if len(body) > (LARGEST_BODY if largest is None else largest):
        return _refuse(413, "too-long", "The notification is larger than we read; lower max-count.")
    if not _is_plain_json(headers):
        return _refuse(415, "not-supported", "Notifications are read in JSON, unpacked.")
    told = read_notification(body)
    if isinstance(told, Refusal):
        return _refuse(400, "structure", str(told))
    # Another id is expected while a subscription is asked for anew: its handshake comes before we know its id.
    if door.subscription and told.subscription_id != door.subscription:
        return _refuse(403, "forbidden", "The secret is not that of this subscription.")
    try:
        await store(door, told, body)
    except (Fault, OSError):
        return _refuse(503, "transient", "It could not be stored; send it again.", {"Retry-After": _RETRY_SECONDS})
    return Answer(204, notification=told)


def _is_plain_json(headers: Mapping[str, str]) -> bool:
    said = {name.lower(): value.strip().lower() for name, value in headers.items()}
    kind = said.get("content-type", _KINDS[0]).partition(";")[0].strip()
    return kind in _KINDS and said.get("content-encoding", "") in _PLAIN


def _refuse(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    outcome = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    return Answer(status, outcome, {"Content-Type": "application/fhir+json", **(headers or {})})

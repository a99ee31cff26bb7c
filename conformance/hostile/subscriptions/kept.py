"""A subscription as the server keeps it: what was asked, what happened, what waits to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from conformance.hostile import wire
from conformance.hostile.judge import judge
from conformance.hostile.problem import Problem
from conformance.hostile.store import Held

__all__ = ["MEDIA_TYPE", "PROFILE", "Happening", "Kept", "Notice", "read_request"]

MEDIA_TYPE = "application/fhir+json"
PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTENTS = (["empty"], ["id-only"], ["full-resource"])


@dataclass(slots=True)
class Happening:
    """One event of one subscription."""

    number: int
    when: datetime
    held: Held


class Notice(NamedTuple):
    """One notification to be sent; `wrong` is added to the numbers that it tells."""

    type: str
    events: tuple[Happening, ...] = ()
    wrong: int = 0


@dataclass(slots=True)
class Kept:
    """One subscription as the server keeps it."""

    id: str
    resource: dict[str, Any]
    status: str = "requested"
    count: int = 0
    failures: int = 0
    started: datetime | None = None
    sent: datetime | None = None
    events: list[Happening] = field(default_factory=list)
    outbox: list[Notice] = field(default_factory=list)
    held_back: list[Notice] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def extension(self, path: str, name: str) -> list[Any]:
        """Return the values of an extension of this guide at a path such as "channel._payload"."""
        node: Any = self.resource
        for part in filter(None, path.split(".")):
            node = node.get(part) or {}
        found = [each for each in node.get("extension", []) if each.get("url") == f"{PROFILE}/{name}"]
        return [next(value for key, value in each.items() if key != "url") for each in found]

    @property
    def content(self) -> str:
        """How much a notification holds: "empty", "id-only" or "full-resource"."""
        return str(self.extension("channel._payload", "backport-payload-content")[0])

    @property
    def heartbeat(self) -> timedelta | None:
        """How often a sign of life was asked for."""
        told = self.extension("channel", "backport-heartbeat-period")
        return timedelta(seconds=told[0]) if told else None

    def is_first(self, what: str) -> bool:
        """Say whether something happens for the first time, and remember that it did."""
        is_new = what not in self.done
        self.done.add(what)
        return is_new

    def shown(self) -> dict[str, Any]:
        """Show the resource without the secrets in its headers (Subscriptions Backport 1.1.0, safety_security.html)."""
        channel = {key: value for key, value in self.resource["channel"].items() if key != "header"}
        return {**self.resource, "id": self.id, "status": self.status, "channel": channel}

    def matches(self, held: Held, types: frozenset[str]) -> bool:
        """Say whether what was written is an event of this subscription; a deletion is none."""
        if held.deleted or held.type not in types:
            return False
        resource = held.resource()
        for criteria in self.extension("_criteria", "backport-filter-criteria"):
            type_, _, condition = criteria.partition("?")
            wanted = dict(parse_qsl(condition)).values()
            names = {(resource.get(name) or {}).get("reference") for name in ("subject", "patient")}
            if type_ == held.type and not all(each in names for each in wanted):
                return False
        return True


def read_request(body: bytes, topics: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Refuse what this server will not honour (conformance.html; requirements 60, 63, 66, 75 of 1.1.0)."""
    try:
        resource = wire.decode(body)
    except wire.NotJson:
        raise Problem(400, "structure", "The body is not JSON.") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != "Subscription":
        raise Problem(400, "invalid", "The resource is no Subscription.")
    if fault := judge(resource, "r4"):
        raise Problem(422, "structure", fault)
    asked, channel = Kept("", resource), resource["channel"]
    topic, endpoint = resource["criteria"], urlsplit(channel.get("endpoint", ""))
    if topic not in topics:
        raise Problem(422, "not-supported", "This server does not have that topic.")
    if channel["type"] != "rest-hook" or asked.extension("channel._type", "backport-channel-type"):
        raise Problem(422, "not-supported", "This server has the channel rest-hook only.")
    if endpoint.scheme != "https" and endpoint.hostname not in _LOOPBACK:
        raise Problem(422, "value", "The endpoint is not https.")
    if channel.get("payload") != MEDIA_TYPE:
        raise Problem(422, "not-supported", f"This server sends {MEDIA_TYPE}.")
    if asked.extension("channel._payload", "backport-payload-content") not in _CONTENTS:
        raise Problem(422, "required", "The payload needs one backport-payload-content.")
    for criteria in asked.extension("_criteria", "backport-filter-criteria"):
        type_, _, condition = criteria.partition("?")
        known = [name in ("patient", "subject") for name, _ in parse_qsl(condition)]
        if type_ not in topics[topic] or not known or not all(known):
            raise Problem(422, "not-supported", "This server does not have that filter.")
    return resource

"""What a Subscription asks for, read from its two shapes: R4 and R4B with the Backport's extensions, and R5.

Sources: Subscriptions R5 Backport 1.1.0, StructureDefinition-backport-subscription.html (conformance.html; requirements
60, 63, 66 and 75); FHIR R5 5.0.0 subscription.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from conformance.hostile import wire
from conformance.hostile.judge import judge
from conformance.hostile.problem import Problem
from conformance.hostile.versions import FhirVersion

__all__ = ["MEDIA_TYPE", "PROFILE", "Asked", "Condition", "read_request", "without_secrets"]

MEDIA_TYPE = "application/fhir+json"
PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTENTS = frozenset({"empty", "id-only", "full-resource"})
_FILTERS = frozenset({"patient", "subject"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: of resources of a type, those whose parameter has the value."""

    type: str
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: of which topic, how much of it, where to and how often.

    `content` is "empty", "id-only" or "full-resource"; `heartbeat` how often a sign of life is wanted; `headers` go
    with each notification.
    """

    topic: str
    endpoint: str
    content: str
    headers: tuple[tuple[str, str], ...] = ()
    heartbeat: timedelta | None = None
    conditions: tuple[Condition, ...] = ()


def read_request(
    body: bytes, topics: Mapping[str, frozenset[str]], version: FhirVersion
) -> tuple[dict[str, Any], Asked]:
    """Return the resource and what it asks for; refuse what this server will not honour."""
    try:
        resource = wire.decode(body)
    except wire.NotJson:
        raise Problem(400, "structure", "The body is not JSON.") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != "Subscription":
        raise Problem(400, "invalid", "The resource is no Subscription.")
    if fault := judge(resource, version):
        raise Problem(422, "structure", fault)
    asked = _r5(resource) if version == "r5" else _backport(resource)
    if asked.topic not in topics:
        raise Problem(422, "not-supported", "This server does not have that topic.")
    endpoint = urlsplit(asked.endpoint)
    if endpoint.scheme != "https" and endpoint.hostname not in _LOOPBACK:
        raise Problem(422, "value", "The endpoint is not https.")
    if asked.content not in _CONTENTS:
        raise Problem(422, "required", "How much a notification holds has to be told, once.")
    for condition in asked.conditions:
        if condition.type not in topics[asked.topic] or condition.parameter not in _FILTERS:
            raise Problem(422, "not-supported", "This server does not have that filter.")
    return resource, asked


def without_secrets(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Show a Subscription without its headers (Subscriptions Backport 1.1.0, safety_security.html)."""
    shown = {key: value for key, value in resource.items() if key != "parameter"}
    if "channel" in shown:
        shown["channel"] = {key: value for key, value in shown["channel"].items() if key != "header"}
    return shown


def _backport(resource: Mapping[str, Any]) -> Asked:
    channel = resource["channel"]
    _refuse_channel(channel["type"], channel.get("payload"))
    if list(_extensions(channel.get("_type"), "channel-type")):
        raise Problem(422, "not-supported", "This server has the channel rest-hook only.")
    told = [line.partition(":")[::2] for line in channel.get("header", [])]
    contents = list(_extensions(channel.get("_payload"), "payload-content"))
    return Asked(
        resource["criteria"],
        channel.get("endpoint", ""),
        contents[0] if len(contents) == 1 else "",
        tuple((name.strip(), value.strip()) for name, value in told),
        _seconds(next(_extensions(channel, "heartbeat-period"), None)),
        tuple(_criteria(_extensions(resource.get("_criteria"), "filter-criteria"))),
    )


def _criteria(told: Iterator[str]) -> Iterator[Condition]:
    for criteria in told:
        type_, _, query = criteria.partition("?")
        pairs = parse_qsl(query)
        if not pairs:
            raise Problem(422, "not-supported", "This server does not have that filter.")
        yield from (Condition(type_, name, value) for name, value in pairs)


def _extensions(element: Mapping[str, Any] | None, name: str) -> Iterator[Any]:
    """Yield the values of an extension of the guide."""
    for each in (element or {}).get("extension", []):
        if each.get("url") == f"{PROFILE}/backport-{name}":
            yield next(value for key, value in each.items() if key != "url")


def _r5(resource: Mapping[str, Any]) -> Asked:
    _refuse_channel(resource["channelType"].get("code"), resource.get("contentType"))
    filters = resource.get("filterBy", [])
    if any("modifier" in each or "comparator" in each for each in filters):
        raise Problem(422, "not-supported", "This server does not have that filter.")
    return Asked(
        resource["topic"],
        resource.get("endpoint", ""),
        resource.get("content", ""),
        tuple((each["name"], each["value"]) for each in resource.get("parameter", [])),
        _seconds(resource.get("heartbeatPeriod")),
        tuple(Condition(f.get("resourceType", ""), f["filterParameter"], f["value"]) for f in filters),
    )


def _refuse_channel(type_: str | None, payload: str | None) -> None:
    if type_ != "rest-hook":
        raise Problem(422, "not-supported", "This server has the channel rest-hook only.")
    if payload != MEDIA_TYPE:
        raise Problem(422, "not-supported", f"This server sends {MEDIA_TYPE}.")


def _seconds(told: int | None) -> timedelta | None:
    return timedelta(seconds=int(told)) if told else None

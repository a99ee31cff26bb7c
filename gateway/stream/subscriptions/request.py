"""The Subscription resource that we put into an EHR: topic-based, over HTTP POST, in R4, R4B or R5.

Sources: Subscriptions R5 Backport 1.1.0, StructureDefinition-backport-subscription.html (R4 and R4B: the topic's URL
stands in `criteria`, the rest in extensions); FHIR R5 5.0.0 subscription.html. R4 is checked with the R4B classes of
fhir.resources, whose Subscription is R4's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from fhir.resources.R4B.subscription import Subscription as SubscriptionR4
from fhir.resources.subscription import Subscription as SubscriptionR5
from pydantic import ValidationError

from gateway.pull.origin import is_loopback
from gateway.stream.subscriptions.topic import Filter, Topic
from security.errors import BadSettings

__all__ = ["SPOKEN", "SubscriptionVersion", "subscription_resource"]

SubscriptionVersion = Literal["r4", "r4b", "r5"]
SPOKEN: Final[tuple[SubscriptionVersion, ...]] = get_args(SubscriptionVersion)
"""The FHIR versions that have subscriptions by topic."""

_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_CHANNEL_TYPES = "http://terminology.hl7.org/CodeSystem/subscription-channel-type"
_REASON = "Keeps a digital twin of the patient up to date"
_MEDIA_TYPE = "application/fhir+json"


def subscription_resource(
    version: SubscriptionVersion, topic: Topic, endpoint: str, header: tuple[str, str], *, id_: str = ""
) -> dict[str, Any]:
    """Render the Subscription that asks an EHR to POST a topic's notifications to `endpoint`.

    Parameters
    ----------
    header
        Name and value of the header in which the EHR shows our secret, from `Secret.header`. The resource holds the
        secret from then on: it goes to the EHR and nowhere else.
    id_
        The id that the EHR gave it; needed to ask for it again (an update), left out for a new one.

    Raises `BadSettings` for an endpoint that is neither https nor on this machine, and for a version or a header that
    cannot be.
    """
    parts = urlsplit(endpoint)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise BadSettings("The address for notifications is not protected.", hint="Give an address with https://.")
    if parts.username or parts.password or not parts.hostname:
        raise BadSettings("The address for notifications has no host, or a user in it.", hint="Give a plain https URL.")
    if any(c in "\r\n\0" for c in "".join(header)) or ":" in header[0]:
        raise BadSettings("The header of a subscription cannot have a line break or a colon in its name.")
    render = {"r4": _backport, "r4b": _backport, "r5": _r5}.get(version)
    if render is None:
        raise BadSettings("Subscriptions by topic are for R4, R4B and R5.", hint="Search an older server instead.")
    found = {"resourceType": "Subscription", **({"id": id_} if id_ else {}), **render(topic, endpoint, header)}
    _check(version, found)
    return found


def _backport(topic: Topic, endpoint: str, header: tuple[str, str]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": endpoint,
        "payload": _MEDIA_TYPE,
        "_payload": {"extension": [_extension("payload-content", "valueCode", topic.content)]},
        "header": [": ".join(header)],
    }
    told = (
        ("heartbeat-period", "valueUnsignedInt", topic.heartbeat_seconds),
        ("timeout", "valueUnsignedInt", topic.timeout_seconds),
        ("max-count", "valuePositiveInt", topic.max_count),
    )
    if extensions := [_extension(name, kind, value) for name, kind, value in told if value]:
        channel["extension"] = extensions
    filters = [_extension("filter-criteria", "valueString", each.criteria()) for each in topic.filters]
    return {
        "meta": {"profile": [f"{_BACKPORT}/backport-subscription"]},
        "status": "requested",
        "reason": _REASON,
        "criteria": topic.url,
        **({"_criteria": {"extension": filters}} if filters else {}),
        "channel": channel,
    }


def _r5(topic: Topic, endpoint: str, header: tuple[str, str]) -> dict[str, Any]:
    numbers = {
        "heartbeatPeriod": topic.heartbeat_seconds,
        "timeout": topic.timeout_seconds,
        "maxCount": topic.max_count,
    }
    return {
        "status": "requested",
        "topic": topic.url,
        "reason": _REASON,
        **({"filterBy": [_filter_by(each) for each in topic.filters]} if topic.filters else {}),
        "channelType": {"system": _CHANNEL_TYPES, "code": "rest-hook"},
        "endpoint": endpoint,
        "parameter": [{"name": header[0], "value": header[1]}],
        **{name: value for name, value in numbers.items() if value},
        "contentType": _MEDIA_TYPE,
        "content": topic.content,
    }


def _filter_by(each: Filter) -> dict[str, str]:
    found = {"resourceType": each.type, "filterParameter": each.parameter, "value": each.value}
    return {**found, "modifier": each.modifier} if each.modifier else found


def _extension(name: str, kind: str, value: str | int) -> dict[str, str | int]:
    return {"url": f"{_BACKPORT}/backport-{name}", kind: value}


def _check(version: SubscriptionVersion, resource: Mapping[str, Any]) -> None:
    try:
        if version == "r5":
            SubscriptionR5.model_validate(dict(resource))
        else:
            SubscriptionR4.model_validate(dict(resource))
    except ValidationError as error:
        places = sorted({".".join(map(str, e["loc"])) for e in error.errors(include_url=False, include_input=False)})
        raise BadSettings(
            f"The Subscription is not valid at {', '.join(places)[:80]}.", hint="Check topic and address.", detail=error
        ) from error

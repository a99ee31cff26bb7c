"""What stands at an EHR where a resource of ours was written, and whether it is still as we left it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from gateway.deliver.target import Target
from gateway.pull.wire import Reply
from gateway.store import Delivery
from mappers.outbound.names import RESULT_TAG
from mappers.outbound.returned import losses
from security.errors import NotFhir

__all__ = ["Present", "codes_of_tags", "is_as_left", "is_named", "look", "read_present", "reader"]

_GONE: Final = frozenset({404, 410})
_BY_THE_EHR: Final = frozenset({"meta", "subject", "patient"})
_ADDED: Final = frozenset({"id", "meta", "text", "implicitRules", "language"})  # elements that servers add

reader: Final = msgspec.json.Decoder(float_hook=Decimal)
"""Reads JSON with every digit of its numbers."""


@dataclass(frozen=True, slots=True)
class Present:
    """A resource as the EHR has it; `etag` is what If-Match can name, "" where the server tells no versions."""

    resource: dict[str, Any]
    version: str
    etag: str


async def look(target: Target, delivery: Delivery, reference: str) -> Present | None:
    """Read a resource, and not from a cache; `None` where it is not there any more."""
    target.demand(delivery.id)
    reply = await target.connection.get(reference, fresh=True, allow=_GONE)
    if reply.status in _GONE:
        return None
    return read_present(reply, reference)


def read_present(reply: Reply, reference: str) -> Present:
    """Read a resource from an answer; raises `NotFhir` where it is not the one that was asked for."""
    type_, _, id_ = reference.partition("/")
    try:
        body = reader.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotFhir("The server's copy of a result cannot be read.", hint="Run twin doctor.") from error
    if not isinstance(body, dict) or body.get("resourceType") != type_ or body.get("id") != id_:
        raise NotFhir("The server gives something else than the result that was asked for.", hint="Run twin doctor.")
    meta = body.get("meta")
    told = meta.get("versionId") if isinstance(meta, dict) else None
    header = reply.headers.get("etag", "").strip()
    version = told if isinstance(told, str) and told else header.removeprefix("W/").strip('"')
    return Present(body, version, header or (f'W/"{version}"' if version else ""))


def is_named(resource: Mapping[str, Any], uuid: str) -> bool:
    """Say whether a resource has our name of it: as an identifier (one, or several), or as a tag."""
    told = resource.get("identifier")
    names = [each.get("value") for each in (told if isinstance(told, list) else [told]) if isinstance(each, dict)]
    return f"urn:uuid:{uuid}" in names or uuid in codes_of_tags(resource, RESULT_TAG)


def codes_of_tags(resource: Mapping[str, Any], system: str) -> set[str]:
    """List the codes of its tags in one system."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    found = [each for each in tags if isinstance(each, dict)] if isinstance(tags, list) else []
    return {str(each.get("code")) for each in found if each.get("system") == system}


async def is_as_left(
    target: Target,
    delivery: Delivery,
    present: Present,
    reference: str,
    versions: Iterable[str],
    sent: Mapping[str, Any],
) -> bool:
    """Say whether it still says what we wrote: beside the version that we left, or else beside what we sent.

    The second goes by what is known of this server: what it never keeps, nobody took away.
    """
    for version in versions:
        target.demand(delivery.id)
        reply = await target.connection.get(f"{reference}/_history/{version}", allow=range(400, 500))
        if reply.status < 400:
            return _said_in(read_present(reply, reference).resource) == _said_in(present.resource)
    if not sent or present.resource.get("status") != sent.get("status"):
        return False
    if present.resource.keys() - sent.keys() - _ADDED:
        return False
    resolved = _with_addresses(dict(sent), present.resource)
    lost = {each.path for each in losses(resolved, present.resource) if _top(each.path) not in _BY_THE_EHR}
    return lost <= set(target.learned.losses.get(reference.partition("/")[0], ()))


def _said_in(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what an EHR changes by itself: what it notes in meta, and whose it is, when charts are merged."""
    return {name: part for name, part in resource.items() if name not in _BY_THE_EHR}


def _with_addresses(sent: Any, there: Any) -> Any:
    """Put the server's addresses in the place of our references within the transaction."""
    if isinstance(sent, dict) and isinstance(there, dict):
        return {name: _with_addresses(part, there.get(name)) for name, part in sent.items()}
    if isinstance(sent, list) and isinstance(there, list) and len(sent) == len(there):
        return [_with_addresses(one, other) for one, other in zip(sent, there, strict=True)]
    is_ours = isinstance(sent, str) and sent.startswith("urn:uuid:") and isinstance(there, str) and "/" in there
    return there if is_ours else sent


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]

"""Finds at an EHR what is ours: by our name of it, and only what really carries that name counts.

A server may not know the search parameter and refuse it, or ignore it and return everything: then the patient's
resources are looked through, within bounds. Its totals are never believed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from gateway.deliver.shipment import Item
from gateway.deliver.target import Target
from gateway.pull.bundle import Bundle, NotReadError, read_bundle
from gateway.pull.origin import ForeignUrlError
from mappers.outbound.names import RESULT_TAG
from security.errors import Fault, NotFhir

__all__ = ["OF_PATIENT", "Hit", "NotSearchedSo", "Unsearchable", "carries", "find_ours", "ours_among", "pages_of"]

_MOST_PAGES: Final = 50
_UNKNOWN: Final = frozenset({400, 403, 404, 405, 406, 410, 412, 422, 501})  # it does not search so
OF_PATIENT: Final = ("patient", "subject")


class Unsearchable(Fault):
    """The server cannot be asked whether something of ours is there."""

    code = "unsearchable"
    issue = "not-supported"


class NotSearchedSo(Fault):
    """The server does not know a search parameter, or returns more than can be looked through."""

    code = "not-searched-so"
    issue = "not-supported"


class Hit(msgspec.Struct, frozen=True):
    """One resource that carries our name: its address, version and time there, and its JSON as it was returned."""

    reference: str
    version: str
    written: str
    resource: bytes


class _Meta(msgspec.Struct):
    versionId: Any = ""  # noqa: N815  FHIR's spelling
    lastUpdated: Any = ""  # noqa: N815  FHIR's spelling
    tag: Any = None


class _Resource(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    id: str = ""
    meta: _Meta | None = None
    identifier: Any = None
    masterIdentifier: Any = None  # noqa: N815  FHIR's spelling


async def find_ours(target: Target, item: Item, *, patient: str = "") -> list[Hit]:
    """Find all that carry our name of `item`, oldest first; `patient` is whose ("Patient/7"), to look through theirs.

    Raises `Unsearchable` where the server cannot be asked, or has not found before what was there (it may not keep our
    name), and what a connection raises where it does not answer.
    """
    name, _, value = item.unless.partition("=")
    found = await _search(target, item, [(name, value)], whole=False)
    asked = iter(OF_PATIENT if patient and item.type not in ("Device", "Provenance") else ())
    while found is None and (parameter := next(asked, "")):
        found = await _search(target, item, [(parameter, patient)], whole=True)
    if found is None and item.type == "Device":
        found = await _search(target, item, [], whole=True)
    if found is None or (not found and target.learned.found.get(item.type) == "no"):
        raise Unsearchable(
            f"The server cannot be asked whether this {item.type} is there.",
            hint="Ask its operator for search by identifier and _tag, or look there: twin outbox retry --not-there.",
        )
    return sorted(found, key=lambda hit: (hit.written, hit.reference))


def carries(resource: bytes, item: Item) -> bool:
    """Say whether a resource carries our name of an item, in an identifier or in its result tag."""
    read = _read(resource) if item.uuid.encode() in resource else None
    return read is not None and read.resourceType == item.type and item.uuid in _names(read)


async def pages_of(target: Target, type_: str, params: list[tuple[str, str]]) -> AsyncGenerator[list[bytes]]:
    """Search, and yield page for page the resources that are found. Raises `NotSearchedSo`."""
    reply = await target.connection.search(type_, params, allow=_UNKNOWN, fresh=True)
    for _ in range(_MOST_PAGES):
        if reply.status in _UNKNOWN:
            break
        bundle = _bundle(reply.body)
        yield [bytes(entry.resource) for entry in bundle.entry if entry.search.mode != "outcome" and entry.resource]
        link = bundle.linked("next")
        if not link:
            return
        try:
            reply = await target.connection.get(target.connection.resolve(link, reply.url), allow=_UNKNOWN, fresh=True)
        except ForeignUrlError:
            break
    raise NotSearchedSo("The server does not search so, or more is found than can be looked through.")


async def _search(target: Target, item: Item, params: list[tuple[str, str]], *, whole: bool) -> list[Hit] | None:
    """Search; `None` where the server does not search so. `whole` says that others are to be expected among it."""
    hits: list[Hit] = []
    try:
        async with aclosing(pages_of(target, item.type, params)) as pages:
            async for resources in pages:
                ours, others = ours_among(resources, item)
                hits += ours
                if others and not whole:
                    return None  # the parameter was ignored
    except NotSearchedSo:
        return None
    return hits


def ours_among(resources: Iterable[bytes], item: Item) -> tuple[list[Hit], list[bytes]]:
    """Sort out what carries our name of an item, and what else there is; what does not read is neither."""
    hits, others = list[Hit](), list[bytes]()
    for raw in resources:
        read = _read(raw)
        if read is None or read.resourceType == "OperationOutcome":
            continue
        if read.resourceType == item.type and read.id and item.uuid in _names(read):
            meta = read.meta or _Meta()
            hits.append(Hit(f"{item.type}/{read.id}", str(meta.versionId or ""), str(meta.lastUpdated or ""), raw))
        else:
            others.append(raw)
    return hits, others


def _names(read: _Resource) -> set[str]:
    """List the UUIDs that a resource carries as an identifier, or as our tag."""
    found = {str(each.get("value", "")).removeprefix("urn:uuid:") for each in _objects(read.identifier)}
    found |= {str(each.get("value", "")).removeprefix("urn:uuid:") for each in _objects(read.masterIdentifier)}
    tags = _objects(read.meta.tag if read.meta else None)
    return found | {str(each.get("code", "")) for each in tags if each.get("system") == RESULT_TAG}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each


def _read(raw: bytes) -> _Resource | None:
    try:
        return msgspec.json.decode(raw, type=_Resource)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _bundle(body: bytes) -> Bundle:
    try:
        found = read_bundle(body)
    except NotReadError as error:
        raise NotFhir("The server's answer to a search cannot be read.", hint="Run `twin doctor`.") from error
    if found.resourceType != "Bundle":
        raise NotFhir("The server's answer to a search is no Bundle.", hint="Run `twin doctor`.")
    return found

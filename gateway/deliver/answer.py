"""What a server says about each thing that it was to create: liberal in what is read, strict in what is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.deliver.shipment import Item
from gateway.pull.outcome import Outcome, read_outcome
from gateway.pull.wire import Reply
from security.errors import Unreachable

__all__ = ["Answer", "Unclear", "read_bundle", "read_single", "reference_in"]

_ADDRESS: Final = re.compile(
    r"(?:^|/)(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.\-_]{1,128})(?:/_history/(?P<version>[^/?#]+))?/?(?:[?#].*)?$"
)


class Unclear(Unreachable):
    """An answer came from which nobody can tell what was done: ask the server before anything is sent again."""

    code = "unreadable"


class Answer(msgspec.Struct, frozen=True):
    """What became of one entry: the status, the address ("Observation/12", "" where it was not told) and version."""

    status: int
    reference: str = ""
    version: str = ""
    outcome: Outcome = Outcome()

    @property
    def is_done(self) -> bool:
        """Whether it is there now: created, or found."""
        return 200 <= self.status < 300


class _Response(msgspec.Struct):
    status: Any = ""
    location: Any = ""
    etag: Any = ""
    outcome: msgspec.Raw = msgspec.Raw(b"null")


class _Entry(msgspec.Struct):
    response: _Response | None = None
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Bundle(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    entry: list[_Entry] | None = None


class _Resource(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    id: str = ""
    meta: dict[str, Any] | None = None


def read_bundle(reply: Reply, items: Sequence[Item]) -> list[Answer]:
    """Read the answer to a transaction or a batch, entry by entry: a 200 may hold an error inside.

    Raises `Unclear` where it cannot be told which answer is about which entry.
    """
    try:
        entries = msgspec.json.decode(reply.body, type=_Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unclear("cannot be read", reply) from error
    found = entries.entry or []
    if entries.resourceType != "Bundle" or len(found) != len(items):
        raise _unclear("is not about what was sent", reply)
    return [_of_entry(entry, item, reply) for entry, item in zip(found, items, strict=True)]


def read_single(reply: Reply, item: Item) -> Answer:
    """Read the answer to one create. Where it was done, its address is in a header, or else in the body.

    Raises `Unclear` for a 2xx that says an error inside.
    """
    outcome = read_outcome(reply.body)
    if 200 <= reply.status < 300 and outcome.is_bad:
        raise _unclear("says both that it was done and that it was not", reply)
    for header in ("location", "content-location"):
        reference, version = reference_in(reply.headers.get(header, ""), item.type)
        if reference:
            return Answer(reply.status, reference, version or _tag(reply.headers.get("etag")), outcome)
    body = _resource(reply.body)
    if body is not None and body.resourceType == item.type and body.id:
        return Answer(reply.status, f"{item.type}/{body.id}", _version(body, reply.headers), outcome)
    return Answer(reply.status, outcome=outcome)


def reference_in(location: str, type_: str) -> tuple[str, str]:
    """Read an address of a type out of a Location, absolute or not, with or without a version; "" for another."""
    found = _ADDRESS.search(location.strip())
    if found is None or found["type"] != type_:
        return "", ""
    return f"{type_}/{found['id']}", found["version"] or ""


def _of_entry(entry: _Entry, item: Item, reply: Reply) -> Answer:
    said = entry.response or _Response()
    status = str(said.status).strip()[:3]
    outcome = read_outcome(bytes(said.outcome))
    if not outcome.codes:
        outcome = read_outcome(bytes(entry.resource))  # DSTU2 has no response.outcome
    if not status.isdecimal():
        raise _unclear("has an entry without a status", reply)
    if status.startswith("2") and outcome.is_bad:
        raise _unclear("says both that it was done and that it was not", reply)
    location = said.location if isinstance(said.location, str) else ""
    reference, version = reference_in(location, item.type)
    body = _resource(bytes(entry.resource))
    if status.startswith("2") and not reference and location.strip():
        raise _unclear("is in another order than what was sent", reply)
    if body is not None and body.resourceType not in ("", "OperationOutcome", item.type):
        raise _unclear("is in another order than what was sent", reply)
    if not reference and body is not None and body.resourceType == item.type and body.id:
        reference = f"{item.type}/{body.id}"
    return Answer(int(status), reference, version or _tag(said.etag), outcome)


def _resource(body: bytes) -> _Resource | None:
    try:
        return msgspec.json.decode(body, type=_Resource | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _version(body: _Resource, headers: Mapping[str, str]) -> str:
    told = (body.meta or {}).get("versionId")
    return _tag(headers.get("etag")) or (told if isinstance(told, str) else "")


def _tag(etag: Any) -> str:
    """Read the version in an ETag: W/"3", "3" or 3 (servers write all of them)."""
    return str(etag or "").strip().removeprefix("W/").strip('"')


def _unclear(how: str, reply: Reply) -> Unclear:
    return Unclear(
        f"The server's answer {how}.",
        hint="The server is asked what is there before it is sent again.",
        detail=f"{reply.status} {reply.body[:500].decode('utf-8', 'replace')}",
    )

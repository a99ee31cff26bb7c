"""What one message or file holds: a resource, a Bundle of any type, an array, or a resource a line, as received.

Nothing raises: what cannot be read is one entry with its problem, which is counted when it is mapped.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.pull.bundle import NotReadError, read_bundle, read_head
from gateway.pull.page import Entry

__all__ = ["deletion", "read_array", "read_resources"]


def read_resources(body: bytes, place: str) -> tuple[Entry, ...]:
    """Cut a message into its resources; `place` says where it came from, and is part of the place of each of them.

    The FHIR version is left to whoever knows what the source speaks.
    """
    return tuple(_cut(body.strip(), place))


def deletion(name: str) -> Entry:
    """Make the entry of a resource that its source has deleted: a refusal, because a deletion is not followed."""
    return Entry(b"", place=f"deletion of {name}", problem="deleted")


def _cut(text: bytes, place: str) -> Iterator[Entry]:
    try:
        yield from _array(text, place) if text[:1] == b"[" else _one(text, place)
    except NotReadError as error:
        lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
        if len(lines) > 1 and _is_object(lines[0][1]):
            yield from (_entry(line.strip(), f"{place} line {number}") for number, line in lines)
        else:
            yield Entry(text, place=place, problem=error.reason if text else "not-json")


def _one(text: bytes, place: str) -> Iterator[Entry]:
    head = read_head(text)
    if head.resourceType != "Bundle":
        yield Entry(text, place=place, version=head.version)
        return
    for number, item in enumerate(read_bundle(text).entry, 1):
        if (raw := bytes(item.resource)) and item.search.mode != "outcome":
            yield _entry(raw, f"{place} entry {number}", item.fullUrl)
        elif deleted := item.deletes:
            yield deletion(deleted)


def read_array(text: bytes) -> list[bytes]:
    """Cut an array into what it holds; raises `NotReadError`."""
    try:
        return [bytes(item) for item in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadError("truncated" if "truncated" in str(error) else "not-json") from error


def _array(text: bytes, place: str) -> Iterator[Entry]:
    for number, item in enumerate(read_array(text), 1):
        yield _entry(item, f"{place} entry {number}")


def _entry(raw: bytes, place: str, full_url: str = "") -> Entry:
    try:
        head = read_head(raw)
    except NotReadError as error:
        return Entry(raw, full_url, place, error.reason)
    return Entry(raw, full_url, place, version=head.version)


def _is_object(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True

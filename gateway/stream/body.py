"""The body of a POST, cut into the resources in it, each the very bytes that came."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pull.bundle import NotReadError, read_bundle, read_head
from gateway.pull.page import Entry
from gateway.stream.resources import deletion, read_array

__all__ = ["Body", "read_body"]


@dataclass(frozen=True)
class Body:
    """The resources in a body, with deletions as refused ones, and how many entries of a Bundle hold neither."""

    entries: tuple[Entry, ...]
    without: int = 0


def read_body(data: bytes, *, is_lines: bool, version: str = "") -> Body:
    """Cut one resource or data point, a Bundle of any type, an array, or NDJSON. A bad one costs only itself.

    Raises `NotReadError` where it is none of these.
    """
    if is_lines:
        lines = [line for each in data.split(b"\n") if (line := each.strip())]
        if not lines:
            raise NotReadError("not-fhir")
        return Body(tuple(_entry(line, version=version) for line in lines))
    if data.lstrip()[:1] == b"[":
        return Body(tuple(_entry(each, version=version) for each in read_array(data)))
    head = read_head(data)
    if head.resourceType != "Bundle":
        return Body((Entry(data.strip(), version=head.version or version),))
    items = read_bundle(data).entry
    entries = []
    for item in items:
        if (raw := bytes(item.resource)) and item.search.mode != "outcome":
            entries.append(_entry(raw, full_url=item.fullUrl, version=version))
        elif deleted := item.deletes:
            entries.append(deletion(deleted))
    return Body(tuple(entries), len(items) - len(entries))


def _entry(raw: bytes, *, full_url: str = "", version: str = "") -> Entry:
    try:
        head = read_head(raw)
    except NotReadError as error:
        return Entry(raw, full_url, problem=error.reason, version=version)
    return Entry(raw, full_url, version=head.version or version)

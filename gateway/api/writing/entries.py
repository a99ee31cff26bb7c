"""The entries of a batch or transaction: read, bounded, and each its own request below our base (FHIR R4, 3.1.0.11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote

import msgspec

from gateway.api.refusal import Refusal
from gateway.api.request import pairs_of, without_format
from gateway.api.writing.bodies import read_body
from gateway.api.writing.faults import Unfit
from mappers.incoming import Issue

__all__ = ["MOST", "Entry", "Exchange", "read_exchange"]

MOST: Final = 300
"""Entries of one Bundle."""

_LARGEST: Final = 16 * 1024 * 1024
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PATH: Final = re.compile(r"[A-Za-z0-9.$_%-]+(/[A-Za-z0-9.$_%-]+){0,4}", re.ASCII)
_URN: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.I)
_CONDITIONS: Final = {
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
}
_PLAIN: Final = re.compile(r"[ -~]{1,2048}", re.ASCII)

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One request: its place in the Bundle, method, path below the base, parameters and headers.

    `name` is the urn:uuid by which other entries mean what it creates; "" for none.
    """

    number: int
    method: str
    path: str
    query: str
    parameters: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, Any] | None = None
    name: str = ""

    @property
    def url(self) -> str:
        """The URL below the base."""
        return f"{self.path}{'?' if self.query else ''}{self.query}"

    @property
    def body(self) -> bytes:
        """The resource as JSON, decimals with all their digits."""
        return _encode(self.resource) if self.resource is not None else b""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A batch or transaction. In a batch, a `Refusal` stands where an entry cannot be read."""

    type: Literal["batch", "transaction"]
    entries: tuple[Entry | Refusal, ...]


def read_exchange(body: bytes) -> Exchange:
    """Read a Bundle that was posted to the base. Raises a `Refusal`: 400, 413, 422; in a transaction for any entry."""
    bundle = read_body(body, "Bundle", largest=_LARGEST)
    type_ = bundle.get("type")
    if type_ not in ("batch", "transaction"):
        raise Unfit(422, [Issue("not-supported", "Bundle.type", "A batch or a transaction is taken here.")])
    told = bundle.get("entry", [])
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise Unfit(400, [Issue("structure", "Bundle.entry", "This is a list of entries.")])
    if len(told) > MOST:
        raise Refusal(413, "too-long", f"A Bundle has {MOST} entries at most.")
    entries: list[Entry | Refusal] = []
    names: set[str] = set()
    for number, each in enumerate(told):
        try:
            entry = _entry(number, each)
            if entry.name and entry.name in names:
                raise _wrong(number, "fullUrl", "Two entries are called by one name.", "duplicate")
            names.add(entry.name)
            entries.append(entry)
        except Refusal as refusal:
            if type_ == "transaction":
                raise
            entries.append(refusal)
    return Exchange(type_, tuple(entries))


def _entry(number: int, told: Mapping[str, Any]) -> Entry:
    request, resource, full_url = told.get("request"), told.get("resource"), told.get("fullUrl", "")
    if not isinstance(request, dict):
        raise _wrong(number, "request", "An entry says what is asked.", "required")
    if resource is not None and not isinstance(resource, dict):
        raise _wrong(number, "resource", "This is a resource.")
    if not isinstance(full_url, str) or len(full_url) > 1000:
        raise _wrong(number, "fullUrl", "This is a URI.")
    method, url = request.get("method"), request.get("url")
    if method not in _METHODS:
        raise _wrong(number, "request.method", "This is no method that FHIR has.", "code-invalid")
    if not isinstance(url, str):
        raise _wrong(number, "request.url", "An entry says what it is about.", "required")
    path, query = _relative(number, url)
    headers = {}
    for name, header in _CONDITIONS.items():
        if name in request:
            if not isinstance(request[name], str) or not _PLAIN.fullmatch(request[name]):
                raise _wrong(number, f"request.{name}", "This is no condition.", "value")
            headers[header] = request[name]
    pairs = tuple(without_format(pairs_of(query)))
    name = full_url.lower() if _URN.fullmatch(full_url) else ""
    return Entry(number, method, path, query, pairs, headers, resource, name)


def _relative(number: int, url: str) -> tuple[str, str]:
    """Take a URL apart that is relative to our base. Whatever could lead elsewhere is refused with 400 (B9)."""
    path, _, query = url.partition("?")
    decoded = unquote(path, errors="strict") if path.isascii() else path
    parts = decoded.split("/")
    if (
        not _PATH.fullmatch(path)
        or not all(part and part.strip(".") for part in parts)
        or not re.fullmatch(r"[A-Za-z0-9.$_/-]+", decoded, re.ASCII)
        or decoded.count("/") != path.count("/")
        or not re.fullmatch(r"[!-~]*", query, re.ASCII)
        or "#" in query
        or not (parts[0][0].isupper() or parts[0] == "metadata" or parts[0].startswith("$"))
    ):
        raise _wrong(number, "request.url", "This is no URL below our base: write it like Observation/123.", "invalid")
    return f"/{decoded}", query


def _wrong(number: int, place: str, text: str, code: str = "structure") -> Unfit:
    return Unfit(400, [Issue(code, f"Bundle.entry[{number}].{place}", text)])

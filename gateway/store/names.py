"""The names that stand in a resource: its own, and those of all that it refers to, however the references are written.

They are read from the bytes, so that what is broken, or of no version that we know, tells its names too. What only
looks like a reference counts as one: whoever asks wants to miss nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

import msgspec

from mappers import Unreadable, read_json, subject_of

__all__ = ["is_about", "local_name", "names_in", "own_name"]

# The types of FHIR begin with a capital; an id has 1 to 64 of these characters (R4 datatypes.html#id).
_REFERENCE = re.compile(rb"(?<![A-Za-z])(?=([A-Z][A-Za-z]{2,40}/[A-Za-z0-9.\-]{1,64}))")
_URN = re.compile(rb"urn:(?:uuid|oid):[0-9A-Za-z.\-]{1,64}")


class _Head(msgspec.Struct, gc=False):
    resourceType: Any = None  # noqa: N815  FHIR's spelling
    id: Any = None


_read_head = msgspec.json.Decoder(_Head)


def names_in(raw: bytes, full_url: str = "") -> set[str]:
    """List what a resource calls itself and what it names: "Type/id" without server and version, and URNs."""
    plain = _unescaped(raw)
    found = {name.decode() for name in _REFERENCE.findall(plain)}
    found.update(name.decode() for name in _URN.findall(plain))
    found.update(filter(None, (local_name(full_url), own_name(raw))))
    return found


def own_name(raw: bytes) -> str:
    """Return what a resource calls itself, "Type/id"; "" where it has no id or cannot be read."""
    try:
        head = _read_head.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    has_name = isinstance(head.id, str) and head.id and isinstance(head.resourceType, str)
    return f"{head.resourceType}/{head.id}" if has_name else ""


def is_about(raw: bytes, full_url: str, named: Container[str]) -> bool:
    """Say whether a resource is about somebody who has some names: it tells one, and is about nobody else.

    What is about another patient (a newborn's stay, as part of the mother's) stays theirs.
    """
    if not any(name in named for name in names_in(raw, full_url)):
        return False
    try:
        subject = subject_of(read_json(raw))
    except Unreadable:
        return True
    return subject is None or local_name(subject) in named


def local_name(reference: str) -> str:
    """Write a reference without its server and its version: "Type/id", or the URN that it is."""
    plain = reference.split("/_history/", 1)[0].rstrip("/")
    return plain if plain.startswith("urn:") else "/".join(plain.split("/")[-2:])


def _unescaped(raw: bytes) -> bytes:
    """Write what JSON may spell otherwise ("\\/", "\\u0050") as it is mostly spelled."""
    if b"\\" not in raw:
        return raw
    try:
        return msgspec.json.encode(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw.replace(b"\\/", b"/")

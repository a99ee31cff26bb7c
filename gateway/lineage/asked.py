"""What a person asks about: a result at an EHR, one of our identifiers, a delivery, a run, or a raw resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from security.errors import Misuse

__all__ = ["Asked", "read_asked"]

AskedKind = Literal["resource", "uuid", "id", "handle"]

_UUID: Final = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_RESOURCE: Final = re.compile(r"([A-Z][A-Za-z]{2,40}/[A-Za-z0-9.\-]{1,64})(?:/_history/([A-Za-z0-9.\-]{1,64}))?")
_ID: Final = re.compile(r"[0-9a-f]{4,64}", re.IGNORECASE)
_HANDLE: Final = re.compile(r".+\.[0-9a-f]{10}", re.IGNORECASE)


class Asked(msgspec.Struct, frozen=True):
    """What was asked for: `name` is a resource within a source, a UUID, the start of an id, or a handle.

    `source` is "" where any may have it, `version` what the address named.
    """

    kind: AskedKind
    name: str
    source: str = ""
    version: str = ""


def read_asked(told: str, source: str, bases: Mapping[str, Iterable[str]]) -> Asked:
    """Read it. `bases` are the addresses of each source, by its name.

    Raises `Misuse` for what is none of these, for an address at no source, and at another one than was told.
    """
    text = told.strip()
    if text.lower().startswith(("http://", "https://")):
        return _address(text, source, bases)
    if found := _UUID.fullmatch(text):
        return Asked("uuid", found[1].lower(), source)
    if found := _RESOURCE.fullmatch(text):
        return Asked("resource", found[1], source, found[2] or "")
    if _ID.fullmatch(text):
        return Asked("id", text.lower(), source)
    if _HANDLE.fullmatch(text):
        return Asked("handle", text, source)
    raise Misuse(
        "This names no result and no resource.",
        hint="Say Type/id with --source, an address at a source, urn:uuid:…, or the id of a delivery or a run.",
        detail=told,
    )


def _address(text: str, source: str, bases: Mapping[str, Iterable[str]]) -> Asked:
    for name, known in bases.items():
        for base in known:
            rest = text.partition("?")[0].removeprefix(base.rstrip("/") + "/")
            found = _RESOURCE.fullmatch(rest.rstrip("/"))
            if found is None or rest == text:
                continue
            if source not in ("", name):
                raise Misuse(f"That address is at the source {name}.", hint="Leave --source away, or say that one.")
            return Asked("resource", found[1], name, found[2] or "")
    raise Misuse(
        "That address is at no source that is known here, or names no resource.",
        hint=f"Known: {', '.join(sorted(bases)) or 'none'}. twin source list tells where they are.",
        detail=text,
    )

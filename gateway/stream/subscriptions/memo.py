"""What is remembered of a subscription over a restart, and the names under which what it brings is kept once."""

from __future__ import annotations

import hashlib
import uuid

import msgspec

from gateway.home import Home
from gateway.pull.page import Entry
from gateway.stream.subscriptions.hearing import Heard
from gateway.stream.subscriptions.secret import Secret
from gateway.stream.subscriptions.standing import Standing

__all__ = ["Memo", "has_moved", "key_of", "key_of_asked", "recalled", "what_of"]


class Memo(msgspec.Struct, frozen=True):
    """How it stands, and digests of what was asked for and of the token that the EHR was given."""

    standing: Standing
    asked: bytes = b""
    secret: bytes = b""


def recalled(home: Home, source: str, name: str, asked: bytes, secret: Secret) -> tuple[Memo, bytes]:
    """Return what is remembered, set right for the settings of today, and the former token's digest (b"" for none).

    Of a subscription that is new the last whole pull tells since when changes are searched for.
    """
    found = home.store.memo(source, name)
    if found is None:
        pull = home.store.last_pull(source)
        is_whole = pull is not None and pull.certificate is not None and pull.certificate.verdict != "incomplete"
        return Memo(Standing(since=pull.started if pull is not None and is_whole else None)), b""
    memo = msgspec.json.decode(found, type=Memo)
    standing = memo.standing
    if memo.asked and memo.asked != asked:
        standing = msgspec.structs.replace(standing, status="off")  # another topic or address: asked for anew
    elif memo.secret and memo.secret != secret.digest:
        standing = msgspec.structs.replace(standing, is_broken=True)  # the EHR has to learn the new token
    former = memo.secret if memo.secret != secret.digest else b""
    return msgspec.structs.replace(memo, standing=standing), former


def has_moved(before: Standing, after: Standing) -> bool:
    """Say whether anything changed that a restart has to know; that the EHR is alive it finds out by itself."""
    return msgspec.structs.replace(before, heard=None) != msgspec.structs.replace(after, heard=None)


def key_of(heard: Heard) -> str:
    """Name a step by its events: the same again is the same delivery."""
    events = [*heard.overtaken, *heard.fresh]
    told = [(event.number, event.when, event.focus, [part.raw.hex() for part in event.parts]) for event in events]
    content = hashlib.sha256(msgspec.json.encode(told)).hexdigest()
    return f"{heard.standing.subscription} {content}"


def key_of_asked(entries: tuple[Entry, ...]) -> str:
    """Name what was fetched or searched: the same versions again are one delivery, and without versions none are."""
    once = "" if all(_version(entry.raw) for entry in entries) else uuid.uuid4().hex
    content = hashlib.sha256(b"".join(hashlib.sha256(entry.raw).digest() for entry in entries)).hexdigest()
    return f"{content} {once}"


def what_of(heard: Heard) -> str:
    """Say for people and the audit what a step was, without patient data."""
    numbers = sorted(event.number for event in (*heard.overtaken, *heard.fresh) if event.number)
    if not numbers:
        return "subscription"
    return f"event {numbers[0]}" if len(numbers) == 1 else f"events {numbers[0]} to {numbers[-1]}"


class _Meta(msgspec.Struct):
    versionId: str = ""  # noqa: N815  FHIR's spelling, here and below
    lastUpdated: str = ""  # noqa: N815


class _Resource(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


def _version(raw: bytes) -> str:
    try:
        meta = msgspec.json.decode(raw, type=_Resource).meta
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return meta.versionId or meta.lastUpdated

"""Refresh tokens: each is good once, all of a grant are one family, and a second use of one ends the family (A11).

A token names its family, its number and a keyed hash of both; the register holds the family's key and which number is
next (kind "refresh"). So every older token is known as one that was given, without a list of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from gateway.smart.granted import ACCESS, Granted, is_revoked, revoke
from gateway.store import Store

__all__ = ["Shown", "begin_family", "exchange", "revoke_family", "see"]

_KIND: Final = "refresh"
_TOKEN = re.compile(r"([A-Za-z0-9_-]{43})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})", re.ASCII)


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    granted: Granted
    key: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A refresh token that we gave, found again. `is_next` says whether it is the one that is good now."""

    granted: Granted
    number: int
    is_next: bool
    revision: int


def begin_family(store: Store, granted: Granted, now: datetime) -> str:
    """Return the first refresh token of a grant."""
    family = _Family(granted=granted, key=secrets.token_bytes(32), number=0)
    store.register(_KIND, granted.id, msgspec.msgpack.encode(family), now, until=granted.refresh)
    return _written(family)


def see(store: Store, token: str, now: datetime) -> Shown | None:
    """Find what a refresh token is about; `None` for one that we did not give, or whose family has ended."""
    told = _TOKEN.fullmatch(token)
    found = store.registered(_KIND, told[1], now) if told else None
    if told is None or found is None:
        return None
    family = msgspec.msgpack.decode(found.content, type=_Family)
    number = int(told[2])
    if not hmac.compare_digest(_mac(family, number), told[3]) or is_revoked(store, family.granted, now):
        return None
    return Shown(family.granted, number, number == family.number, found.revision)


def exchange(store: Store, shown: Shown, now: datetime) -> str | None:
    """Return the next refresh token in place of the one that was shown. `None`, and the family has ended, where that
    was used before: then two have it, and nobody knows which of them may (RFC 9700 4.14.2).
    """
    found = store.registered(_KIND, shown.granted.id, now)
    if shown.is_next and found is not None and found.revision == shown.revision:
        before = msgspec.msgpack.decode(found.content, type=_Family)
        after = msgspec.structs.replace(before, number=before.number + 1)
        if store.register(
            _KIND, shown.granted.id, msgspec.msgpack.encode(after), now, after=found.revision, until=found.until
        ):
            return _written(after)
    revoke_family(store, shown.granted, now)
    return None


def revoke_family(store: Store, granted: Granted, now: datetime) -> None:
    """End a grant: its refresh tokens, and all access tokens under it."""
    with store.transaction():
        revoke(store, granted.id, now, until=max(now, granted.refresh or now) + ACCESS)
        store.strike(_KIND, granted.id, now)
        store.strike("grant", granted.id, now)


def _written(family: _Family) -> str:
    return f"{family.granted.id}.{family.number}.{_mac(family, family.number)}"


def _mac(family: _Family, number: int) -> str:
    made = hmac.new(family.key, f"{family.granted.id}.{number}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

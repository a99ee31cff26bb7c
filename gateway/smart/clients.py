"""Registered clients as requests find them: by their ids, if they are not disabled, and by secrets."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

import msgspec

from gateway.smart.registration import hash_secret
from gateway.smart.values import Client
from gateway.store import Store

__all__ = ["find_client", "knows_secret"]

_KIND: Final = "client"
_NOBODY: Final = "0" * 64  # which no secret has as its hash
_LONGEST: Final = 128
_read = msgspec.msgpack.Decoder(Client)


def find_client(store: Store, id_: str, now: datetime) -> Client | None:
    """Return a client that is registered and not disabled."""
    found = store.registered(_KIND, id_, now) if 0 < len(id_) <= _LONGEST else None
    client = _read.decode(found.content) if found else None
    return None if client is None or client.disabled else client


def knows_secret(client: Client | None, secret: str) -> bool:
    """Say whether it is one of a client's secrets. All are compared, and one more, also where there is no client: so
    that time tells neither (A17).
    """
    shown, fits = hash_secret(secret).encode(), False
    for kept in [*(client.secrets if client is not None else ()), _NOBODY]:
        fits |= hmac.compare_digest(shown, kept.encode())
    return fits

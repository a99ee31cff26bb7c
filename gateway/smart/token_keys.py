"""The keys that our tokens are signed with: kept sealed, published, and exchanged without anybody noticing (A13).

A new key is published a while before it signs, so that who keeps our JWK Set as long as we say (five minutes) has it by
then. The old one stays published until the last token under it has ended. Register: "signing-key", one entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from gateway.smart.granted import ACCESS, SKEW
from gateway.store import Store
from gateway.store.audited import Events
from security.signed import PublicKey
from security.tokens import TokenKey

__all__ = ["PUBLISHED", "Rotation", "SigningKeys", "rotate_signing_key", "signing_keys"]

PUBLISHED: Final = timedelta(minutes=5)
"""How long others may keep our JWK Set (the max-age of its answer)."""
_KIND, _NAME = "signing-key", "tokens"
_MOST: Final = 16
_opened: dict[str, TokenKey] = {}


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """One key: from when it signs, and until when it is published; `None` while no other has replaced it."""

    key: dict[str, Any]
    public: dict[str, Any]
    kid: str
    signs: datetime
    published: datetime | None = None


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """All keys that are published now, oldest first."""

    rotations: Sequence[Rotation]

    def signing(self, now: datetime) -> TokenKey:
        """Return the key that signs now."""
        rotation = self.rotation(now)
        key = _opened.get(rotation.kid)
        if key is None:  # reading a private key checks that it is one, which takes 0.2 s
            if len(_opened) >= _MOST:
                _opened.clear()
            key = _opened[rotation.kid] = TokenKey.read(rotation.key)
        return key

    def rotation(self, now: datetime) -> Rotation:
        """Say which key signs now."""
        return [each for each in self.rotations if each.signs <= now][-1]

    def public(self, now: datetime) -> list[PublicKey]:
        """Return the public keys by which tokens are checked, and which are published."""
        return [each.public for each in self.rotations if each.published is None or each.published > now]


def signing_keys(store: Store, now: datetime) -> SigningKeys:
    """Return our keys; where there is none yet, one is made, which signs at once: nobody has a JWK Set without it."""
    while (found := store.registered(_KIND, _NAME, now)) is None:
        store.register(_KIND, _NAME, _encoded([_made(signs=now)]), now)
    return SigningKeys(msgspec.msgpack.decode(found.content, type=list[Rotation]))


def rotate_signing_key(store: Store, now: datetime, events: Events = ()) -> Rotation:
    """Publish a new key, which signs as soon as all have it, and say when that is.

    Keys of which the last token has ended are destroyed. While one is published that does not sign yet, that one is
    returned and nothing changes.
    """
    while True:
        signing_keys(store, now)
        found = store.registered(_KIND, _NAME, now)
        if found is None:
            continue
        kept = msgspec.msgpack.decode(found.content, type=list[Rotation])
        if kept[-1].signs > now:
            return kept[-1]
        new = _made(signs=now + PUBLISHED + SKEW)
        ends = new.signs + ACCESS + SKEW
        old = [each for each in kept if each.published is None or each.published > now]
        ending = [each if each.published else msgspec.structs.replace(each, published=ends) for each in old]
        if store.register(_KIND, _NAME, _encoded([*ending, new]), now, after=found.revision, events=events):
            return new


def _made(signs: datetime) -> Rotation:
    key = TokenKey.new()
    return Rotation(key=key.private(), public=key.public(), kid=key.kid, signs=signs)


def _encoded(rotations: Sequence[Rotation]) -> bytes:
    return msgspec.msgpack.encode(list(rotations))

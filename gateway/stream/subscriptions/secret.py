"""The secret of one subscription: random, known to the EHR and to us, shown by the EHR with each notification.

It travels in `Subscription.channel.header` (R5: `parameter`), which the EHR repeats as an HTTP header with each POST
(Subscriptions Backport 1.1.0, channels.html#rest-hook-1). We keep only its SHA-256, so that what we store opens no
door; a renewal hands out a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Door", "Secret", "knock"]

_BYTES = 32  # 256 bits: nobody guesses it, so no slow hash is needed
_SCHEME = "bearer"
_LONGEST = 512  # characters of a token that we hash; ours has 43


@dataclass(frozen=True, slots=True)
class Secret:
    """A bearer token for one subscription; it is no part of the `repr`."""

    token: str = field(repr=False)

    @classmethod
    def new(cls) -> Secret:
        """Draw a new one from the system's random source."""
        return cls(secrets.token_urlsafe(_BYTES))

    @property
    def header(self) -> tuple[str, str]:
        """Name and value of the header that the EHR is asked to send."""
        return "Authorization", f"Bearer {self.token}"

    @property
    def digest(self) -> bytes:
        """What we keep of it: 32 bytes of SHA-256."""
        return hashlib.sha256(self.token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Door:
    """One subscription as it is known at our end.

    Parameters
    ----------
    name
        Our own name for it.
    digest
        `Secret.digest` of its secret.
    subscription
        Its id at the EHR; "" until the EHR told it, because the handshake may come before the answer to the create.
    former
        The digest of the secret before the last renewal, b"" where there is none: what is on its way still comes in.
    """

    name: str
    digest: bytes = field(repr=False)
    subscription: str = ""
    former: bytes = field(default=b"", repr=False)


def knock(headers: Mapping[str, str], doors: Iterable[Door]) -> Door | None:
    """Return the door that the shown secret opens, `None` where it opens none.

    All doors are tried, each in constant time, and what is compared are hashes: neither the length of a secret nor
    the place of a door can be measured from outside.
    """
    shown = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    scheme, _, token = shown.partition(" ")
    digest = hashlib.sha256(token.strip()[:_LONGEST].encode("utf-8", "surrogatepass")).digest()
    found = None
    for door in doors:
        fits = hmac.compare_digest(digest, door.digest)
        fitted = hmac.compare_digest(digest, door.former)
        found = door if fits | fitted else found
    return found if scheme.lower() == _SCHEME and token.strip() else None

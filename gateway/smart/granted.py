"""What a person, or the operator for a program, has allowed a client: from the code until the last token under it.

Register: "code" by the code, "grant" by its id (the family of refresh tokens), "revoked" by the id of a grant or the
jti of a token, until the last token that it is about has ended.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from gateway.store import Store

__all__ = [
    "ACCESS",
    "ACCESS_BACKEND",
    "CODE",
    "OFFLINE",
    "ONLINE",
    "SKEW",
    "Code",
    "Granted",
    "is_revoked",
    "new_id",
    "revoke",
]

ACCESS: Final = timedelta(minutes=60)
"""How long an access token holds for a person's app (A9: 3600 s at most)."""
ACCESS_BACKEND: Final = timedelta(minutes=5)
"""The same for a program that acts for itself (SMART App Launch 2.2, Backend Services: 300 s)."""
CODE: Final = timedelta(seconds=60)
"""How long a code holds (A6)."""
OFFLINE: Final = timedelta(days=30)
"""The absolute end of refresh tokens for offline_access, however often they were exchanged (ASVS 10.4.8)."""
ONLINE: Final = timedelta(hours=12)
"""The same for online_access, which also ends with the person's session."""
SKEW: Final = timedelta(seconds=60)
"""By how much clocks may differ (B4)."""


class Granted(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was allowed: to which client, for whom, what, about whom.

    `session` is the account's number at that time, below which nothing holds. `browser` is the session in which it was
    allowed, with which online_access ends. `context` is what else of the launch the app is told: intent,
    need_patient_banner, fhirContext. `refresh` is when refresh tokens end; `None` where there are none.
    """

    id: str
    client: str
    user: str = ""
    session: int = 0
    tenant: str = ""
    purpose: str = "TREAT"
    scopes: tuple[str, ...]
    patient: str = ""
    encounter: str = ""
    fhir_user: str = ""
    context: dict[str, Any] = {}
    nonce: str = ""
    browser: str = ""
    since: datetime
    refresh: datetime | None = None


class Code(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an authorization code stands for. One that was used is kept, so that a second use is seen (A6)."""

    granted: Granted
    redirect_uri: str
    challenge: str
    used: bool = False


def new_id() -> str:
    """Draw 256 bits, as a URL takes them."""
    return secrets.token_urlsafe(32)


def revoke(store: Store, name: str, now: datetime, *, until: datetime) -> None:
    """Let a grant, or one token by its jti, hold no longer; from the next request on, in every process."""
    store.register("revoked", name, b"", now, until=until + SKEW)


def is_revoked(store: Store, granted: Granted, now: datetime) -> bool:
    """Say whether a grant was taken back."""
    return store.registered("revoked", granted.id, now) is not None

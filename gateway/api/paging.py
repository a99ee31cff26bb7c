"""Where a search goes on: a token that only we can read, and that only its caller can use."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from gateway.api.refusal import Refusal
from security.errors import Sealed
from security.keys import new_secret
from security.policy import Caller
from security.vault import Place, SealingKey

__all__ = ["LONGEST_TOKEN", "Pager", "bound_to"]

LONGEST_TOKEN = 16_384
Pairs = Sequence[tuple[str, str]]


class Pager:
    """Makes and reads tokens, under `Home.paging`, which all processes of a home share.

    A token is encrypted (AES-256-GCM) and bound to the caller and to what it is about, so it tells nothing, and cannot
    be changed, used by somebody else or used elsewhere. Without a key one is drawn: after a restart a search begins
    anew (404).
    """

    def __init__(self, key: SealingKey | None = None) -> None:
        self._key = key or SealingKey(new_secret(), "paging")

    def seal(self, caller: str, about: str, position: bytes) -> str:
        """Make the token of a position."""
        sealed = self._key.seal(position, Place("paging", caller, about))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, caller: str, about: str, token: str) -> bytes:
        """Read the position of a token. Raises `Refusal` with 404 where it is not theirs, in the same words for all."""
        try:
            if len(token) > LONGEST_TOKEN:
                raise ValueError("too long")
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._key.open(sealed, Place("paging", caller, about))
        except (Sealed, ValueError, binascii.Error) as error:
            raise no_such_page() from error

    def token(self, caller: str, told: Pairs, below: int) -> str:
        """Make the token of the next page of events: the question, and the number to go on below."""
        return self.seal(caller, "AuditEvent", msgspec.json.encode((below, list(told))))

    def read(self, caller: str, token: str) -> tuple[int, list[tuple[str, str]]]:
        """Read a token: the number to go on below, and the question. Raises `Refusal` where it is not theirs."""
        position = self.open(caller, "AuditEvent", token)
        try:
            return msgspec.json.decode(position, type=tuple[int, list[tuple[str, str]]])
        except msgspec.DecodeError as error:
            raise no_such_page() from error


def no_such_page() -> Refusal:
    """Answer for a token that is not there, any more, or for this caller."""
    return Refusal(404, "not-found", "There is no such page, or no longer: search anew.")


def bound_to(caller: Caller) -> str:
    """Name whom a token is for: the same client, with the same person and patient, behind the same wall."""
    return msgspec.json.encode((caller.tenant, caller.client, caller.user, caller.patient)).decode()

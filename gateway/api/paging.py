"""Where a search goes on: a token that only we can read, and that only its caller can use."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from gateway.api.refusal import Refusal
from security.errors import Sealed
from security.keys import new_secret
from security.vault import Place, SealingKey

__all__ = ["Pager"]

_LONGEST = 16_384
Pairs = Sequence[tuple[str, str]]


class Pager:
    """Makes and reads tokens. Its key is drawn when it is made: after a restart a search begins anew (404).

    A token holds the question and the event number to go on below, encrypted (AES-256-GCM) and bound to the caller; so
    it tells nothing, and cannot be changed or used by somebody else.
    """

    def __init__(self) -> None:
        self._key = SealingKey(new_secret(), "paging")

    def token(self, caller: str, told: Pairs, below: int) -> str:
        """Make the token of the next page."""
        sealed = self._key.seal(msgspec.json.encode((below, list(told))), _place(caller))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, caller: str, token: str) -> tuple[int, list[tuple[str, str]]]:
        """Read a token: the number to go on below, and the question. Raises `Refusal` where it is not theirs."""
        try:
            if len(token) > _LONGEST:
                raise ValueError("too long")
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            below, told = msgspec.json.decode(
                self._key.open(sealed, _place(caller)), type=tuple[int, list[tuple[str, str]]]
            )
        except (Sealed, ValueError, binascii.Error) as error:
            raise Refusal(404, "not-found", "There is no such page, or no longer: search anew.") from error
        return below, told


def _place(caller: str) -> Place:
    return Place("paging", caller, "AuditEvent")

"""The state of a walk through a server's pages: what a cursor holds, so that a killed pull goes on where it was."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import msgspec

from gateway.pull.page import Asked

__all__ = ["Question", "Seen", "Walk"]

_CARRIED = 20_000  # keys of one question that a cursor carries: 160 KB of text at most
_BYTES = 6  # of a hash; with 20,000 keys, two meet by chance once in a million walks


class Seen:
    """A set of keys (ids, URLs), kept as short hashes."""

    def __init__(self, carried: str = "") -> None:
        raw = base64.b64decode(carried)
        self._hashes = dict.fromkeys(raw[i : i + _BYTES] for i in range(0, len(raw), _BYTES))

    def add(self, key: bytes) -> bool:
        """Remember a key; say whether it is new."""
        short = hashlib.blake2b(key, digest_size=_BYTES).digest()
        if short in self._hashes:
            return False
        self._hashes[short] = None
        return True

    def carry(self) -> str:
        """Write the keys that a cursor carries: all, or the newest of very many."""
        return base64.b64encode(b"".join(list(self._hashes)[-_CARRIED:])).decode()

    def __len__(self) -> int:
        return len(self._hashes)


class Question(msgspec.Struct):
    """One type that a server is asked for, and how far we are.

    `came` counts different resources, because servers repeat some when pages shift under them (medplum#4608).
    `unfilled` counts empty pages in a row, `again` says that a lost next link made us start over once. `keys` and
    `urls` are what was `Seen`; `exact` is false where a cursor could not carry all, and repeats may have been counted.
    """

    type: str
    next: str = ""
    said: int | None = None
    came: int = 0
    pages: int = 0
    unfilled: int = 0
    again: bool = False
    stopped: str = ""
    keys: str = ""
    urls: str = ""
    exact: bool = True

    def asked(self, what: str) -> Asked:
        """Say what became of it. Without an exact count of what came, the server's own count proves nothing."""
        return Asked(what, self.said if self.exact else None, self.came, self.pages, self.stopped)

    def start_over(self) -> None:
        """Forget all but the type, and that this was done."""
        fresh = Question(self.type, again=True)
        for field in self.__struct_fields__:
            setattr(self, field, getattr(fresh, field))


class Walk(msgspec.Struct):
    """A walk over several questions: those that are done, the present one, and what is to be remarked."""

    types: tuple[str, ...]
    filter: tuple[tuple[str, str], ...]
    number: int = 0
    done: list[Asked] = []
    now: Question | None = None
    remarks: list[str] = []
    control: str = ""

    @classmethod
    def resume(cls, cursor: str | None, types: Sequence[str], filter_: Sequence[tuple[str, str]]) -> Walk:
        """Read a cursor; a fresh walk where there is none, or where it belongs to other questions."""
        fresh = cls(tuple(types), tuple(filter_))
        if cursor is None:
            return fresh
        try:
            found = msgspec.json.decode(cursor, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return fresh
        return found if (found.types, found.filter) == (fresh.types, fresh.filter) else fresh

    def cursor(self) -> str:
        """Write the state as text. It is patient data: a next link may name ids."""
        return msgspec.json.encode(self).decode()

    def remark(self, text: str) -> None:
        """Note something for the certificate, once."""
        if text not in self.remarks:
            self.remarks.append(text)

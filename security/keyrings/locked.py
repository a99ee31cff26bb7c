"""A key file that opens with something that is not in it: a passphrase, a token of hardware, a server of keys.

    fhirtwin-locked 1
    # ...
    lock KIND WORDS          how the file's own key is had: the words are the lock's, without spaces in them
    sealed BASE64            the text of the plain key file, under the file's own key (security.commitment)

The line `lock` is bound to what is sealed, so it cannot be exchanged for an easier one. A new key-encryption key leaves
the line as it was and seals anew: a process that has the file's own key reads on without asking the lock again.
"""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from cryptography.exceptions import InvalidTag

from security.commitment import open_committed, seal_committed
from security.errors import BadSettings, Sealed
from security.framing import frame
from security.keys import KEY_BYTES, SecretKeyRing

__all__ = ["Lock", "lock_ring", "lock_words", "unlock_ring"]

_TITLE = "fhirtwin-locked 1"
_WARNING = (
    "# A key file that is locked. Keep it, and a copy of it, apart from the store, its backups and what opens it."
)


class Lock(Protocol):
    """Whoever keeps the key of the key file."""

    @property
    def kind(self) -> str:
        """Name the lock, as the settings do."""
        ...

    def close(self) -> tuple[bytes, str]:
        """Draw or derive a new 32-byte key for the file, and say in words how it is had again."""
        ...

    def open(self, words: str) -> bytes:
        """Give the key back. Raises `Sealed` where it is refused, `Unreachable` where nobody answers."""
        ...


def lock_ring(ring: SecretKeyRing, kind: str, words: str, key: bytes) -> str:
    """Write a key ring as a locked file."""
    body = seal_committed(key, ring.to_text().encode(), _context(kind, words))
    sealed = base64.b64encode(body).decode()
    return "\n".join([_TITLE, _WARNING, f"lock {kind} {words}", f"sealed {sealed}", ""])


def lock_words(text: str) -> tuple[str, str] | None:
    """Say which lock a key file has, and its words; `None` for a plain file. Raises `BadSettings` for a damaged one."""
    if not text.startswith(_TITLE + "\n"):
        return None
    lines = [line for line in text.splitlines()[1:] if line.strip() and not line.startswith("#")]
    words = [line.split(" ") for line in lines]
    if [line[0] for line in words] != ["lock", "sealed"] or [len(line) for line in words] != [3, 2]:
        raise BadSettings("The locked key file is damaged.", hint="Restore it from its copy.")
    return words[0][1], words[0][2]


def unlock_ring(text: str, key: bytes) -> SecretKeyRing:
    """Read a locked file with its key. Raises `Sealed` where it is another one, `BadSettings` for a damaged file."""
    found = lock_words(text)
    if found is None or len(key) != KEY_BYTES:
        raise ValueError("a locked file and a key of 32 bytes")
    sealed = next(line for line in text.splitlines() if line.startswith("sealed "))
    try:
        body = base64.b64decode(sealed.removeprefix("sealed "), validate=True)
        plain = open_committed(key, body, _context(*found))
    except (binascii.Error, InvalidTag) as error:
        raise Sealed(
            "The key file does not open.",
            hint="The passphrase or the key that locks it is another one, or the file was changed.",
        ) from error
    return SecretKeyRing.from_text(plain.decode())


def _context(kind: str, words: str) -> bytes:
    return frame("key file", _TITLE, kind, words)

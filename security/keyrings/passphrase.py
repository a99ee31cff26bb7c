"""A lock that is a passphrase, made slow to guess by Argon2id (RFC 9106).

The costs stand in the file, so that they can be raised later (`twin keys protect`): memory in KiB, passes, lanes, salt.
The default is the second recommendation of RFC 9106 section 4, 64 MiB and three passes, at some tenths of a second an
attempt. A file that asks for less than 19 MiB, or for more than 4 GiB, is refused: the first was made weak, the second
to harm us.
"""

from __future__ import annotations

import base64
import binascii
import os
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from security.errors import BadSettings
from security.keys import KEY_BYTES

__all__ = ["Cost", "PassphraseLock"]

_SALT_BYTES = 16
_MEMORY = range(19 * 1024, 4 * 1024 * 1024 + 1)  # KiB
_PASSES = range(1, 65)
_LANES = range(1, 17)
_SHORTEST = 12  # characters


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt costs: memory in KiB, passes over it, lanes."""

    memory: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        if self.memory not in _MEMORY or self.passes not in _PASSES or self.lanes not in _LANES:
            raise BadSettings(
                "The costs of the passphrase are not usable.",
                hint="Memory from 19456 KiB to 4 GiB, passes from 1 to 64, lanes from 1 to 16.",
            )


class PassphraseLock:
    """Derives the key of a key file from a passphrase. Its `repr` does not show it, and it cannot be pickled."""

    kind = "passphrase"

    def __init__(self, passphrase: str, cost: Cost = Cost()) -> None:
        # Typed on another keyboard the same letters may come decomposed: RFC 8265 section 4.2 composes them.
        self._passphrase = unicodedata.normalize("NFC", passphrase).encode()
        self._length = len(passphrase)
        self._cost = cost

    def close(self) -> tuple[bytes, str]:
        """Derive a key with a new salt. Raises `BadSettings` for fewer than 12 characters."""
        if self._length < _SHORTEST:
            raise BadSettings(
                f"The passphrase has fewer than {_SHORTEST} characters.",
                hint="Take five random words or more: whoever copies the file can try as many as they like.",
            )
        salt, cost = os.urandom(_SALT_BYTES), self._cost
        text = base64.b64encode(salt).decode()
        return self._derive(salt, cost), f"argon2id,m={cost.memory},t={cost.passes},p={cost.lanes},{text}"

    def open(self, words: str) -> bytes:
        """Derive the key again. Raises `BadSettings` for words that are not such a lock's."""
        try:
            name, memory, passes, lanes, salt = words.split(",")
            if (name, memory[:2], passes[:2], lanes[:2]) != ("argon2id", "m=", "t=", "p="):
                raise ValueError(name)
            cost = Cost(int(memory[2:]), int(passes[2:]), int(lanes[2:]))
            return self._derive(base64.b64decode(salt, validate=True), cost)
        except (ValueError, binascii.Error) as error:
            raise BadSettings("The lock of the key file is not one that this version knows.", detail=words) from error

    def _derive(self, salt: bytes, cost: Cost) -> bytes:
        kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory)
        return kdf.derive(self._passphrase)

    def __repr__(self) -> str:
        return f"<PassphraseLock {self._cost}>"

    def __reduce__(self) -> str:
        raise TypeError("a passphrase is not pickled: secrets stay in this process")

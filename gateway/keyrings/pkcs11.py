"""A key file that a hardware token locks (PKCS#11): an AES key that cannot leave the token encrypts the file's own key.

Needs the extra `fhirtwin[pkcs11]` (python-pkcs11) and the token's library. A key with the label of the settings is made
in the token where there is none. Encryption is AES-256-GCM (CKM_AES_GCM, PKCS#11 v2.40 section 2.11) with a nonce that
we draw: the token is used when the file is locked, which is seldom, so that the limit of 2**32 is not in sight.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.kept_files import read_secret
from gateway.keys_settings import KeysSettings
from security.errors import BadSettings, Sealed, Unreachable
from security.keys import new_secret

__all__ = ["TokenLock"]

_BOUND = b"fhirtwin key file"
_NONCE_BYTES = 12


class TokenLock:
    """Asks the token of `[keys] module` and `token`. Its `repr` shows no PIN."""

    kind = "pkcs11"

    def __init__(self, settings: KeysSettings) -> None:
        try:
            import pkcs11  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise BadSettings(
                "Tokens need the package python-pkcs11.", hint='Run: pip install "fhirtwin[pkcs11]"', detail=error
            ) from error
        self._pkcs11: Any = pkcs11
        self._module = str(settings.module)
        self._token, self._label = settings.token, settings.label
        self._pin = read_secret(settings.pin_file, "keys.pin_file").strip()

    def close(self) -> tuple[bytes, str]:
        """Draw a key for the file, and have the token encrypt it; the token's key is made where there is none."""
        key, nonce = new_secret(), os.urandom(_NONCE_BYTES)
        with self._session(write=True) as session:
            sealed = self._own_key(session, make=True).encrypt(key, **self._gcm(nonce))
        return key, base64.b64encode(nonce + sealed).decode()

    def open(self, words: str) -> bytes:
        """Have the token decrypt the file's key. Raises `Sealed` where it cannot."""
        try:
            both = base64.b64decode(words, validate=True)
        except binascii.Error as error:
            raise Sealed("The key file is damaged.", hint="Restore it from its copy.") from error
        with self._session() as session:
            key: bytes = self._own_key(session).decrypt(both[_NONCE_BYTES:], **self._gcm(both[:_NONCE_BYTES]))
            return key

    def _gcm(self, nonce: bytes) -> dict[str, Any]:
        return {
            "mechanism": self._pkcs11.Mechanism.AES_GCM,
            "mechanism_param": self._pkcs11.GCMParams(nonce, aad=_BOUND, tag_bits=128),
        }

    def _own_key(self, session: Any, *, make: bool = False) -> Any:
        kind, label = self._pkcs11.KeyType.AES, self._label
        try:
            return session.get_key(object_class=self._pkcs11.ObjectClass.SECRET_KEY, key_type=kind, label=label)
        except self._pkcs11.exceptions.NoSuchKey:
            if not make:
                raise
            attribute = self._pkcs11.Attribute
            hidden = {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.PRIVATE: True}
            return session.generate_key(kind, 256, label=label, store=True, template=hidden)

    @contextmanager
    def _session(self, *, write: bool = False) -> Iterator[Any]:
        """Log in for as long as it takes; each failure of the token becomes a fault that says what to do."""
        wrong = self._pkcs11.exceptions
        try:
            token = self._pkcs11.lib(self._module).get_token(token_label=self._token)
            with token.open(rw=write, user_pin=self._pin) as session:
                yield session
        except (wrong.PinIncorrect, wrong.PinLocked, wrong.PinExpired, wrong.PinInvalid, wrong.PinLenRange) as error:
            raise BadSettings(
                "The token refuses the PIN.",
                hint="Check [keys] pin_file before you try again: tokens lock after some tries.",
                detail=type(error).__name__,
            ) from error
        except (wrong.NoSuchToken, wrong.NoSuchKey, wrong.MultipleObjectsReturned) as error:
            raise BadSettings(
                "The token, or the key in it, is not there, or there are several.",
                hint="Check [keys] token and label.",
                detail=type(error).__name__,
            ) from error
        except (wrong.EncryptedDataInvalid, wrong.EncryptedDataLenRange) as error:
            raise Sealed(
                "The token does not open the key file.",
                hint="It was locked by another key: check [keys] token and label.",
                detail=type(error).__name__,
            ) from error
        except (wrong.PKCS11Error, RuntimeError) as error:  # RuntimeError: the library cannot be loaded
            raise Unreachable(
                "The token does not answer.", hint="Check [keys] module, and the token.", detail=type(error).__name__
            ) from error

    def __repr__(self) -> str:
        return f"<TokenLock {self._token}>"

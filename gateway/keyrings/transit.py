"""A key file that a server of keys locks: the transit engine of Vault, OpenBao and whoever speaks as they do.

The server encrypts the file's own key (32 bytes) and never sees the file, its keys, or a patient's data. It is asked
once when a process starts, and when somebody locks the file anew. Calls (OpenBao and Vault, "Transit secrets engine
(API)"): POST encrypt/NAME, POST decrypt/NAME, GET keys/NAME; the engine's own rotation is followed by `twin keys
protect`, which encrypts under the key's newest version.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from typing import Any

import httpx

from gateway.kept_files import read_secret
from gateway.keys_settings import KeysSettings
from security.errors import BadSettings, Denied, Sealed, Unreachable
from security.keys import new_secret

__all__ = ["TransitLock"]

_SECONDS = 10.0
_BOUND = base64.b64encode(b"fhirtwin key file").decode()  # associated data: another use of that key opens nothing here


class TransitLock:
    """Asks the server of `[keys] url`. Its `repr` shows no token."""

    kind = "transit"

    def __init__(self, settings: KeysSettings) -> None:
        self._url = f"{str(settings.url).rstrip('/')}/v1/{settings.mount}"
        self._name = settings.key
        self._token = read_secret(settings.token_file, "keys.token_file").strip()
        try:
            self._trust: ssl.SSLContext | bool = (
                ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
            )
        except OSError as error:
            raise BadSettings("The file that keys.ca_file names holds no certificates.", detail=error) from error

    def close(self) -> tuple[bytes, str]:
        """Draw a key for the file, and have the server encrypt it under the newest version of its own."""
        key = new_secret()
        told = self._ask("encrypt", {"plaintext": base64.b64encode(key).decode(), "associated_data": _BOUND})
        words = str(told.get("ciphertext", ""))
        if not words or " " in words:
            raise Unreachable("The key server gave no ciphertext.", hint="Check [keys] url and mount.")
        return key, words

    def open(self, words: str) -> bytes:
        """Have the server decrypt the file's key. Raises `Sealed` where it cannot, `Denied` where it may not."""
        told = self._ask("decrypt", {"ciphertext": words, "associated_data": _BOUND})
        try:
            return base64.b64decode(str(told["plaintext"]), validate=True)
        except (KeyError, binascii.Error) as error:
            raise Unreachable("The key server gave no plaintext.", hint="Check [keys] url and mount.") from error

    def versions(self) -> tuple[int, int]:
        """Ask which version of the key is the newest, and from which on the server decrypts."""
        told = self._ask("keys", None)
        return int(told["latest_version"]), int(told["min_decryption_version"])

    def _ask(self, what: str, body: dict[str, str] | None) -> dict[str, Any]:
        address, method = f"{self._url}/{what}/{self._name}", "GET" if body is None else "POST"
        try:
            with httpx.Client(verify=self._trust, timeout=_SECONDS, trust_env=False) as client:
                answer = client.request(method, address, headers={"X-Vault-Token": self._token}, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(
                "The key server does not answer.", hint="Check [keys] url, and that the server is up.", detail=error
            ) from error
        if answer.status_code in (401, 403):
            raise Denied("The key server refuses our token.", hint="Check [keys] token_file and the token's policy.")
        if answer.status_code == 400:
            raise Sealed(
                "The key server does not open the key file.",
                hint="Check [keys] key and mount: the file was locked by another key, or a version that is archived.",
                detail=answer.text[:200],
            )
        if answer.status_code == 404:
            raise BadSettings("The key server has no such key.", hint="Check [keys] key and mount.")
        if answer.status_code != 200:
            raise Unreachable(
                "The key server cannot help now.", hint="It may be sealed, or busy.", detail=answer.status_code
            )
        try:
            told = answer.json()["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable("What answers is no key server.", hint="Check [keys] url and mount.") from error
        return dict(told)

    def __repr__(self) -> str:
        return f"<TransitLock {self._name}>"

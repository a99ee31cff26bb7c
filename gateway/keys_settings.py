"""The table [keys] of twin.toml: where wrapped keys stand, where the key ring is kept, and what locks it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

__all__ = ["KEY_PATHS", "KeysSettings"]

KEY_PATHS = ("store", "file", "passphrase_file", "module", "pin_file", "token_file", "ca_file")


class KeysSettings(BaseModel):
    """Where the keys are, and what opens them.

    Parameters
    ----------
    kind
        "file": the key ring as it is, in `file`. "passphrase": in `file`, locked by a passphrase. "env": in the
        environment variable `variable`, and in no file. "pkcs11": in `file`, locked by an AES key of a hardware token.
        "transit": in `file`, locked by a key of a server that speaks the transit API of Vault and OpenBao.
    store
        The key store: the wrapped keys of twins and sources. "": keys.db beside the store.
    file
        The key ring. "": twin.key in the home.
    passphrase_file
        The passphrase; without it the variable TWIN_PASSPHRASE, or the terminal is asked.
    module, token, pin_file, label
        The library of the token (PKCS#11), its label, the file of its PIN, and the label of the AES key in it.
    url, mount, key, token_file, ca_file
        The server, where the transit engine is mounted, the name of the key, the files of our token and of the
        certificates that we trust. The key has to be of type aes256-gcm96 or chacha20-poly1305.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["file", "passphrase", "env", "pkcs11", "transit"] = "file"
    store: Path | None = None
    file: Path | None = None
    passphrase_file: Path | None = None
    variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "TWIN_KEY_RING"
    module: Path | None = None
    token: str = ""
    pin_file: Path | None = None
    label: str = "fhirtwin"
    url: HttpUrl | None = None
    mount: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "transit"
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "fhirtwin"
    token_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> KeysSettings:
        needed: dict[str, bool] = {}
        if self.kind == "pkcs11":
            needed = {
                "module": self.module is not None,
                "token": bool(self.token),
                "pin_file": self.pin_file is not None,
            }
        elif self.kind == "transit":
            needed = {"url": self.url is not None, "token_file": self.token_file is not None}
        if missing := [name for name, there in needed.items() if not there]:
            raise ValueError(f"kind {self.kind} needs {' and '.join(missing)}")
        if self.url and self.url.scheme != "https" and self.url.host not in ("127.0.0.1", "localhost", "[::1]"):
            raise ValueError("url has to be https: the token and the key of the key ring go over it")
        return self

    def store_file(self, home: Path) -> Path:
        """Say where the key store is."""
        return self.store or home / "keys.db"

    def ring_file(self, home: Path) -> Path:
        """Say where the key ring is."""
        return self.file or home / "twin.key"

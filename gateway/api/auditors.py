"""Who may read the audit log over HTTP: names and bearer tokens in a file that only its owner can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from security.errors import BadSettings

__all__ = ["Auditors"]

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,63})[ \t]+([A-Za-z0-9._~+/=-]{32,512})", re.ASCII)
_BEARER = "bearer "


class Auditors:
    """Knows auditors by the SHA-256 of their tokens; the tokens themselves are not kept."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._hashes = [(name, _hash(token)) for name, token in tokens.items()]

    @classmethod
    def read(cls, file: Path) -> Auditors:
        """Read a file with a name and a token (32 characters or more) a line; # begins a remark.

        Raises `BadSettings`, which names a line and never shows it, where a line is something else or comes twice, or
        where others may read the file.
        """
        try:
            with file.open("r", encoding="utf-8") as opened:
                if os.name == "posix" and stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                    raise BadSettings("The file of tokens can be read by others.", hint="Run chmod 600 on it.")
                lines = opened.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings("The file of tokens cannot be read.", hint="Check --tokens.", detail=error) from error
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            told = _LINE.fullmatch(line.strip())
            if told is None or told[1] in found or told[2] in found.values():
                raise BadSettings(
                    f"Line {number} of the file of tokens is not a new name and a token of 32 characters or more.",
                    hint='One a line, such as: audit-office, a blank, and what python -c "import secrets; '
                    'print(secrets.token_urlsafe(32))" prints.',
                )
            found[told[1]] = told[2]
        if not found:
            raise BadSettings("The file of tokens has none.", hint="Put a name and a token into it, one pair a line.")
        return cls(found)

    def who(self, authorization: str) -> str | None:
        """Return whose token a request shows; each is compared, in constant time, whichever fits."""
        shown = _hash(authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else "")
        found = None
        for name, kept in self._hashes:
            if hmac.compare_digest(shown, kept):
                found = name
        return found

    def __repr__(self) -> str:
        return f"<Auditors {len(self._hashes)}>"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

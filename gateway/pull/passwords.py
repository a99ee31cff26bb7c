"""Credentials that somebody gave us and that stay as they are: a bearer token, or a user and a password."""

from __future__ import annotations

import base64

from gateway.pull.grants import is_header_safe
from gateway.pull.wire import Wire
from security.errors import BadSettings

__all__ = ["Basic", "StaticBearer"]


class StaticBearer:
    """A bearer token that somebody gave us, for servers without SMART Backend Services."""

    def __init__(self, token: str) -> None:
        token = token.strip()
        if not is_header_safe(token):
            raise BadSettings(
                "token_file does not hold a token.", hint="It needs one line with the token and nothing else."
            )
        self._header = f"Bearer {token}"

    async def authorization(self, wire: Wire) -> str:
        """Return the header's value."""
        return self._header

    def forget(self, used: str = "") -> bool:
        """Say that there is no other token."""
        return False


class Basic:
    """A user and a password (RFC 7617, UTF-8); the end of line that a file has is not part of it."""

    def __init__(self, user: str, password: str) -> None:
        password = password.rstrip("\r\n")
        self._header = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    async def authorization(self, wire: Wire) -> str:
        """Return the header's value."""
        return self._header

    def forget(self, used: str = "") -> bool:
        """Say that there is no other password."""
        return False

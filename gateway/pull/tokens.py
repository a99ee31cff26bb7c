"""Credentials: SMART Backend Services tokens, a fixed bearer token, or a password. None of them shows itself."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import msgspec

from gateway.pull.keys import SigningKey
from gateway.pull.origin import Base
from gateway.pull.scopes import missing, wanted
from gateway.pull.smart import SmartConfiguration, discover
from gateway.pull.wire import Reply, Wire
from security.errors import BadSettings, Denied, NotFhir, Unreachable

__all__ = ["BackendServices", "Basic", "Grant", "StaticBearer"]

_ASSERTION_SECONDS = 300  # SMART 2.2: "exp … SHALL be no more than five minutes in the future"
_MARGIN_SECONDS = 30.0  # a token is renewed this long before it ends
_UNSAID_SECONDS = 300  # expires_in where the server leaves it out; SMART recommends no more than five minutes
_TRIES = 2  # Epic's token endpoint answers a bare 400 now and then (cumulus-fhir-support, auth.py)

_HINTS = {  # RFC 6749 5.2
    "invalid_client": "Check client_id, that the public key is registered with the server, and this machine's clock.",
    "invalid_scope": "Ask the server's operator for the scopes, or name fewer in `scopes`.",
    "unauthorized_client": "The server does not allow this client SMART Backend Services: ask its operator.",
    "unsupported_grant_type": "The server does not offer SMART Backend Services: use another auth.",
    "invalid_request": "The server did not understand our request: run `twin doctor`, and tell its operator.",
    "invalid_grant": "The server does not accept our assertion: check client_id, key and clock.",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and what it allows; the token is no part of the `repr`."""

    token: str = field(repr=False)
    asked: tuple[str, ...]
    granted: tuple[str, ...]
    until: datetime

    @property
    def missing(self) -> tuple[str, ...]:
        """Say which parts of what was asked were not granted ("Observation.c")."""
        return missing(self.asked, self.granted)


class _Answer(msgspec.Struct):
    access_token: str = ""
    token_type: str = ""
    expires_in: int | str = _UNSAID_SECONDS
    scope: str | None = None
    error: str = ""


class BackendServices:
    """Tokens by SMART Backend Services: a signed assertion instead of a password, for a client without a user.

    SMART App Launch 2.2, "Backend Services" and "Client authentication: asymmetric" (private_key_jwt).

    Parameters
    ----------
    base_url
        The FHIR base that names the token endpoint.
    scopes
        Scopes to ask for, as SMART writes them; where empty, they are made from `read` and `create` (resource types),
        in the style that the server understands.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        key: SigningKey,
        *,
        scopes: str = "",
        read: Iterable[str] = ("*",),
        create: Iterable[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base = Base.parse(base_url)
        self._client_id, self._key = client_id, key
        self._scopes, self._read, self._create = tuple(scopes.split()), tuple(read), tuple(create)
        self._clock, self._sleep = clock, sleep
        self._one_at_a_time = asyncio.Lock()
        self.configuration: SmartConfiguration | None = None
        self.grant: Grant | None = None

    def __repr__(self) -> str:
        return f"BackendServices(key={self._key!r}, granted={self.grant is not None})"

    async def authorization(self, wire: Wire) -> str:
        """Return "Bearer …", with a new token where there is none or the last one is about to end."""
        async with self._one_at_a_time:
            if self.grant is None or self._clock() >= self.grant.until:
                self.grant = await self._fetch(wire)
            return f"Bearer {self.grant.token}"

    def forget(self) -> bool:
        """Drop the token, so that the next request fetches another."""
        self.grant = None
        return True

    async def _fetch(self, wire: Wire) -> Grant:
        if self.configuration is None:
            self.configuration = await discover(wire, self._base)
        asked = self._scopes or wanted(self._read, self._create, self.configuration.scope_style)
        for attempt in range(_TRIES):
            if attempt:
                await self._sleep(1.0)
            reply = await self._request(wire, self.configuration.token_endpoint, asked)
            if reply.status == 200:
                return self._read_grant(reply, asked)
        raise _refusal(reply)

    async def _request(self, wire: Wire, endpoint: str, asked: tuple[str, ...]) -> Reply:
        now = int(self._clock().timestamp())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": endpoint,
            "jti": secrets.token_urlsafe(32),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(asked),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._key.sign(claims),
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        return await wire.exchange("POST", httpx.URL(endpoint), headers, urlencode(form).encode())

    def _read_grant(self, reply: Reply, asked: tuple[str, ...]) -> Grant:
        told = _decode(reply)
        if told is None or told.token_type.lower() != "bearer" or not _is_header_safe(told.access_token):
            raise NotFhir("The token endpoint's answer holds no bearer token.", hint="Tell the server's operator.")
        try:
            lasts = max(0.0, float(told.expires_in))
        except ValueError:
            lasts = float(_UNSAID_SECONDS)
        until = self._clock() + timedelta(seconds=min(lasts - min(_MARGIN_SECONDS, lasts / 2), 86_400.0))
        # RFC 6749 5.1: where scope is left out, it is what was asked
        granted = asked if told.scope is None else tuple(told.scope.split())
        return Grant(told.access_token, asked, granted, until)


class StaticBearer:
    """A bearer token that somebody gave us, for servers without SMART Backend Services."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {_checked(token.strip(), 'token_file')}"

    async def authorization(self, wire: Wire) -> str:
        """Return the header's value."""
        return self._header

    def forget(self) -> bool:
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

    def forget(self) -> bool:
        """Say that there is no other password."""
        return False


def _decode(reply: Reply) -> _Answer | None:
    try:
        return msgspec.json.decode(reply.body[: 1 << 16], type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _refusal(reply: Reply) -> Denied | Unreachable:
    if reply.status in (408, 429) or reply.status >= 500:
        return Unreachable(f"The token endpoint failed with status {reply.status}.", hint="Try again later.")
    told = _decode(reply)
    code = told.error if told is not None and told.error in _HINTS else ""
    hint = _HINTS.get(code, "Check client_id and key; run `twin doctor`.")
    said = f": {code}" if code else f", status {reply.status}"
    return Denied(f"The server gave us no token{said}.", hint=hint, detail=reply.body[:500].decode("utf-8", "replace"))


def _is_header_safe(token: str) -> bool:
    return 0 < len(token) <= 16_384 and token.isascii() and token.isprintable() and " " not in token


def _checked(token: str, where: str) -> str:
    if not _is_header_safe(token):
        raise BadSettings(f"{where} does not hold a token.", hint="It needs one line with the token and nothing else.")
    return token

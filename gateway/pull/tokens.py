"""Tokens by the client credentials grant: fetched once for all who ask, renewed in time, and never shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack
from urllib.parse import urlencode

import httpx

from gateway.pull.clients import Client, SecretClient, SigningClient
from gateway.pull.connection import Credentials
from gateway.pull.grants import Grant, error_of, is_passing, read_grant, refusal_of
from gateway.pull.keys import KeySet, SigningKey
from gateway.pull.origin import Base
from gateway.pull.retry import AGAIN, ComeBackLater, Retry
from gateway.pull.scopes import alternatives
from gateway.pull.smart import SmartConfiguration, discover, rediscover
from gateway.pull.wire import Reply, Wire
from security.errors import Fault, Unreachable

__all__ = ["BackendServices", "ClientCredentials", "ClientSecret", "TokenAsked", "narrowed", "remarks_of"]

_TRIES = 3  # Epic's token endpoint answers a bare 400 now and then (cumulus-fhir-support, auth.py)
_LATER_SECONDS = 10.0  # when a renewal that failed is tried again, while the old token is still good
_REFUSED_SECONDS = 60.0  # a client that was refused does not ask again sooner: some servers lock it out


@dataclass(slots=True)
class _Attempt:
    """What is left to try: ways to show who we are, and spellings of our scopes, the present one first."""

    told: SmartConfiguration
    ways: list[str]
    scopes: list[tuple[str, ...]]
    failed: int = 0
    has_moved: bool = False
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TokenAsked:
    """One request for a token: where, with which grant and scopes, and how it ended. It holds no credential.

    `ended` is "" for a token, else a word of RFC 6749 5.2, the status ("http-503") or the code of a fault; `may_pass`
    says that it may be another answer in a moment.
    """

    endpoint: str
    form: Mapping[str, str]
    ended: str
    may_pass: bool = False


class _Asking(TypedDict, total=False):
    scopes: str
    read: Iterable[str]
    create: Iterable[str]
    change: Iterable[str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    dice: random.Random


class ClientCredentials:
    """Tokens for a client without a user (RFC 6749 4.4).

    One request for a token is under way at most; who asks meanwhile gets its token, or its fault. An endpoint that
    fails in passing (network, 5xx, 429, a 400 without a word) is asked `_TRIES` times in all, with pauses; while the
    old token is good, a renewal that fails costs nothing. A word of refusal is taken as said: `invalid_client` is
    followed by one try in another way of the client's, `invalid_scope` by one each without what we would change, in the
    other version's scopes and with the types that the server lists, an endpoint that is gone by one look for another.
    Then the client asks no more for a minute. What helped stands in `remarks`, and is tried first from then on. Whoever
    sets `heard` is told of each request before its token is used.

    Parameters
    ----------
    base_url
        The FHIR base that names the token endpoint.
    client
        Who asks, and how it shows that.
    scopes
        Scopes to ask for, as SMART writes them; where empty, they are made from `read`, `create` and `change` (resource
        types), in the style that the server understands. `change` is asked for no more where the server refuses it.
    """

    def __init__(
        self,
        base_url: str,
        client: Client,
        *,
        scopes: str = "",
        read: Iterable[str] = ("*",),
        create: Iterable[str] = (),
        change: Iterable[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: random.Random | None = None,
    ) -> None:
        self._base = Base.parse(base_url)
        self._client = client
        self._scopes, self._read = tuple(scopes.split()), tuple(read)
        self._create, self._change = tuple(create), tuple(change)
        self._clock, self._sleep = clock, sleep
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not a secret
        self._one_at_a_time = asyncio.Lock()
        self._failures, self._fault, self._quiet_until = 0, Fault(""), datetime.min.replace(tzinfo=UTC)
        self._way = ""
        self._written: tuple[str, ...] = ()
        self.configuration: SmartConfiguration | None = None
        self.grant: Grant | None = None
        self.remarks: tuple[str, ...] = ()
        self.heard: Callable[[TokenAsked], None] = lambda asked: None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client!r}, granted={self.grant is not None})"

    async def authorization(self, wire: Wire) -> str:
        """Return "Bearer …", with a new token where there is none or the last one is about to end."""
        failures = self._failures
        async with self._one_at_a_time:
            if self.grant is None or self._clock() >= self.grant.until:
                if self._failures > failures or self._clock() < self._quiet_until:
                    raise self._fault.with_traceback(None)
                self.grant = await self._renew(wire)
            return f"Bearer {self.grant.token}"

    def forget(self, used: str = "") -> bool:
        """Drop the token, so that the next request fetches another; where `used` was renewed meanwhile, do nothing.

        `used` is the Authorization header, or the token, that a server no longer takes; "" is whatever we hold.
        """
        if self.grant is not None and used.removeprefix("Bearer ") in ("", self.grant.token):
            self.grant = None
        return True

    async def _renew(self, wire: Wire) -> Grant:
        try:
            return await self._fetch(wire)
        except Unreachable as fault:
            now, old = self._clock(), self.grant
            if old is not None and now < old.ends:
                return replace(old, until=min(old.ends, now + timedelta(seconds=_LATER_SECONDS)))
            self._quiet(fault, fault.seconds if isinstance(fault, ComeBackLater) else 0.0)
            raise
        except Fault as fault:
            self._quiet(fault, _REFUSED_SECONDS)
            raise

    def _quiet(self, fault: Fault, seconds: float) -> None:
        """Tell this fault to all who wait for the same token, and to who asks in the next `seconds`."""
        self._failures, self._fault = self._failures + 1, fault
        self._quiet_until = self._clock() + timedelta(seconds=seconds)

    async def _fetch(self, wire: Wire) -> Grant:
        if self.configuration is None:
            self.configuration = await discover(wire, self._base)
        attempt = self._begin(self.configuration)
        while True:
            try:
                reply = await self._request(wire, attempt)
            except Unreachable:
                if not await self._pause(attempt, wire):
                    raise
                continue
            if reply.status == 200:
                grant = read_grant(reply, self._wanted(attempt), attempt.scopes[0], self._clock())
                if not grant.is_empty or not _next(attempt.scopes):
                    return self._took(grant, attempt)
            elif not await self._mend(wire, attempt, reply) and not (
                is_passing(reply) and await self._pause(attempt, wire, reply)
            ):
                raise refusal_of(reply)

    def _begin(self, told: SmartConfiguration) -> _Attempt:
        """Begin with what helped the last time."""
        ways = [*self._client.ways(told)]
        scopes = [self._scopes] if self._scopes else alternatives(self._read, self._create, told, self._change)
        return _Attempt(
            told,
            sorted(ways, key=lambda way: way != self._way),
            sorted(scopes, key=lambda written: written != self._written),
        )

    async def _mend(self, wire: Wire, attempt: _Attempt, reply: Reply) -> bool:
        """Take what the server's refusal leaves to be tried; say whether there is something."""
        error = error_of(reply)
        if not attempt.has_moved and (reply.status in (404, 405, 410) or b"unknown-tenant" in reply.body[:4096]):
            attempt.has_moved = True
            if found := await rediscover(wire, self._base, attempt.told):
                attempt.told = self.configuration = found
                attempt.remarks.append(f"The token endpoint is another than was named first; it is in {found.found}.")
                return True
        if error == "invalid_client" and _next(attempt.ways):
            attempt.remarks.append(f"The server refused us at first, and took {attempt.ways[0]}.")
            return True
        if error == "invalid_scope" and _next(attempt.scopes):
            attempt.remarks.append("The server refused our scopes at first, and took others.")
            return True
        return False

    async def _request(self, wire: Wire, attempt: _Attempt) -> Reply:
        endpoint = attempt.told.token_endpoint
        shown = self._client.show(attempt.ways[0], endpoint, int(self._clock().timestamp()))
        said = {"grant_type": "client_credentials", "scope": " ".join(attempt.scopes[0])}
        form = {**said, **shown.form}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **shown.headers}
        try:
            reply = await wire.exchange("POST", httpx.URL(endpoint), headers, urlencode(form).encode())
        except Fault as fault:
            self.heard(TokenAsked(endpoint, said, fault.code, fault.retryable))
            raise
        ended = "" if reply.status == 200 else error_of(reply) or f"http-{reply.status}"
        self.heard(TokenAsked(endpoint, said, ended, is_passing(reply)))
        return reply

    def _wanted(self, attempt: _Attempt) -> tuple[str, ...]:
        return self._scopes or alternatives(self._read, self._create, attempt.told, self._change)[0]

    def _took(self, grant: Grant, attempt: _Attempt) -> Grant:
        self._way, self._written = attempt.ways[0], attempt.scopes[0]
        self.remarks = tuple(dict.fromkeys((*self.remarks, *attempt.remarks)))
        return grant

    async def _pause(self, attempt: _Attempt, wire: Wire, reply: Reply | None = None) -> bool:
        """Wait before the endpoint is asked again, and say whether it is."""
        attempt.failed += 1
        retry = Retry(wire.patience, clock=self._clock, sleep=self._sleep, dice=self._dice)
        told = retry.told(reply) if reply is not None and reply.status in AGAIN else None
        if told is not None and told > wire.patience.come_back:
            raise ComeBackLater(told)
        if attempt.failed < _TRIES:
            await retry.pause(attempt.failed, told)
        return attempt.failed < _TRIES


class BackendServices(ClientCredentials):
    """Tokens by SMART Backend Services: a signed assertion instead of a password, for a client without a user.

    SMART App Launch 2.2, "Backend Services" and "Client authentication: asymmetric" (private_key_jwt). Where the server
    refuses our newest key (`invalid_client`), the one before it is tried, once.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        key: SigningKey | KeySet,
        *,
        jwks_url: str = "",
        **asking: Unpack[_Asking],
    ) -> None:
        keys = key if isinstance(key, KeySet) else KeySet((key,))
        super().__init__(base_url, SigningClient(client_id, keys, jwks_url), **asking)


class ClientSecret(ClientCredentials):
    """Tokens for a client with a secret (RFC 6749 2.3.1 and 4.4); the end of line that a file has is not part of it."""

    def __init__(self, base_url: str, client_id: str, secret: str, **asking: Unpack[_Asking]) -> None:
        super().__init__(base_url, SecretClient(client_id, secret.rstrip("\r\n")), **asking)


def narrowed(auth: Credentials | None) -> tuple[str, ...]:
    """Say what the server did not grant of what we asked for ("Observation.c"); empty before there is a token."""
    grant = auth.grant if isinstance(auth, ClientCredentials) else None
    return grant.missing if grant is not None else ()


def remarks_of(auth: Credentials | None) -> tuple[str, ...]:
    """Say what a certificate has to tell of how we were let in: what helped, and what we may not read."""
    if not isinstance(auth, ClientCredentials):
        return ()
    lacking = [word for word in narrowed(auth) if word.endswith((".r", ".s"))]
    return (*auth.remarks, *((f"The server did not grant us: {', '.join(lacking)}.",) if lacking else ()))


def _next(left: list[str] | list[tuple[str, ...]]) -> bool:
    if len(left) < 2:
        return False
    del left[0]
    return True

"""Who shows an access token: asked at each request, before anything else (B4, B13).

A token that was checked is known by its hash until it ends. What may change meanwhile is not: the store numbers the
state of all that decides whether a token holds (`Store.register_version`), and at another number all of it is asked
anew. So what is revoked or disabled in any process ends with the next request in each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool

from gateway.api.refusal import Refusal
from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.clients import find_client
from gateway.smart.places import Places
from gateway.smart.token_keys import signing_keys
from gateway.smart.trust import Issuers
from security.errors import Fault
from security.policy import Caller, Role
from security.signed import LARGEST, BadToken, PublicKey, open_unverified
from security.tokens import SKEW, AccessToken, caller_of, read_access_token

__all__ = ["OwnTokens", "ResourceServer"]

_MOST: Final = 20_000
_REALM: Final = 'Bearer realm="fhir"'


class OwnTokens:
    """Checks tokens that we gave."""

    def __init__(self, home: Home, places: Places) -> None:
        self._store, self._places = home.store, places
        self._accounts = Accounts(home)
        self._keys: tuple[int, datetime, list[PublicKey]] | None = None

    def read(self, token: str, now: datetime) -> AccessToken:
        """Check what a token says by itself. Raises `BadToken`."""
        return read_access_token(
            token, self._public(now), issuer=self._places.issuer, audience=self._places.base, now=now
        )

    def person(self, token: AccessToken, now: datetime) -> tuple[tuple[Role, ...], str]:
        """Ask what may have changed since it was given. Raises `BadToken`.

        Returns the roles of its person now, and the resource that they are; neither for a program.
        """
        store = self._store
        if any(store.registered("revoked", name, now) is not None for name in (token.id, token.grant)):
            raise BadToken("revoked")
        client = find_client(store, token.client, now)
        if client is None or client.tenant != token.tenant:
            raise BadToken("client")
        if token.is_for_itself:
            if not client.backend:
                raise BadToken("client")
            return (), ""
        account = self._accounts.get(token.subject, now)
        if account is None or account.disabled or account.session != token.session or account.tenant != token.tenant:
            raise BadToken("account")
        return account.roles, account.fhir_user

    def _public(self, now: datetime) -> list[PublicKey]:
        version = self._store.register_version()
        if self._keys is None or self._keys[0] != version or now - self._keys[1] > timedelta(minutes=1):
            self._keys = version, now, signing_keys(self._store, now).public(now)
        return self._keys[2]


@dataclass(frozen=True, slots=True)
class _Known:
    token: AccessToken
    caller: Caller
    version: int


class ResourceServer:
    """Tells the API who asks: with our own tokens, and with those of issuers that the operator trusts."""

    def __init__(self, home: Home, base: str) -> None:
        places = Places(base.rstrip("/"))
        self._store, self._own = home.store, OwnTokens(home, places)
        self._issuer = places.issuer
        self._issuers = Issuers(home, places)
        self._known: dict[bytes, _Known] = {}

    async def who(self, authorization: str, now: datetime) -> Caller:
        """Return who shows the token of an Authorization header.

        Raises a `Refusal` with 401 and WWW-Authenticate (RFC 6750 3): always the same, whatever is wrong with a token.
        """
        scheme, _, token = authorization.partition(" ")
        if not authorization:
            raise _refused("")
        if scheme.lower() != "bearer" or not token or len(token) > LARGEST:
            raise _refused("invalid_token")
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(mark)
        if known is not None and known.version == self._store.register_version() and now < known.token.expires + SKEW:
            return known.caller
        try:
            if known is None and self._issuers and not self._is_ours(token):
                return await self._issuers.who(token, now)
            return await run_in_threadpool(self._check, token, mark, now)
        except BadToken:
            self._known.pop(mark, None)
            raise _refused("invalid_token") from None
        except Fault as fault:
            if fault.retryable:
                raise Refusal(
                    503, fault.issue, "Whether the token holds cannot be found out now.", Retry_After="10"
                ) from None
            raise

    def _check(self, token: str, mark: bytes, now: datetime) -> Caller:
        version = self._store.register_version()
        known = self._known.get(mark)
        read = known.token if known is not None else self._own.read(token, now)
        if now >= read.expires + SKEW:
            raise BadToken("expired")
        caller = caller_of(read, *self._own.person(read, now))
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[mark] = _Known(read, caller, version)
        return caller

    def _is_ours(self, token: str) -> bool:
        try:
            return open_unverified(token).claims.get("iss") == self._issuer
        except BadToken:
            return False


def _refused(error: str) -> Refusal:
    said = f'{_REALM}, error="{error}"' if error else _REALM
    return Refusal(401, "login", "Show an access token that holds.", WWW_Authenticate=said)

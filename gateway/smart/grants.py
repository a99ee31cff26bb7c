"""The three grants of our token endpoint, each as Authlib walks through it: code, refresh token, client credentials.

What Authlib leaves open is here: a code and a refresh token are used up before anything else is looked at, so that of
many who come at once one gets tokens, and a second use ends what the first one got (A6, A11).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from authlib.oauth2.rfc6749 import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidGrantError,
    InvalidScopeError,
    RefreshTokenGrant,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from gateway.smart.approval import within
from gateway.smart.granted import ACCESS, CODE, Code, Granted, new_id
from gateway.smart.refresh import Shown, begin_family, exchange, revoke_family, see
from gateway.smart.sessions import is_online
from gateway.smart.values import Account, Client
from security.narrowing import narrow
from security.scopes import read_scopes

if TYPE_CHECKING:
    from gateway.smart.server import TokenServer

__all__ = ["BackendGrant", "CodeGrant", "OnlyS256", "RefreshGrant", "RegisteredClient"]

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 4.1


@dataclass(frozen=True, slots=True)
class RegisteredClient(ClientMixin):
    """One of our clients, as Authlib asks for it."""

    client: Client

    def check_grant_type(self, grant_type: str) -> bool:
        """Say whether it may use a grant."""
        if self.client.backend:
            return grant_type == "client_credentials"
        return grant_type in self.client.grants and grant_type != "client_credentials"


@dataclass(frozen=True, slots=True)
class _UsedCode:
    """A code that was good, and no longer is."""

    code: Code

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.code.granted.scopes)


class CodeGrant(AuthorizationCodeGrant):
    """The code of an app for its first tokens (RFC 6749 4.1.3)."""

    server: TokenServer

    def query_authorization_code(self, code: str, client: RegisteredClient) -> _UsedCode | None:
        """Use a code up, whoever shows it; `None` where it is not good for this client now."""
        store, now = self.server.store, self.request.now
        found = store.registered("code", code, now)
        if found is None:
            return None
        kept = msgspec.msgpack.decode(found.content, type=Code)
        used = msgspec.msgpack.encode(msgspec.structs.replace(kept, used=True))
        if kept.used or not store.register("code", code, used, now, after=found.revision, until=found.until):
            revoke_family(store, kept.granted, now)
            self.request.why = "code-used-twice"
            return None
        is_good = kept.granted.client == client.client.id and now < kept.granted.since + CODE
        return _UsedCode(kept) if is_good else None

    def authenticate_user(self, authorization_code: _UsedCode) -> Account | None:
        """Return the person, if they may still be served."""
        return self.server.person(authorization_code.code.granted, self.request.now)

    def generate_token(self, **said: Any) -> dict[str, Any]:
        """Give tokens. If somebody has shown the same code meanwhile, they do not hold: their grant was revoked."""
        store, now = self.server.store, self.request.now
        granted: Granted = self.request.authorization_code.code.granted
        with store.transaction():
            until = (granted.refresh or now) + ACCESS
            store.register("grant", granted.id, msgspec.msgpack.encode(granted), now, until=until)
            is_lasting = granted.refresh is not None and "refresh_token" in self.request.client.client.grants
            refresh = begin_family(store, granted, now) if is_lasting else ""
            return self.server.give(self.request, granted, granted.scopes, refresh=refresh)

    def delete_authorization_code(self, authorization_code: _UsedCode) -> None:
        """Do nothing: it was used up when it was shown, and is kept so that a second use is seen."""


class OnlyS256(CodeChallenge):
    """PKCE as we have it: always, by S256 only (A2). What is missing or wrong is an invalid grant."""

    def validate_code_verifier(self, grant: CodeGrant, result: object) -> None:
        """Check the verifier that the app kept."""
        verifier = grant.request.form.get("code_verifier", "")
        challenge = grant.request.authorization_code.code.challenge
        if not _VERIFIER.fullmatch(verifier) or create_s256_code_challenge(verifier) != challenge:
            raise InvalidGrantError("The code verifier does not fit.")


@dataclass(frozen=True, slots=True)
class _KnownToken:
    shown: Shown

    def check_client(self, client: RegisteredClient) -> bool:
        return self.shown.granted.client == client.client.id

    def get_scope(self) -> str:
        return " ".join(self.shown.granted.scopes)


class RefreshGrant(RefreshTokenGrant):
    """A refresh token for the next tokens (RFC 6749 6)."""

    server: TokenServer

    def authenticate_refresh_token(self, refresh_token: str) -> _KnownToken | None:
        """Find what it is about; one that was used before ends its family."""
        store, now = self.server.store, self.request.now
        shown = see(store, refresh_token, now)
        if shown is None:
            return None
        if not shown.is_next:
            revoke_family(store, shown.granted, now)
            self.request.why = "refresh-token-used-twice"
            return None
        return _KnownToken(shown)

    def _validate_token_scope(self, token: _KnownToken) -> None:
        wanted = self.request.payload.scope
        if wanted and not within(wanted.split(), token.shown.granted.scopes):
            raise InvalidScopeError()

    def authenticate_user(self, refresh_token: _KnownToken) -> Account:
        """Return the person, if they may still be served, and are still there where that was the condition."""
        granted, now = refresh_token.shown.granted, self.request.now
        person = self.server.person(granted, now)
        is_bound = "offline_access" not in granted.scopes
        if person is None or (is_bound and not is_online(self.server.home, granted.browser, now)):
            raise InvalidGrantError()
        return person

    def issue_token(self, user: Account, refresh_token: _KnownToken) -> dict[str, Any]:
        """Exchange it for the next one and an access token, narrowed for this time where that is asked."""
        shown, wanted = refresh_token.shown, self.request.payload.scope
        scopes = tuple(wanted.split()) if wanted else shown.granted.scopes
        if (following := exchange(self.server.store, shown, self.request.now)) is None:
            self.request.why = "refresh-token-used-twice"
            raise InvalidGrantError()
        return self.server.give(self.request, shown.granted, scopes, refresh=following)

    def revoke_old_credential(self, refresh_token: _KnownToken) -> None:
        """Do nothing: it was exchanged."""


class BackendGrant(ClientCredentialsGrant):
    """A program for itself (SMART App Launch 2.2, Backend Services): system scopes, five minutes, no refresh token."""

    server: TokenServer

    def validate_requested_scope(self) -> None:
        """Leave of the scopes what the program may have. Raises `InvalidScopeError` where that is nothing."""
        if self.request.auth_method != "private_key_jwt":
            raise UnauthorizedClientError()
        wanted = self.request.payload.scope or ""
        if read_scopes(wanted).malformed:
            raise InvalidScopeError()
        client: Client = self.request.client.client
        scopes = [each for each in narrow(wanted, client.scopes) if each.startswith("system/")]
        if not scopes:
            raise InvalidScopeError()
        self.request.scope = " ".join(scopes)

    def generate_token(self, **said: Any) -> dict[str, Any]:
        """Give the token."""
        client: Client = self.request.client.client
        scopes: Sequence[str] = self.request.scope.split()
        granted = Granted(
            id=new_id(),
            client=client.id,
            tenant=client.tenant,
            purpose=client.purpose,
            scopes=tuple(scopes),
            since=self.request.now,
        )
        return self.server.give(self.request, granted, scopes)

"""The authorization server of an EHR: SMART Backend Services with `private_key_jwt`, and clients with a secret.

Sources: SMART App Launch 2.2.0 backend-services.html and client-confidential-asymmetric.html, RFC 7523 section 3,
RFC 6749 sections 2.3.1 (secrets) and 5.2 (error words). Access tokens are opaque, as Epic's are: a client that decodes
them breaks.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote_plus

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from conformance.hostile.problem import Problem
from conformance.hostile.scopes import Action, Scope, ScopeVersion, grant, parse_scope
from security.errors import BadSettings

__all__ = ["ALGORITHMS", "ASSERTION_TYPE", "Authorization", "Grant", "Method", "TokenProblem"]

Method = Literal["private_key_jwt", "client_secret_basic", "client_secret_post"]

ALGORITHMS = ("RS384", "ES384")  # the two that SMART names; every other is refused (requirement C1)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = 300.0  # seconds; an assertion lives no longer than five minutes
_SKEW = 5.0  # seconds that two clocks may differ


class TokenProblem(Exception):
    """A token request that is refused with a word of RFC 6749 section 5.2."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text

    def body(self) -> dict[str, str]:
        """Return the JSON to answer with."""
        return {"error": self.error, "error_description": self.text}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: a client, its scopes, and until when."""

    client: str
    scopes: tuple[Scope, ...]
    until: datetime

    def require(self, action: Action, type_: str) -> None:
        """Raise 403 unless a scope allows the action on the type."""
        if not any(scope.covers(action, type_) for scope in self.scopes):
            raise Problem(403, "forbidden", f"No scope of this token allows {action!r} on {type_}.")


@dataclass(frozen=True, slots=True)
class _Client:
    keys: KeySet
    kids: tuple[str, ...]
    scopes: str
    jwks_url: str = ""


@dataclass(frozen=True, slots=True)
class _WithSecret:
    secret: str
    scopes: str
    method: Method


class Authorization:
    """The clients that are registered, the tokens that are out, and the assertions that were seen."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        token_lifetime: timedelta,
        versions: tuple[ScopeVersion, ...] = ("v1", "v2"),
    ) -> None:
        self._clock = clock
        self._lifetime = token_lifetime
        self.versions = versions
        self._clients: dict[str, _Client] = {}
        self._with_secret: dict[str, _WithSecret] = {}
        self._grants: dict[str, Grant] = {}
        self._seen: dict[tuple[str, str], float] = {}

    @property
    def methods(self) -> tuple[Method, ...]:
        """The ways in which the clients that are registered show who they are."""
        found = {client.method for client in self._with_secret.values()}
        return ("private_key_jwt", *sorted(found)) if self._clients or not found else tuple(sorted(found))

    def register_secret(
        self, client_id: str, secret: str, scopes: str = "system/*.cruds", *, method: Method = "client_secret_basic"
    ) -> None:
        """Register a client with a secret, which it has to show in one way and no other."""
        self._with_secret[client_id] = _WithSecret(secret, scopes, method)

    def register(
        self, client_id: str, jwks: Mapping[str, Any], scopes: str = "system/*.cruds", *, jwks_url: str = ""
    ) -> None:
        """Register a client with its public key set and the scopes that it may be granted at most.

        Where it names the URL of that set, its header may repeat it (`jku`); nothing is fetched.
        """
        keys = jwks.get("keys")
        if not isinstance(keys, list) or not keys:
            raise BadSettings("The key set of the client holds no keys.", hint='It reads {"keys": [...]}.')
        if any("d" in key or key.get("kty") == "oct" for key in keys):
            raise BadSettings("The key set of the client holds a private key.", hint="Register the public half only.")
        if not all(key.get("kid") for key in keys):
            raise BadSettings("A key of the client has no kid.", hint="SMART requires kid and kty on each key.")
        try:
            key_set = KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, KeyError) as error:
            raise BadSettings("The key set of the client cannot be read.", detail=error) from error
        self._clients[client_id] = _Client(key_set, tuple(key["kid"] for key in keys), scopes, jwks_url)

    def issue(self, client_id: str, scopes: str) -> str:
        """Hand out a token without asking, for a test that is not about tokens."""
        understood = tuple(scope for word in scopes.split() if (scope := parse_scope(word)))
        token = secrets.token_urlsafe(32)
        self._grants[token] = Grant(client_id, understood, self._clock() + self._lifetime)
        return token

    def exchange(self, form: Mapping[str, str], token_url: str, authorization: str = "") -> dict[str, Any]:
        """Answer a token request with its Authorization header; `TokenProblem` where it is refused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenProblem("unsupported_grant_type", "This server grants client_credentials only.")
        if "client_assertion" not in form and (authorization or "client_secret" in form):
            client_id, allowed = self._by_secret(form, authorization)
        elif form.get("client_assertion_type") != ASSERTION_TYPE:
            raise TokenProblem("invalid_client", "client_assertion_type is missing or another one.")
        else:
            client_id = self._authenticate(form.get("client_assertion", ""), token_url)
            allowed = self._clients[client_id].scopes
        if form.get("client_id", client_id) != client_id:
            raise TokenProblem("invalid_client", "client_id is not the issuer of the assertion.")
        granted = grant(form.get("scope", ""), allowed, self.versions)
        if not granted:
            raise TokenProblem("invalid_scope", "None of the scopes asked for can be granted.")
        scope = " ".join(granted)
        return {
            "access_token": self.issue(client_id, scope),
            "token_type": "bearer",
            "expires_in": int(self._lifetime.total_seconds()),
            "scope": scope,
        }

    def check(self, header: str) -> Grant:
        """Return the grant behind an `Authorization` header, or raise 401 (RFC 6750 section 3)."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("This server wants a bearer token.", "")
        grant_ = self._grants.get(token.strip())
        if grant_ is None or grant_.until <= self._clock():
            raise _unauthorized("The token is unknown or has expired.", ', error="invalid_token"')
        return grant_

    def revoke(self, header: str) -> Problem:
        """Let the token in a header expire now, and return the answer that says so."""
        self._grants.pop(header.partition(" ")[2].strip(), None)
        return _unauthorized("The token has expired.", ', error="invalid_token"')

    def _by_secret(self, form: Mapping[str, str], authorization: str) -> tuple[str, str]:
        """Return who shows a secret in their way, and the scopes that they may have at most."""
        method: Method = "client_secret_basic" if authorization else "client_secret_post"
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization:
            try:
                told = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode("ascii")
            except (ValueError, UnicodeDecodeError):
                raise TokenProblem("invalid_client", "The Authorization header is not Basic.") from None
            client_id, _, secret = (unquote_plus(part) for part in told.partition(":"))
        known = self._with_secret.get(client_id)
        if known is None or known.method != method or not hmac.compare_digest(known.secret.encode(), secret.encode()):
            raise TokenProblem("invalid_client", "The client is not registered, or this is not its secret, or its way.")
        return client_id, known.scopes

    def _authenticate(self, assertion: str, token_url: str) -> str:
        try:
            unverified = jws.extract_compact(assertion.encode("ascii"))
            header, issuer = unverified.headers(), json.loads(unverified.payload).get("iss")
            client = self._clients.get(issuer) if isinstance(issuer, str) else None
            if client is None:
                raise TokenProblem("invalid_client", "The client is not registered, or its assertion is not valid.")
            if header.get("typ") != "JWT" or client.kids.count(header.get("kid", "")) != 1:
                raise TokenProblem("invalid_client", "The header wants typ JWT and a registered kid.")
            if "jku" in header and header["jku"] != (client.jwks_url or None):
                raise TokenProblem("invalid_client", "The header wants the jku that is registered, or none.")
            claims = jwt.decode(assertion, client.keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, AttributeError, TypeError):
            raise TokenProblem("invalid_client", "The assertion is not a JWT signed by a registered key.") from None
        self._check_claims(claims, token_url)
        return str(claims["iss"])

    def _check_claims(self, claims: Mapping[str, Any], token_url: str) -> None:
        now = self._clock().timestamp()
        audience = claims.get("aud")
        if token_url not in (audience if isinstance(audience, list) else [audience]):
            raise TokenProblem("invalid_client", "aud is not the URL of this token endpoint.")
        if claims.get("sub") != claims["iss"]:
            raise TokenProblem("invalid_client", "iss and sub are not the same client_id.")
        until, not_before = claims.get("exp"), claims.get("nbf", now)
        if not isinstance(until, int | float) or not now - _SKEW < until <= now + _LIFETIME + _SKEW:
            raise TokenProblem("invalid_client", "exp is missing, past, or more than five minutes ahead.")
        if not isinstance(not_before, int | float) or not_before > now + _SKEW:
            raise TokenProblem("invalid_client", "nbf is still to come.")
        name = claims.get("jti")
        if not isinstance(name, str) or not name:
            raise TokenProblem("invalid_client", "jti is missing.")
        key = (str(claims["iss"]), name)
        self._seen = {known: end for known, end in self._seen.items() if end + _SKEW > now}
        # The key comes from the verified claims, never from the text of the token: base64 has several spellings (C3).
        if key in self._seen:
            raise TokenProblem("invalid_client", "jti was seen before.")
        self._seen[key] = float(until)


def _unauthorized(text: str, error: str) -> Problem:
    return Problem(401, "login", text, {"WWW-Authenticate": f'Bearer realm="fhir"{error}'})

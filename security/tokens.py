"""Our access tokens and id_tokens: made, and checked at each request (RFC 9068, OpenID Connect Core 2, SMART 2.2).

An access token is a JWT of the type at+jwt, which an id_token never is: neither is taken for the other (RFC 8725 3.11).
Both are signed with RS256, which every client of either must know (RFC 9068 2.1, OpenID Connect Core 3.1.3.7).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from security.audit import plain_name, signed_token
from security.policy import Caller, Role
from security.signed import BadToken, PublicKey, numeric_date, verify

__all__ = ["ALGORITHM", "SKEW", "AccessToken", "TokenKey", "caller_of", "check_times", "read_access_token"]

ALGORITHM: Final = "RS256"
SKEW: Final = timedelta(seconds=60)
"""By how much clocks may differ (B4)."""
_BITS: Final = 3072
_TYPE: Final = "at+jwt"


class TokenKey:
    """A private key that signs tokens. It shows itself to nobody but who keeps it (`private`)."""

    __slots__ = ("_key", "kid")

    def __init__(self, key: RSAKey) -> None:
        self._key = key
        self.kid = key.thumbprint()

    @classmethod
    def new(cls) -> TokenKey:
        """Make one: RSA, 3072 bits."""
        return cls(RSAKey.generate_key(_BITS, private=True, auto_kid=True))

    @classmethod
    def read(cls, private: Mapping[str, Any]) -> TokenKey:
        """Read what `private` wrote."""
        return cls(RSAKey.import_key({name: text for name, text in private.items() if name != "kid"}))

    def private(self) -> dict[str, Any]:
        """Return the private JWK, for whoever seals it."""
        return dict(self._key.as_dict(private=True))

    def public(self) -> dict[str, Any]:
        """Return the public JWK, as it is published."""
        told = self._key.as_dict(private=False)
        return {"kty": "RSA", "kid": self.kid, "alg": ALGORITHM, "use": "sig", "n": told["n"], "e": told["e"]}

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return a JWT with these claims."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": typ}
        return jwt.encode(header, dict(claims), self._key, algorithms=[ALGORITHM])

    def __repr__(self) -> str:
        return f"TokenKey(kid={self.kid!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What one of our access tokens says.

    `subject` is the account of the person, or the client itself. `grant` is what it was given under, `session` the
    number of the account at that time.
    """

    id: str
    issuer: str
    audience: str
    client: str
    subject: str
    scopes: tuple[str, ...]
    issued: datetime
    expires: datetime
    grant: str
    session: int = 0
    patient: str = ""
    encounter: str = ""
    fhir_user: str = ""
    tenant: str = ""
    purpose: str = "TREAT"

    def signed_with(self, key: TokenKey) -> str:
        """Make the token."""
        issued = int(self.issued.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": self.subject,
            "client_id": self.client,
            "jti": self.id,
            "iat": issued,
            "nbf": issued,
            "exp": int(self.expires.timestamp()),
            "scope": " ".join(self.scopes),
            "grant": self.grant,
            "session": self.session,
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirUser": self.fhir_user,
            "tenant": self.tenant,
            "purpose": self.purpose,
        }
        return key.sign({name: value for name, value in claims.items() if value not in ("", 0)}, typ=_TYPE)

    @property
    def is_for_itself(self) -> bool:
        """Say whether the client acts for nobody but itself (Backend Services)."""
        return not self.session


def read_access_token(
    token: str, keys: Iterable[PublicKey], *, issuer: str, audience: str, now: datetime
) -> AccessToken:
    """Check one of our access tokens: signature, type, issuer, audience and times (B4). Raises `BadToken`.

    Whether it was revoked since, and what its person and its client are now, is for the caller to ask.
    """
    claims = verify(token, keys, (ALGORITHM,), types=(_TYPE,)).claims
    if claims.get("iss") != issuer:
        raise BadToken("issuer")
    if claims.get("aud") != audience:
        raise BadToken("audience")
    texts = {name: claims.get(name, "") for name in _TEXTS}
    session = claims.get("session", 0)
    sound = all(isinstance(text, str) for text in texts.values()) and type(session) is int
    if not sound or not all(texts[name] for name in ("jti", "sub", "client_id", "grant")):
        raise BadToken("claims")
    issued, expires = check_times(claims, now, whole=True)
    return AccessToken(
        id=texts["jti"],
        issuer=issuer,
        audience=audience,
        client=texts["client_id"],
        subject=texts["sub"],
        scopes=tuple(texts["scope"].split()),
        issued=issued,
        expires=expires,
        grant=texts["grant"],
        session=session,
        patient=texts["patient"],
        encounter=texts["encounter"],
        fhir_user=texts["fhirUser"],
        tenant=texts["tenant"],
        purpose=texts["purpose"] or "TREAT",
    )


_TEXTS: Final = (
    *("jti", "sub", "client_id", "scope", "grant"),
    *("patient", "encounter", "fhirUser", "tenant", "purpose"),
)


def check_times(claims: Mapping[str, Any], now: datetime, *, whole: bool = False) -> tuple[datetime, datetime]:
    """Check `exp`, and `nbf` and `iat` where they are there, with a minute of skew. Raises `BadToken`.

    Returns when it was issued (or now, where it does not say) and when it ends.
    """
    at, skew = now.timestamp(), SKEW.total_seconds()
    expires = numeric_date(claims, "exp", whole=whole)
    if at >= expires + skew:
        raise BadToken("expired")
    if "nbf" in claims and numeric_date(claims, "nbf", whole=whole) > at + skew:
        raise BadToken("not-yet")
    issued = numeric_date(claims, "iat", whole=whole) if "iat" in claims else at
    if issued > at + skew:
        raise BadToken("not-yet")
    return datetime.fromtimestamp(issued, UTC), datetime.fromtimestamp(expires, UTC)


def caller_of(token: AccessToken, roles: Collection[Role], fhir_user: str = "") -> Caller:
    """Say who shows a token, with the roles that its person has now (B13), and the resource that they are.

    An app is told which resource that is with the scope fhirUser only; a patient may see their own record without it.
    """
    user = "" if token.is_for_itself else token.subject
    return Caller(
        client=token.client,
        user=user,
        fhir_user=fhir_user or token.fhir_user,
        roles=frozenset(roles),
        tenant=token.tenant,
        purpose=token.purpose,
        patient=token.patient,
        encounter=token.encounter,
        scopes=token.scopes,
        token=signed_token(
            token.id,
            client_id=plain_name(token.client),
            issuer=plain_name(token.issuer),
            user=plain_name(user) if user else "",
        ),
        expires=token.expires,
    )

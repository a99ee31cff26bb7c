"""How we show a token endpoint who we are: by an assertion that we sign, or by a secret. Neither shows itself."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from gateway.pull.keys import KeySet
from gateway.pull.smart import SmartConfiguration

__all__ = ["Client", "SecretClient", "Shown", "SigningClient"]

_ASSERTION_SECONDS = 300  # SMART 2.2: "exp … SHALL be no more than five minutes in the future"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 2.2
_SECRET_WAYS = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class Shown:
    """What goes into a token request to show who asks: headers, and fields of the form."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


class Client(Protocol):
    """Somebody who is registered with a server, and who can show it in one or more ways."""

    def ways(self, told: SmartConfiguration) -> tuple[str, ...]:
        """Name the ways that the server takes, the one to try first; the names may be shown."""
        ...

    def show(self, way: str, endpoint: str, now: int) -> Shown:
        """Show it in one of the ways, afresh; `now` is in seconds since 1970."""
        ...


class SigningClient:
    """A client with keys: private_key_jwt (SMART App Launch 2.2, "Client authentication: asymmetric").

    Parameters
    ----------
    jwks_url
        Where we publish our keys, as it is registered with the server: then the header says so (`jku`).
    """

    def __init__(self, client_id: str, keys: KeySet, jwks_url: str = "") -> None:
        self._client_id, self._keys, self._jwks_url = client_id, keys, jwks_url

    def ways(self, told: SmartConfiguration) -> tuple[str, ...]:
        """Name our keys that the server takes: the one that signs, and one before it."""
        return tuple(f"key {key.kid}" for key in self._keys.fitting(told.algorithms)[:2])

    def show(self, way: str, endpoint: str, now: int) -> Shown:
        """Sign an assertion that is used once and ends within five minutes."""
        [key] = [key for key in self._keys.keys if way == f"key {key.kid}"]
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": endpoint,
            "jti": secrets.token_urlsafe(32),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        assertion = key.sign(claims, jku=self._jwks_url)
        return Shown(form={"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion})

    def __repr__(self) -> str:
        return f"SigningClient({self._keys!r})"


class SecretClient:
    """A client with a secret (RFC 6749 2.3.1), sent as the server's configuration says; else in the header first."""

    def __init__(self, client_id: str, secret: str) -> None:
        self._client_id, self._secret = client_id, secret

    def ways(self, told: SmartConfiguration) -> tuple[str, ...]:
        """Name what the server lists, or both where it lists neither (RFC 8414 2: the header is the default)."""
        return tuple(way for way in _SECRET_WAYS if way in told.methods) or _SECRET_WAYS

    def show(self, way: str, endpoint: str, now: int) -> Shown:
        """Put id and secret into the header, each form-urlencoded first (RFC 6749 2.3.1), or into the form.

        A space is %20 and not +, which all servers read alike.
        """
        if way == "client_secret_post":
            return Shown(form={"client_id": self._client_id, "client_secret": self._secret})
        both = ":".join(quote(part, safe="") for part in (self._client_id, self._secret))
        return Shown(headers={"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"})

    def __repr__(self) -> str:
        return "SecretClient()"

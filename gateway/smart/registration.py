"""Clients that may ask us for tokens: apps of people, and programs that act for themselves. Registered by commands.

What a client may be is checked once, when it is registered, so that nothing else has to guess: RFC 6749 sections 2 and
3.1.2, RFC 8252 (apps on a machine), SMART App Launch 2.2 (client authentication, backend services).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.home import Home
from gateway.smart.values import Client
from gateway.store.audited import Events
from security.errors import Misuse, UnknownName
from security.plain import visible
from security.scopes import WORDS, read_scopes

__all__ = ["Clients", "checked", "fits", "hash_secret", "keys_in", "new_secret", "split_words", "web_origin"]

KIND: Final = "client"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", re.ASCII)
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_SECRET_BYTES: Final = 32  # 256 bits (A18)
_MOST: Final = 20
_PURPOSE = re.compile(r"[A-Z][A-Z0-9]{1,15}", re.ASCII)
_read = msgspec.msgpack.Decoder(Client)


class Clients:
    """The clients of a home."""

    def __init__(self, home: Home) -> None:
        self._store = home.store

    def get(self, id_: str, now: datetime) -> Client | None:
        """Return the client of an id, disabled ones too; `None` where there is none."""
        found = self._store.registered(KIND, id_, now)
        return _read.decode(found.content) if found else None

    def must_get(self, id_: str, now: datetime) -> Client:
        """Return it, or raise `UnknownName` with the nearest ones."""
        if (found := self.get(id_, now)) is None:
            raise UnknownName("client", id_, (each.id for each in self.all(now)))
        return found

    def all(self, now: datetime) -> list[Client]:
        """Return all clients in the order of their ids."""
        found = (_read.decode(each.content) for each in self._store.registered_all(KIND, now))
        return sorted(found, key=lambda each: each.id)

    def add(self, client: Client, now: datetime, events: Events = ()) -> None:
        """Keep a new client."""
        if not self._store.register(KIND, client.id, msgspec.msgpack.encode(client), now, events=events):
            raise Misuse("There is a client of this id.", hint="Take another id, or change that one.")

    def change(self, id_: str, change: Callable[[Client], Client], now: datetime, events: Events = ()) -> Client:
        """Replace a client by what `change` makes of it."""
        while True:
            found = self._store.registered(KIND, id_, now)
            if found is None:
                raise UnknownName("client", id_, (each.id for each in self.all(now)))
            after = change(_read.decode(found.content))
            content = msgspec.msgpack.encode(after)
            if self._store.register(KIND, id_, content, now, after=found.revision, events=events):
                return after

    def remove(self, id_: str, now: datetime, events: Events = ()) -> None:
        """Remove a client: its tokens end."""
        self.must_get(id_, now)
        self._store.strike(KIND, id_, now, events)


def new_secret() -> str:
    """Draw a secret of 256 bits."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Hash a secret that was drawn: it has 256 bits, so that nobody can try them all, and no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def fits(secret: str, client: Client) -> bool:
    """Say whether a secret is one of a client's, in a time that tells nothing of which, or how nearly (A18)."""
    told = hash_secret(secret).encode()
    return sum(hmac.compare_digest(told, kept.encode()) for kept in client.secrets) > 0  # all are compared


def checked(client: Client) -> Client:
    """Return a client that may be registered. Raises `Misuse`, which says what is wrong with it."""
    if not _ID.fullmatch(client.id):
        raise Misuse("This is no client id.", hint="Letters, digits, dot, dash, underscore and ~, 128 at most.")
    if not client.name.strip() or len(client.name) > 100 or not client.name.isprintable():
        raise Misuse("The name of a client is shown to people: 1 to 100 characters.", hint="Say --name.")
    if not _PURPOSE.fullmatch(client.purpose):
        raise Misuse("The purpose is a code of HL7 v3-ActReason.", hint="Such as TREAT, HPAYMT, HRESCH or PUBHLTH.")
    if not client.scopes:
        raise Misuse("A client without scopes can ask for nothing.", hint='Say --scopes "launch/patient patient/*.rs".')
    read = read_scopes(client.scopes)
    if read.malformed:
        raise Misuse(
            f"This is no scope: {visible(read.malformed[0])[:100]}",
            hint="Such as patient/Observation.rs, user/*.cruds or patient/Condition.rs?category=problem-list-item.",
        )
    if read.unknown:
        raise UnknownName("scope", read.unknown[0], WORDS)
    for uri in client.redirect_uris:
        _demand_redirect(uri)
    if client.launch_url:
        _demand_web("launch URL", client.launch_url)
    if client.keys_url:
        _demand_web("JWKS URL", client.keys_url)
    _demand_kind(client)
    _demand_grants(client)
    return client


def keys_in(told: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Read the public keys of a JWK Set, for RS384 and ES384. Raises `Misuse`, for a private key, too."""
    keys = told.get("keys", [told] if "kty" in told else None)
    if not isinstance(keys, list) or not keys or len(keys) > _MOST or not all(isinstance(key, dict) for key in keys):
        raise Misuse("This is no JWK Set.", hint='A JSON object with "keys": a list of public keys (RFC 7517).')
    for key in keys:
        if key.get("kty") == "oct" or {"d", "k", "p", "q"} & key.keys():
            raise Misuse(
                "There is a private or a symmetric key in this JWK Set.",
                hint="Whoever owns it keeps it: make new keys, and give only the public halves (RFC 7517, 9.3).",
            )
        if not isinstance(key.get("kid"), str) or not key["kid"]:
            raise Misuse("A key has no kid.", hint="SMART App Launch 2.2 requires one, by which the key is found.")
        if (key.get("kty"), key.get("crv", "P-384")) not in (("RSA", "P-384"), ("EC", "P-384")):
            raise Misuse("A key is neither RSA nor of the curve P-384.", hint="Clients sign with RS384 or ES384.")
    if len({key["kid"] for key in keys}) < len(keys):
        raise Misuse("Two keys have the same kid.", hint="Each key has one of its own.")
    try:
        KeySet.import_key_set({"keys": keys})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Misuse("A key of the JWK Set cannot be read.", hint="See RFC 7517 and RFC 7518.") from error
    return tuple(keys)


def web_origin(uri: str) -> str:
    """Return the origin of a URI ("https://app.example.org"), or the scheme of one that is no web address."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _demand_kind(client: Client) -> None:
    keys = bool(client.keys or client.keys_url)
    if client.kind == "asymmetric" and not keys:
        raise Misuse("An asymmetric client has public keys.", hint="Say --jwks FILE or --jwks-url URL.")
    if client.kind != "asymmetric" and keys:
        raise Misuse("Only an asymmetric client has keys.", hint="Say --kind asymmetric.")
    if client.keys and client.keys_url:
        raise Misuse("Keys are given, or fetched.", hint="Say either --jwks or --jwks-url.")
    if (client.kind == "symmetric") is not bool(client.secrets):
        raise Misuse("A symmetric client, and no other, has a secret.")


def _demand_grants(client: Client) -> None:
    """SMART App Launch 2.2: a backend service has asymmetric keys (@344), and nobody who could be sent anywhere."""
    is_system = any(scope.startswith("system/") for scope in client.scopes)
    is_personal = any(scope.startswith(("patient/", "user/", "launch", "openid")) for scope in client.scopes)
    if client.backend and client.kind != "asymmetric":
        raise Misuse(
            "A backend service authenticates with a key.", hint="Say --kind asymmetric (SMART App Launch 2.2)."
        )
    if is_system and not client.backend:
        raise Misuse("System scopes are for a backend service.", hint="Say --backend.")
    if is_personal and client.backend:
        raise Misuse(
            "A backend service has no person and no patient.", hint="Give it system scopes, and register an app apart."
        )
    if client.backend and (client.redirect_uris or client.launch_url):
        raise Misuse("A backend service is sent nowhere.", hint="Leave --redirect-uri and --launch-url out.")
    if not client.backend and not client.redirect_uris and not client.introspects:
        raise Misuse("An app has a redirect URI at least.", hint="Say --redirect-uri, or --backend.")
    if client.introspects and client.kind == "public":
        raise Misuse("Whoever asks about tokens authenticates.", hint="Say --kind symmetric or asymmetric.")


def _demand_redirect(uri: str) -> None:
    """RFC 6749 3.1.2: absolute, no fragment; RFC 9700 2.1: compared as text, so without what could be read two ways."""
    parts = _parts("redirect URI", uri)
    if parts.scheme == "http" and (parts.hostname or "") not in _LOOPBACK:
        raise Misuse("A redirect URI is https.", hint="http is for a program on the person's own machine (RFC 8252).")
    if parts.scheme in ("http", "https"):
        _demand_web("redirect URI", uri)
    elif "." not in parts.scheme:
        raise Misuse(
            "A redirect URI is https, or has a scheme of the app's own.",
            hint="Such as org.example.app:/callback (RFC 8252, 7.1).",
        )


def _demand_web(what: str, url: str) -> None:
    parts = _parts(what, url)
    if parts.scheme != "https" and not (parts.scheme == "http" and (parts.hostname or "") in _LOOPBACK):
        raise Misuse(f"The {what} is https.", hint="Only for this machine may it be http.")
    if not parts.hostname or "@" in parts.netloc or "*" in url:
        raise Misuse(f"The {what} names one host, without a user and without *.")


def _parts(what: str, uri: str) -> Any:
    visible = uri.isascii() and uri.isprintable() and not re.search(r'[\s\\<>"{}|^`]', uri)
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise Misuse(
            f"The {what} cannot be read.", hint="An absolute URI, such as https://app.example.org/cb."
        ) from error
    if not visible or len(uri) > 2000 or not parts.scheme or "#" in uri or "/../" in parts.path or "/./" in parts.path:
        raise Misuse(
            f"The {what} cannot be used.",
            hint="An absolute URI in ASCII, without a fragment, such as https://app.example.org/callback.",
        )
    return parts


def split_words(told: Iterable[str]) -> tuple[str, ...]:
    """Read values that may be said once with spaces between, or more than once; each stays once, in its order."""
    return tuple(dict.fromkeys(word for text in told for word in text.split()))

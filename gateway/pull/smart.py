"""Where a server's token endpoint is, and which scopes it knows: `.well-known/smart-configuration`, or /metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx
import msgspec

from gateway.pull.origin import Base, ForeignUrlError
from gateway.pull.retry import AGAIN
from gateway.pull.scopes import ScopeStyle
from gateway.pull.wire import Wire
from security.errors import NotFhir, Unreachable

__all__ = ["SmartConfiguration", "discover", "rediscover"]

# SMART App Launch 1.0 (2018), "Declaring support for OAuth2 endpoints": before .well-known there was this extension.
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_ACCEPT = "application/fhir+json, application/json+fhir;q=0.9, application/json;q=0.9"


class _WellKnown(msgspec.Struct):
    token_endpoint: str = ""
    capabilities: list[str] = []
    scopes_supported: list[str] = []
    token_endpoint_auth_methods_supported: list[str] = []
    token_endpoint_auth_signing_alg_values_supported: list[str] = []


@dataclass(frozen=True, slots=True)
class SmartConfiguration:
    """What a server says about its tokens.

    `found` is "well-known" or "metadata". `methods` are the ways in which a client may show who it is
    ("private_key_jwt", "client_secret_basic" ...), `algorithms` those in which it may sign; empty where nobody says.
    """

    token_endpoint: str
    found: str
    capabilities: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    @property
    def scope_style(self) -> ScopeStyle:
        """Say which scopes to ask for: v2 where the server names it, or lists no v1 scope but v2 ones; else v1."""
        if "permission-v2" in self.capabilities:
            return "v2"
        endings = {s.partition("?")[0].rpartition(".")[2] for s in self.scopes_supported if "/" in s}
        return "v2" if endings and not endings & {"read", "write", "*"} else "v1"


async def discover(wire: Wire, base: Base) -> SmartConfiguration:
    """Find the token endpoint; raises `NotFhir` where the server names none, or one that is not protected.

    The endpoint may be on another server than the base: the base names it over TLS, and the base is what the operator
    trusts. It may never be less protected than the base. Raises `Unreachable` where the server fails in passing.
    """
    may_pass = False
    for path, accept, read in _PLACES:
        reply = await wire.exchange("GET", base.join(path), {"Accept": accept})
        if reply.status == 200 and (found := read(reply.body, base)) is not None:
            return found
        may_pass = may_pass or reply.status in AGAIN
    if may_pass:
        raise Unreachable("The server does not say now where tokens are to be had.", hint="Try again later.")
    hint = "Set auth to what the server offers, or ask its operator for SMART Backend Services."
    raise NotFhir("The server does not say where tokens are to be had.", hint=hint)


async def rediscover(wire: Wire, base: Base, stale: SmartConfiguration) -> SmartConfiguration | None:
    """Look for another token endpoint than one that is gone; `None` where the server names no other.

    What a server writes at the one place may be older than what it writes at the other (yourphr#338).
    """
    for path, accept, read in _PLACES:
        reply = await wire.exchange("GET", base.join(path), {"Accept": accept})
        found = read(reply.body, base) if reply.status == 200 else None
        if found is not None and found.token_endpoint != stale.token_endpoint:
            # /metadata names the endpoint only; the rest stands as it was told
            named = replace(stale, token_endpoint=found.token_endpoint, found="metadata")
            return named if found.found == "metadata" else found
    return None


def _well_known(body: bytes, base: Base) -> SmartConfiguration | None:
    try:
        told = msgspec.json.decode(body, type=_WellKnown)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not told.token_endpoint:
        return None
    return SmartConfiguration(
        str(_endpoint(told.token_endpoint, base)),
        "well-known",
        tuple(told.capabilities),
        tuple(told.scopes_supported),
        tuple(told.token_endpoint_auth_signing_alg_values_supported),
        tuple(told.token_endpoint_auth_methods_supported),
    )


def _metadata(body: bytes, base: Base) -> SmartConfiguration | None:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for rest in _list(told, "rest"):
        for extension in _list(rest.get("security", {}), "extension"):
            for part in _list(extension, "extension") if extension.get("url") == _OAUTH_URIS else ():
                if part.get("url") == "token" and isinstance(part.get("valueUri"), str):
                    return SmartConfiguration(str(_endpoint(part["valueUri"], base)), "metadata")
    return None


_PLACES = (
    (".well-known/smart-configuration", "application/json", _well_known),
    ("metadata", _ACCEPT, _metadata),
)


def _endpoint(text: str, base: Base) -> httpx.URL:
    try:
        url = base.read(text, base.url.copy_with(path=base.url.path.rstrip("/") + "/"))
    except ForeignUrlError as error:
        raise NotFhir("The server's token endpoint is not a URL.", hint="Tell its operator.", detail=text) from error
    if url.userinfo or not Base(url).is_protected or (base.url.scheme == "https" and url.scheme != "https"):
        raise NotFhir("The server's token endpoint is not protected.", hint="Tell its operator: https is needed.")
    return url


def _list(where: Any, key: str) -> list[dict[str, Any]]:
    found = where.get(key) if isinstance(where, dict) else None
    return [x for x in found if isinstance(x, dict)] if isinstance(found, list) else []

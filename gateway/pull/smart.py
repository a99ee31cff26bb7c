"""Where a server's token endpoint is, and which scopes it knows: `.well-known/smart-configuration`, or /metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from gateway.pull.origin import Base, ForeignUrlError
from gateway.pull.scopes import ScopeStyle
from gateway.pull.wire import Wire
from security.errors import NotFhir

__all__ = ["SmartConfiguration", "discover"]

# SMART App Launch 1.0 (2018), "Declaring support for OAuth2 endpoints": before .well-known there was this extension.
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_ACCEPT = "application/fhir+json, application/json+fhir;q=0.9, application/json;q=0.9"


class _WellKnown(msgspec.Struct):
    token_endpoint: str = ""
    capabilities: list[str] = []
    scopes_supported: list[str] = []
    token_endpoint_auth_signing_alg_values_supported: list[str] = []


@dataclass(frozen=True, slots=True)
class SmartConfiguration:
    """What a server says about its tokens. `found` is "well-known" or "metadata"."""

    token_endpoint: str
    found: str
    capabilities: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()

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
    trusts. It may never be less protected than the base.
    """
    found = await _well_known(wire, base) or await _metadata(wire, base)
    if found is None:
        hint = "Set auth to what the server offers, or ask its operator for SMART Backend Services."
        raise NotFhir("The server does not say where tokens are to be had.", hint=hint)
    return found


async def _well_known(wire: Wire, base: Base) -> SmartConfiguration | None:
    reply = await wire.exchange("GET", base.join(".well-known/smart-configuration"), {"Accept": "application/json"})
    try:
        told = msgspec.json.decode(reply.body, type=_WellKnown) if reply.status == 200 else _WellKnown()
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
    )


async def _metadata(wire: Wire, base: Base) -> SmartConfiguration | None:
    reply = await wire.exchange("GET", base.join("metadata"), {"Accept": _ACCEPT})
    try:
        told = msgspec.json.decode(reply.body) if reply.status == 200 else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for rest in _list(told, "rest"):
        for extension in _list(rest.get("security", {}), "extension"):
            for part in _list(extension, "extension") if extension.get("url") == _OAUTH_URIS else ():
                if part.get("url") == "token" and isinstance(part.get("valueUri"), str):
                    return SmartConfiguration(str(_endpoint(part["valueUri"], base)), "metadata")
    return None


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

"""The public halves of our keys, where servers can fetch them: nobody has to be asked before a key is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.credentials import key_set
from gateway.settings import SourceSettings
from security.errors import Fault

__all__ = ["KEPT_SECONDS", "PATH", "has_keys", "jwks_route", "public_keys"]

PATH: Final = "/jwks.json"
KEPT_SECONDS: Final = 300
"""How long a server may keep what it fetched. A new key is published for longer than this before it signs."""


def has_keys(settings: SourceSettings) -> bool:
    """Say whether a source signs with a key of ours."""
    return settings.auth == "backend-services"


def public_keys(sources: Mapping[str, SourceSettings]) -> dict[str, Any]:
    """Return the JWK Set of all sources that sign, each key once; raises `BadSettings` where a key cannot be read."""
    found: dict[str, Any] = {}
    for settings in sources.values():
        if has_keys(settings):
            found |= {key.kid: key.public() for key in key_set(settings).keys}
    return {"keys": [*found.values()]}


def jwks_route(sources: Mapping[str, SourceSettings]) -> Route:
    """Serve the JWK Set, read anew for each request: a key that was changed is told without a restart.

    Public keys need no token (SMART App Launch 2.2, "Registering a client": the URL is open). Where one key cannot be
    read, none is told: a server keeps the set that it has, and does not learn that keys are gone.
    """

    def answer(request: Request) -> Response:
        try:
            told = json.dumps(public_keys(sources))
        except Fault:
            return Response(status_code=503, headers={"Retry-After": "60", "Cache-Control": "no-store"})
        headers = {"Cache-Control": f"public, max-age={KEPT_SECONDS}", "X-Content-Type-Options": "nosniff"}
        return Response(told, headers=headers, media_type="application/jwk-set+json")

    return Route(PATH, answer, methods=["GET"])

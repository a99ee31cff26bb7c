"""What a client accepts and sends: media types with their FHIR version, bodies, and the token of a next link."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from conformance.hostile import wire
from conformance.hostile.problem import Problem
from conformance.hostile.searchset import PAGE_PARAMETERS
from conformance.hostile.versions import Version

__all__ = ["require_acceptable", "resource_in", "token_of"]

_JSON = ("application/json", "application/fhir+json", "application/json+fhir", "text/json")
_TAKES_ALL = ("*/*", "application/*")
_PAGE = tuple(PAGE_PARAMETERS.values())


def token_of(request: Request) -> str:
    """Return the token of the page that is asked for, "" where none is."""
    pairs = dict(parse_qsl(request.url.query, keep_blank_values=True))
    return next((pairs[name] for name in _PAGE if name in pairs), "")


def require_acceptable(request: Request, version: Version) -> None:
    """Raise 406 where nothing that this server writes is accepted: it writes JSON, and one FHIR version."""
    asked = dict(parse_qsl(request.url.query)).get("_format", "").replace(" ", "+")  # "+" is a blank in a query
    told = asked or request.headers.get("accept", "*/*")
    kinds = [kind.partition(";")[0].strip().lower() for kind in told.split(",") if version.is_told_by(kind)]
    if not any(kind in (*_JSON, *_TAKES_ALL, "json") for kind in kinds):
        raise Problem(406, "not-supported", f"This server writes JSON, and FHIR {version.number}.")


async def resource_in(request: Request, version: Version) -> dict[str, Any]:
    """Read the resource in a body; 415 for another media type, 400 for what is no resource."""
    told = request.headers.get("content-type", "")
    kind = told.partition(";")[0].strip().lower()
    if kind not in ("application/json", version.media_type) or not version.is_told_by(told):
        raise Problem(415, "not-supported", f"This server reads {version.media_type} of FHIR {version.number}.")
    try:
        resource = wire.decode(await request.body())
    except wire.NotJson:
        raise Problem(400, "structure", "The body is not JSON.") from None
    if not isinstance(resource, dict):
        raise Problem(400, "structure", "The body is not a resource.")
    return resource

"""Faults of the token endpoint."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Call

__all__: list[str] = []

_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _issue(call: Call, scope: str, **changes: Any) -> Response:
    """Hand out a token as the endpoint would; `None` takes a member out."""
    token = call.ehr.smart.issue("anybody", scope)
    told = {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": scope, **changes}
    return JSONResponse({name: value for name, value in told.items() if value is not None}, headers=_HEADERS)


@fault("token-refused", "token", "400 without a body", "Epic's bare 400s: cumulus-fhir-support auth.py")
def token_refused(call: Call, struck: Any) -> Response:
    return Response(status_code=400, headers=_HEADERS)


@fault("token-endpoint-down", "token", "503 with a proxy's HTML page", "14: smart-on-fhir/bulk-data-client#18; 2a")
def token_endpoint_down(call: Call, struck: Any) -> Response:
    return HTMLResponse("<html><title>503</title><body>Down for maintenance</body></html>", 503)


@fault(
    "token-endpoint-throttled", "token", "429 with Retry-After (value: seconds)", "10: onaio/fhir-web#1556", value="1"
)
def token_endpoint_throttled(call: Call, struck: Any) -> Response:
    return Response(status_code=429, headers={**_HEADERS, "Retry-After": struck.setting})


@fault(
    "token-without-end",
    "token",
    "a token without expires_in, to anybody who asks",
    "bulk-data-client asserts that it is there: interop.md 2a; RFC 6749 section 5.1 only recommends it",
)
def token_without_end(call: Call, struck: Any) -> Response:
    return _issue(call, "system/*.rs", expires_in=None)


@fault(
    "narrowed-grant",
    "token",
    "a token for fewer types than asked for (value: the scope), to anybody who asks",
    "SMART App Launch 2.2.0@259: the scope granted may be another; 2a, narrower grants",
    value="system/Patient.rs",
)
def narrowed_grant(call: Call, struck: Any) -> Response:
    return _issue(call, struck.setting)


@fault(
    "token-of-another-kind",
    "token",
    "the token type is said in capitals, expires_in as text",
    "RFC 6749 section 5.1: the type is case-insensitive; 2a, Epic and Veradigm",
)
def token_of_another_kind(call: Call, struck: Any) -> Response:
    return _issue(call, "system/*.rs", token_type="BEARER", expires_in="300")  # noqa: S106 - a kind, no secret

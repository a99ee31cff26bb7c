"""Faults that refuse a whole request: tokens that end, servers that are ill or busy, proxies in between."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from starlette.responses import HTMLResponse, RedirectResponse, Response

from conformance.hostile import wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Call
from conformance.hostile.problem import Problem, operation_outcome

__all__: list[str] = []


def _is_read(call: Call) -> bool:
    """A read of one resource, or of one version of it."""
    parts = call.request.url.path.removeprefix("/fhir/").split("/")
    is_named = len(parts) >= 2 and not parts[0].startswith("bulk") and not parts[1].startswith(("_", "$"))
    return call.request.method == "GET" and is_named


def _is_history(call: Call) -> bool:
    return call.request.url.path.endswith("/_history")


def _is_everything(call: Call) -> bool:
    return call.request.url.path.endswith("/$everything")


def _is_search_by_url(call: Call) -> bool:
    parts = call.request.url.path.removeprefix("/fhir").strip("/").split("/")
    return call.request.method == "GET" and len(parts) == 1 and bool(parts[0]) and bool(call.request.url.query)


def _page(title: str, text: str, status: int) -> Response:
    return HTMLResponse(f"<!DOCTYPE html><html><title>{title}</title><body>{text}</body></html>", status)


@fault("login-page", "request", "200 with a proxy's HTML page", "interop.md 2a: proxies answer in their own words")
def login_page(call: Call, struck: Any) -> Response:
    return _page("Sign in", "<form>Who are you?</form>", 200)


@fault("bad-gateway-page", "request", "502 with a proxy's HTML page", "14: smart-on-fhir/bulk-data-client#18")
def bad_gateway_page(call: Call, struck: Any) -> Response:
    return _page("502 Bad Gateway", "<h1>502 Bad Gateway</h1>", 502)


@fault("expired-token", "request", "401: the token expires now", "10: drajer-health/eCRNow#235")
def expired_token(call: Call, struck: Any) -> None:
    raise call.ehr.smart.revoke(call.authorization)


@fault("server-error", "request", "500 with an OperationOutcome", "14: cumulus-etl#334")
def server_error(call: Call, struck: Any) -> None:
    raise Problem(500, "exception", "Something went wrong.")


@fault("gateway-timeout", "request", "504 without a body", "retried by cumulus-fhir-support http.py: interop.md 2a")
def gateway_timeout(call: Call, struck: Any) -> Response:
    return Response(status_code=504)


@fault(
    "unavailable",
    "request",
    "503 with Retry-After (value: seconds)",
    "14: smart-on-fhir/bulk-data-client#18",
    value="1",
)
def unavailable(call: Call, struck: Any) -> None:
    raise Problem(503, "transient", "Down for maintenance.", {"Retry-After": struck.setting})


@fault(
    "throttled", "request", "429 with Retry-After (value: seconds)", "14: smart-on-fhir/bulk-data-client#18", value="1"
)
def throttled(call: Call, struck: Any) -> None:
    raise Problem(429, "throttled", "Too many requests.", {"Retry-After": struck.setting})


@fault(
    "throttled-until-a-date",
    "request",
    "429 with Retry-After as an HTTP date (value: seconds from now)",
    "RFC 9110 section 10.2.3; 15: smart-on-fhir/bulk-data-client PR 14",
    value="2",
)
def throttled_until_a_date(call: Call, struck: Any) -> None:
    when = call.ehr.clock() + timedelta(seconds=struck.number)
    raise Problem(429, "throttled", "Too many requests.", {"Retry-After": wire.http_date(when)})


@fault(
    "throttled-without-a-word",
    "request",
    "429 with neither Retry-After nor a body",
    "14: smart-on-fhir/bulk-data-client#18",
)
def throttled_without_a_word(call: Call, struck: Any) -> Response:
    return Response(status_code=429)


@fault(
    "rate-limit",
    "request",
    "429 to all above so many requests a second (value), for real; Retry-After says when the next is free",
    "interop.md 2a, throttling; Medplum's rate limits; 14: smart-on-fhir/bulk-data-client#18",
    value="5",
)
def rate_limit(call: Call, struck: Any) -> None:
    now, rate = call.ehr.clock(), max(0.001, struck.number)
    bucket = call.ehr.misbehaviours.memory.setdefault("rate-limit", {"left": max(1.0, rate), "at": now})
    gained = (now - bucket["at"]).total_seconds() * rate
    bucket.update(left=min(max(1.0, rate), bucket["left"] + gained), at=now)
    if bucket["left"] < 1:
        wait = max(1, math.ceil((1 - bucket["left"]) / rate))
        raise Problem(429, "throttled", "Too many requests a second.", {"Retry-After": str(wait)})
    bucket["left"] -= 1


@fault(
    "throttling-storm",
    "request",
    "429 to everybody for so many seconds (value) from the first request on, Retry-After 1",
    "14: smart-on-fhir/bulk-data-client#18",
    value="3",
)
def throttling_storm(call: Call, struck: Any) -> None:
    begun = call.ehr.misbehaviours.memory.setdefault("throttling-storm", call.ehr.clock())
    if call.ehr.clock() - begun < timedelta(seconds=struck.number):
        raise Problem(429, "throttled", "Too many requests.", {"Retry-After": "1"})


@fault(
    "outcome-for-bundle",
    "request",
    "200 with an OperationOutcome of an error",
    "interop.md 2a, paging: smart-fetch makes an outcome of a page that fails",
)
def outcome_for_bundle(call: Call, struck: Any) -> Response:
    body = wire.encode(operation_outcome("processing", "The search could not be carried out."))
    return Response(body, 200, media_type=call.ehr.version.media_type)


@fault("nothing-to-read", "request", "200 with an empty body", "bad input, requirement D6")
def nothing_to_read(call: Call, struck: Any) -> Response:
    return Response(b"", 200, media_type=call.ehr.version.media_type)


@fault("redirect-loop", "request", "307 to the same address, for ever", "D1, D4: redirects are bounded")
def redirect_loop(call: Call, struck: Any) -> Response:
    return RedirectResponse(str(call.request.url), 307)


@fault(
    "redirect-to-stranger",
    "request",
    "307 to another server (value: URL), which sees what is sent along",
    "D1; cerner/fhir.cerner.com#899",
    value="http://elsewhere.invalid",
)
def redirect_to_stranger(call: Call, struck: Any) -> Response:
    url = call.request.url
    return RedirectResponse(f"{struck.setting}{url.path}" + (f"?{url.query}" if url.query else ""), 307)


@fault(
    "long-url-refused",
    "request",
    "404 where the path and query are longer than value characters; POST _search is taken",
    "3: microsoft/fhir-server#2250",
    value="2000",
)
def long_url_refused(call: Call, struck: Any) -> Response | None:
    url = call.request.url
    return Response(status_code=404) if len(url.path) + len(url.query) + 1 > struck.number else None


@fault(
    "post-only-search",
    "request",
    "405 to a search by GET: parameters go into the body of POST _search",
    "3: microsoft/fhir-server#2250; http.html#search: POST keeps parameters out of URLs",
    fits=_is_search_by_url,
)
def post_only_search(call: Call, struck: Any) -> None:
    raise Problem(405, "not-supported", "Searches go by POST to _search here.", {"Allow": "POST"})


@fault(
    "read-forbidden",
    "request",
    "403 to reading one resource; searches work",
    "inferno-reference-server PR 161: read and search are two scopes",
    fits=_is_read,
)
def read_forbidden(call: Call, struck: Any) -> None:
    raise Problem(403, "forbidden", "Resources are not read one by one here.")


@fault(
    "history-unsupported",
    "request",
    "501 to _history of a type or an instance",
    "13: awslabs/fhir-works#821: no difference feed at all",
    fits=_is_history,
)
def history_unsupported(call: Call, struck: Any) -> None:
    raise Problem(501, "not-supported", "This server keeps no history.")


@fault(
    "everything-unsupported",
    "request",
    "404 to $everything",
    "fasten-sources fhir401_client.go: not there on Epic; interop.md 2a",
    fits=_is_everything,
)
def everything_unsupported(call: Call, struck: Any) -> None:
    raise Problem(404, "not-supported", "There is no $everything here.")

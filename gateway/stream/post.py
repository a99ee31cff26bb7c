"""Resources by HTTP POST: who has the stream's token puts them on disk, and is told so only when they are.

The status is for machines, the OperationOutcome for people. Nothing of a body is repeated in either.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.pull.bundle import NotReadError
from gateway.pull.dialect import NUMBERS
from gateway.settings import StreamSettings
from gateway.stream.body import Body, read_body
from gateway.stream.delivery import Delivery
from gateway.stream.inbox import Busy, Inbox
from gateway.stream.told import Tell
from security.errors import BadSettings, Fault

__all__ = ["post_route", "read_token"]

_LINES: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"})
_JSON: Final = frozenset({"application/fhir+json", "application/json"})
_PATIENCE_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 5
_LEAST_TOKEN: Final = 24
_KEY: Final = re.compile(r"[\x21-\x7e ]{1,255}")
_SAFE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class _No(Exception):
    """What is answered instead: a status, FHIR's word for the issue, and a sentence."""

    def __init__(self, status: int, code: str, say: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(say)
        self.status, self.code, self.say, self.headers = status, code, say, dict(headers or {})


def read_token(file: Path | None, stream: str) -> bytes:
    """Read the token of a stream; raises `BadSettings` where there is none, or one that can be guessed."""
    try:
        token = (file or Path()).read_bytes().strip()
    except OSError as error:
        raise BadSettings(
            f"The token of the stream {stream} cannot be read.", hint="Check token_file in twin.toml.", detail=error
        ) from error
    if len(token) < _LEAST_TOKEN:
        raise BadSettings(
            f"The token of the stream {stream} is too short.",
            hint=f"Put at least {_LEAST_TOKEN} random characters into its file.",
        )
    return token


def post_route(inbox: Inbox, streams: Mapping[str, StreamSettings], tell: Tell) -> Route:
    """Serve `POST /streams/{name}` for the streams of kind "post" among these."""
    tokens = {name: read_token(stream.token_file, name) for name, stream in streams.items() if stream.kind == "post"}

    async def post(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            if name not in tokens:
                raise _No(404, "not-found", "There is no stream of this name that is posted to.")
            return await _take(inbox, name, streams[name], tokens[name], request)
        except _No as no:
            if name in tokens:
                inbox.counts["posts refused"] += 1
                tell("refused", f"{name}: a post was answered {no.status}. {no.say}", {"status": no.status})
            return _answer(no.status, "error", no.code, no.say, no.headers)

    return Route("/streams/{name}", post, methods=["POST"])


async def _take(inbox: Inbox, name: str, stream: StreamSettings, token: bytes, request: Request) -> Response:
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode("latin-1"), token):
        raise _No(401, "login", "This stream is for those who have its token.", {"WWW-Authenticate": "Bearer"})
    is_lines, version = _kind(request)
    body = await _body(request, stream.largest_mb << 20)
    try:
        found = read_body(body, is_lines=is_lines, version=version)
    except NotReadError as error:
        raise _No(400, "structure", _SAID[error.reason]) from error
    # A sender's key makes a delivery one only together with its body: no fact is dropped because of a header.
    told = request.headers.get("idempotency-key", "")
    if told and not _KEY.fullmatch(told):
        raise _No(400, "invalid", "The Idempotency-Key has at most 255 characters, all of them printable.")
    key = f"{told} {hashlib.sha256(body).hexdigest()}"
    delivery = Delivery(stream.source or name, key, f"post to {name}", found.entries)
    try:
        is_new = await inbox.accept(delivery, patience=_PATIENCE_SECONDS)
    except Busy as busy:
        raise _No(503, busy.issue, str(busy), {"Retry-After": str(_RETRY_SECONDS)}) from busy
    except Fault as fault:
        status = 503 if fault.retryable else 500
        headers = {"Retry-After": "60"} if fault.retryable else None
        raise _No(
            status, fault.issue, "It could not be kept; nothing of it is stored. Send it again.", headers
        ) from fault
    return _answer(202, "information", "informational", _taken(found, is_new=is_new))


def _taken(found: Body, *, is_new: bool) -> str:
    if not is_new:
        return "This had arrived before; nothing is done twice."
    several = "resources are" if len(found.entries) != 1 else "resource is"
    said = f"{len(found.entries)} {several} on disk and will be mapped."
    bad = sum(bool(entry.problem) for entry in found.entries)
    deleted = sum(entry.problem == "deleted" for entry in found.entries)
    if bad > deleted:
        said += f" {bad - deleted} of them cannot be read, and will be counted as refused."
    if deleted:
        said += f" {deleted} of them are deletions, which are not followed, and will be counted as refused."
    if found.without:
        said += f" {found.without} entries hold no resource and were left out."
    return said


_SAID: Final = {
    "not-json": "The body is no JSON, has a key twice, or is no UTF-8.",
    "truncated": "The JSON ends in the middle.",
    "not-fhir": "The body holds no FHIR resource.",
}


def _kind(request: Request) -> tuple[bool, str]:
    """Say whether the body has a resource a line, and the FHIR version that is told with its type."""
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    if kind not in _JSON | _LINES or request.headers.get("content-encoding", "identity").lower() != "identity":
        allowed = "application/fhir+json, application/json or application/fhir+ndjson"
        raise _No(415, "not-supported", f"Send {allowed}, unpacked.")
    told = next((p.partition("=")[2].strip('" ') for p in parameters if p.startswith("fhirversion=")), "")
    if told and told not in NUMBERS:
        raise _No(415, "not-supported", f"The FHIR versions that we read are {', '.join(NUMBERS)}.")
    return kind in _LINES, NUMBERS.get(told, "")


async def _body(request: Request, largest: int) -> bytes:
    too_large = _No(413, "too-long", f"The body is larger than {largest >> 20} MB. Split it.")
    if (said := request.headers.get("content-length", "")).isdecimal() and int(said) > largest:
        raise too_large
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > largest:
                raise too_large
    except ClientDisconnect as error:
        raise _No(400, "incomplete", "The connection ended before the body did.") from error
    return bytes(body)


def _answer(status: int, severity: str, code: str, say: str, headers: Mapping[str, str] | None = None) -> Response:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": say}],
    }
    return Response(
        msgspec.json.encode(outcome), status, {**_SAFE, **(headers or {})}, media_type="application/fhir+json"
    )

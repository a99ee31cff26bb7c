"""Reading an HTTP request into what an answer gets: bounded, in FHIR's JSON only, and told once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.api.call import Pairs
from gateway.api.refusal import Refusal

__all__ = ["FHIR_JSON", "body_of", "demand_json", "pairs_of", "parts_of_prefer", "request_id_of"]

FHIR_JSON: Final = "application/fhir+json"
LARGEST_BODY: Final = 16 * 1024 * 1024
LONGEST_QUERY: Final = 16 * 1024
_MOST_PARAMETERS: Final = 200

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}", re.ASCII)
_PREFER = re.compile(r'\s*([A-Za-z-]+)\s*(?:=\s*"?([^",;]*)"?\s*)?')
_JSON: Final = {"*/*", "application/*", "application/json", FHIR_JSON, "application/json+fhir"}
_FORMATS: Final = {"json", "application/json", FHIR_JSON, "application/fhir json"}
_PAGES: Final = {"text/html", "text/*"}  # what a browser asks for when a person types an address
_LINES: Final = {"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"}


def request_id_of(headers: Mapping[str, str], drawn: str) -> str:
    """Return the caller's X-Request-Id, or the one that was drawn where it is none that may be kept."""
    told = headers.get("x-request-id", "")
    return told if _REQUEST_ID.fullmatch(told) else drawn


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Read the parameters of a URL or a form. Raises a `Refusal`."""
    if len(text) > LONGEST_QUERY:
        raise Refusal(414, "too-long", "The search is too long; post it in parts.")
    if not text:
        return []
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError as error:
        raise Refusal(400, "invalid", "The parameters cannot be read.") from error


def without_format(pairs: Pairs) -> list[tuple[str, str]]:
    """Take `_format` and `_pretty` out, which are about the form of the answer. Raises a `Refusal` with 406."""
    for name, value in pairs:
        if name == "_format" and value.partition(";")[0].strip().lower() not in _FORMATS:
            raise Refusal(406, "not-supported", "We answer in JSON.")
    return [pair for pair in pairs if pair[0] not in ("_format", "_pretty")]


def demand_json(headers: Mapping[str, str], pairs: Pairs) -> None:
    """Refuse who takes no JSON: 406."""
    if any(name == "_format" for name, _ in pairs):  # FHIR R4, 3.1.0.1.11: it goes before Accept
        return
    accepted = {part.partition(";")[0].strip().lower() for part in (headers.get("accept") or "*/*").split(",")}
    if not accepted & (_JSON | _PAGES | _LINES):
        raise Refusal(406, "not-supported", "We answer in JSON.")


def parts_of_prefer(told: str) -> dict[str, str]:
    """Read the header Prefer (RFC 7240): "return=minimal, respond-async" gives both parts."""
    found = (_PREFER.fullmatch(part) for part in re.split(r"[,;]", told[:1000]))
    return {each[1].lower(): (each[2] or "").strip() for each in found if each}


async def body_of(request: Request) -> bytes:
    """Read the body, and no more of it than we take. Raises a `Refusal` with 413."""
    if request.method in {"GET", "HEAD", "DELETE", "OPTIONS"}:
        return b""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > LARGEST_BODY:
        raise Refusal(413, "too-long", "The request is too large.")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise Refusal(413, "too-long", "The request is too large.")
        chunks.append(chunk)
    return b"".join(chunks)

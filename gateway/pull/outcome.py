"""What a server means by its refusal: its OperationOutcome, and the fault that we make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Refused, Unreachable

__all__ = ["Outcome", "ServerError", "fault_of", "not_json", "read_outcome"]

# http://hl7.org/fhir/R4/valueset-issue-type.html (R4 holds the codes of DSTU2 and STU3 too). A closed list, because a
# server may write anything there, and what stands in a message must not be about a patient.
_ISSUES = frozenset(
    {
        *("invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired"),
        *("forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found"),
        *("deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient"),
        *("lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "informational"),
    }
)
_SEVERITIES = frozenset({"fatal", "error", "warning", "information", "success"})


class _Issue(msgspec.Struct):
    severity: str = ""
    code: str = ""
    diagnostics: str = ""
    details: Any = None

    @property
    def text(self) -> str:
        """What it says in words, in either of the places where servers put them."""
        return self.diagnostics or str(self.details.get("text", "") if isinstance(self.details, dict) else "")


class ServerError(Unreachable):
    """The server failed at what it was asked; `status` is what it answered, 500 or more."""

    def __init__(self, message: str, status: int, detail: object) -> None:
        super().__init__(message, hint="Try again later.", detail=detail)
        self.status = status


class _OperationOutcome(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    issue: list[_Issue] = []


@dataclass(frozen=True, slots=True)
class Outcome:
    """An OperationOutcome: `codes` ("error not-found") are safe to show, `text` may be about a patient."""

    codes: tuple[str, ...] = ()
    text: str = field(default="", repr=False)

    @property
    def is_bad(self) -> bool:
        """Say whether something went wrong, rather than being remarked on."""
        return any(code.startswith(("error", "fatal")) for code in self.codes)


def read_outcome(body: bytes) -> Outcome:
    """Read an OperationOutcome; an empty one where it is none."""
    try:
        found = msgspec.json.decode(body, type=_OperationOutcome)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome()
    if found.resourceType != "OperationOutcome":
        return Outcome()
    codes = (
        f"{i.severity if i.severity in _SEVERITIES else 'error'} {i.code if i.code in _ISSUES else 'unknown'}"
        for i in found.issue[:20]
    )
    return Outcome(tuple(dict.fromkeys(codes)), "; ".join(i.text for i in found.issue[:20]))


def not_json(reply: Reply) -> NotFhir | None:
    """Return the fault for an answer in HTML or XML, `None` for one that may be JSON."""
    start, kind = reply.body[:200].lstrip().lower(), reply.headers.get("content-type", "").lower()
    if start.startswith((b"<!doctype html", b"<html")) or "html" in kind:
        return NotFhir(
            "The server answered with a web page instead of FHIR.",
            hint="It is a login page or a wrong address: check that url is the FHIR base.",
        )
    if start.startswith(b"<"):
        return NotFhir(
            "The server answered in XML.", hint="Check whether it offers FHIR in JSON, and whether url is right."
        )
    return None


def fault_of(reply: Reply) -> Fault:
    """Make the fault for an answer that is not 2xx. Only status and issue codes are in its text."""
    outcome = read_outcome(reply.body)
    said = f" ({', '.join(outcome.codes)})" if outcome.codes else ""
    detail = f"{reply.status} {outcome.text or reply.body[:500].decode('utf-8', 'replace')}"
    match reply.status:
        case 401:
            hint = "Check auth, client_id, the key and the clock; run `twin doctor`."
            return Denied(f"The server does not accept our credentials{said}.", hint=hint, detail=detail)
        case 403:
            hint = "Ask the server's operator to grant the scope; run `twin doctor`."
            return Denied(f"The server does not allow us this{said}.", hint=hint, detail=detail)
        case 408 | 425 | 429:
            return Unreachable(f"The server asks us to slow down{said}.", hint="Try again later.", detail=detail)
        case status if status >= 500:
            return ServerError(f"The server failed with status {status}{said}.", status, detail)
        case 404 | 410:
            hint = "Check that url is the FHIR base."
            return Refused(f"The server does not have this (status {reply.status}){said}.", hint=hint, detail=detail)
        case 412:
            return Refused(f"The server's copy is another one than we knew{said}.", hint="Pull again.", detail=detail)
        case status:
            return Refused(f"The server refused, status {status}{said}.", hint="Run `twin doctor`.", detail=detail)

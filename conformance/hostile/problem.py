"""What the server says when it says no: an HTTP status and an OperationOutcome."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

__all__ = ["Problem", "operation_outcome", "problem_of"]

_CODES: Final[Mapping[int, str]] = {  # issue types that DSTU2 has already
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    410: "not-found",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "business-rule",
    429: "throttled",
    500: "exception",
    501: "not-supported",
    502: "transient",
    503: "transient",
    504: "timeout",
}


class Problem(Exception):
    """A request that is answered with an OperationOutcome.

    Parameters
    ----------
    status
        HTTP status.
    code
        FHIR issue-type (valueset-issue-type); only words that DSTU2 has already.
    text
        One sentence for `issue.diagnostics`.
    headers
        Further HTTP headers, such as `Retry-After`.
    """

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.headers = dict(headers or {})

    def outcome(self) -> dict[str, Any]:
        """Return the OperationOutcome to answer with."""
        return operation_outcome(self.code, self.text)


def problem_of(status: int) -> Problem:
    """Make a refusal with this status, as a server would say it."""
    headers = {"WWW-Authenticate": 'Bearer realm="fhir"'} if status == HTTPStatus.UNAUTHORIZED else None
    return Problem(status, _CODES.get(status, "invalid"), f"The server says {status}, as asked.", headers)


def operation_outcome(code: str, text: str, severity: str = "error") -> dict[str, Any]:
    """Build an OperationOutcome with one issue; its shape is the same from DSTU2 to R5."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }

"""What the server says when it says no: an HTTP status and an OperationOutcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Problem", "operation_outcome"]


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


def operation_outcome(code: str, text: str, severity: str = "error") -> dict[str, Any]:
    """Build an OperationOutcome with one issue; its shape is the same from DSTU2 to R5."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }

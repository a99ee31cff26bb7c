"""What we do not do, as FHIR tells it: a status and an OperationOutcome. Its text repeats nothing of what was asked."""

from __future__ import annotations

from typing import Any

from security.errors import Fault, Misuse

__all__ = ["Refusal", "of_fault"]


class Refusal(Exception):
    """An HTTP status, a FHIR issue-type and a sentence; `headers` go with it."""

    def __init__(self, status: int, code: str, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def outcome(self) -> dict[str, Any]:
        """Write the OperationOutcome."""
        issue = {"severity": "error", "code": self.code, "diagnostics": self.text}
        return {"resourceType": "OperationOutcome", "issue": [issue]}


def of_fault(fault: Fault) -> Refusal:
    """Tell a failure of ours: whoever asked may come again, unless they asked for what cannot be."""
    if isinstance(fault, Misuse):
        return Refusal(400, fault.issue, fault.message)
    return Refusal(503, fault.issue, fault.message, Retry_After="30")

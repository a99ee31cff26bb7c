"""What is wrong with a resource: FHIR's words for it, the place, and a sentence that repeats no value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Issue", "Severity", "outcome_of"]

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing. `code` is one of FHIR's issue-type, `place` a FHIRPath of names and indexes ("" for the whole)."""

    code: str
    place: str
    text: str
    severity: Severity = "error"

    def as_json(self) -> dict[str, Any]:
        """Write it as FHIR has it."""
        told: dict[str, Any] = {"severity": self.severity, "code": self.code, "diagnostics": self.text}
        return told | ({"expression": [self.place]} if self.place else {})


def outcome_of(issues: Iterable[Issue]) -> dict[str, Any]:
    """Write an OperationOutcome; where there is nothing to say, that says so."""
    found = [each.as_json() for each in issues]
    fine = Issue("informational", "", "Nothing is wrong.", "information")
    return {"resourceType": "OperationOutcome", "issue": found or [fine.as_json()]}

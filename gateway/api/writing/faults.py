"""What is not taken, with each thing that is wrong told in one OperationOutcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.api.refusal import Refusal
from mappers.incoming import Issue, outcome_of

__all__ = ["Unfit", "unseen"]


class Unfit(Refusal):
    """A resource that is not taken, and why: 400 where it is no R4, 422 where it is against our rules."""

    def __init__(self, status: int, issues: Sequence[Issue]) -> None:
        super().__init__(status, issues[0].code, issues[0].text)
        self.issues = tuple(issues)

    def outcome(self) -> dict[str, Any]:
        """Write the OperationOutcome."""
        return outcome_of(self.issues)


def unseen(place: str) -> Issue:
    """Say in the same words of what is not there, what is another patient's, and what may not be seen (B7)."""
    return Issue("not-found", place, "This names nothing that there is for you here.")

"""What a search cannot ask, told without what was asked."""

from __future__ import annotations

from typing import Literal

__all__ = ["Reason", "Unsearchable"]

Reason = Literal["unknown", "modifier", "value", "too-costly"]


class Unsearchable(ValueError):
    """A parameter that is not known, a modifier that it does not have, or a value that it cannot have.

    The text never holds the value: it may be about a patient.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason

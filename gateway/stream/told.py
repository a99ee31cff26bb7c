"""What listening tells the people who run it: a kind, a sentence, and counts. No patient data in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

__all__ = ["Kind", "Tell"]

Kind = Literal["begins", "note", "mapped", "warning", "refused", "fault", "alive", "ends"]


class Tell(Protocol):
    """Tell one thing; `counts` is for scripts."""

    def __call__(self, kind: Kind, text: str, counts: Mapping[str, Any]) -> None:
        """Tell it."""
        ...

"""What was asked of a server."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Seen"]


class Seen(NamedTuple):
    """One request as it arrived, and the status that it got (0: the answer was lost)."""

    method: str
    path: str
    query: str
    had_authorization: bool
    status: int

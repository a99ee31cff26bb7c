"""What is wrong with a resource: what is left out of it, and what it is not shown for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Broken", "Lost"]


class Lost(NamedTuple):
    """What is left out: why (a key of `mappers.shown.REASONS`), and where."""

    reason: str
    path: str


class Broken(Exception):
    """Something is not valid R4: why, and where, from the outside in."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason, self.path = reason, path

    def within(self, place: str) -> Broken:
        """Tell it from one level further out."""
        self.path = f"{place}.{self.path}" if self.path else place
        return self

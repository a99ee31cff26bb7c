"""What an EHR kept of a resource that we wrote, beside what we sent."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Loss", "losses"]


class Loss(msgspec.Struct, frozen=True):
    """An element that is not as it was sent: its path without numbers of lists, and whether it is gone or changed."""

    path: str
    what: str


def losses(sent: dict[str, Any], returned: dict[str, Any]) -> tuple[Loss, ...]:
    """Compare them, both read with numbers as text or Decimal; what a server adds by itself is no loss."""
    raise NotImplementedError

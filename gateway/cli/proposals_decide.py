"""twin proposals approve, twin proposals decline."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["approve_", "decline_"]


def approve_(proposal: str, /, *, options: Options = Options()) -> int:
    """Agree to a proposal, so that it is delivered."""
    raise NotImplementedError


def decline_(proposal: str, /, *, options: Options = Options()) -> int:
    """Decline a proposal, so that it never leaves."""
    raise NotImplementedError

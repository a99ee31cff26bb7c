"""twin outbox list, twin outbox show."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["list_", "show_"]


def list_(*, options: Options = Options()) -> int:
    """List deliveries: where they are, and why they wait or did not arrive."""
    raise NotImplementedError


def show_(delivery: str, /, *, options: Options = Options()) -> int:
    """Show one delivery: its journey, what the server said, and what would help."""
    raise NotImplementedError

"""twin outbox retry, twin outbox drop."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["retry_", "drop_"]


def retry_(delivery: str, /, *, options: Options = Options()) -> int:
    """Try a delivery again that was laid aside."""
    raise NotImplementedError


def drop_(delivery: str, /, *, options: Options = Options()) -> int:
    """Give a delivery up, so that it never leaves."""
    raise NotImplementedError

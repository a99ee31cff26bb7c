"""twin deliver."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["deliver_"]


def deliver_(*, options: Options = Options()) -> int:
    """Deliver what was agreed to, to all EHRs; several processes may do it."""
    raise NotImplementedError

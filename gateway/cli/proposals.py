"""twin proposals list, twin proposals show."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["list_", "show_"]


def list_(*, options: Options = Options()) -> int:
    """List what is proposed, and what was decided about it."""
    raise NotImplementedError


def show_(proposal: str, /, *, options: Options = Options()) -> int:
    """Show one proposal: what it tells, on what it stands, as FHIR, and what the EHR has from us already."""
    raise NotImplementedError

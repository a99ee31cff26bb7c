"""twin lineage."""

from __future__ import annotations

from gateway.cli.terminal import Options

__all__ = ["lineage_"]


def lineage_(result: str, /, *, options: Options = Options()) -> int:
    """Show on what a result at an EHR stands, and where it is: back to each raw resource, and to the audit."""
    raise NotImplementedError

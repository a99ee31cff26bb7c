"""Refuse to run beside a distribution that owns one of our import names.

`security` and the like are generic names: installing another distribution that brings a package of the same name
overwrites our files without a word (measured with `security` 1.3.1). We would then run with half of our own policy
replaced.
"""

from __future__ import annotations

from importlib.metadata import distributions

from security.errors import BadSettings

__all__ = ["OURS", "refuse_neighbours"]

OURS = ("gateway", "mappers", "twin_engine", "security", "conformance")


def refuse_neighbours() -> None:
    """Raise `BadSettings` that names the distribution to uninstall, if there is one."""
    for distribution in distributions():
        files = distribution.read_text("RECORD") or ""
        taken = [ours for ours in OURS if files.startswith(f"{ours}/") or f"\n{ours}/" in files]
        if taken and (name := distribution.metadata["Name"]) != "fhirtwin":
            raise BadSettings(
                f"The distribution {name} owns the package {taken[0]}, which is one of ours.",
                hint=f"Uninstall {name} and reinstall fhirtwin, or give fhirtwin an environment of its own.",
            )

"""The tables that decisions are made of: TOML files inside the package, read once at import."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

__all__ = ["read_rows"]


def read_rows(name: str) -> dict[str, Any]:
    """Read `tables/NAME.toml`."""
    return tomllib.loads((files("security") / "tables" / f"{name}.toml").read_text(encoding="utf-8"))

"""The tables of the circulation: TOML files inside the package."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["read_table"]


@cache
def read_table(name: str) -> dict[str, Any]:
    """Read `tables/NAME.toml`."""
    text = (files("twin_engine.circulation") / "tables" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)

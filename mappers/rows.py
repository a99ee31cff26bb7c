"""The tables that mappings are made of: TOML files inside the package, read once at import."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib.resources import files
from typing import Any

__all__ = ["read_table"]


def read_table(name: str) -> dict[str, Any]:
    """Read `tables/NAME.toml`; decimals stay decimals, so that a factor is what its citation says."""
    text = (files("mappers") / "tables" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)

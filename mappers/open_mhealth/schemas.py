"""The schemas of Open mHealth that we read, as rows of `tables/open_mhealth.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mappers.rows import read_table

__all__ = ["KINDS", "NAMESPACE", "ROWS", "UNITS"]

NAMESPACE: Final = "omh"

_TABLE: Final = read_table("open_mhealth")
UNITS: Final[Mapping[str, Mapping[str, str]]] = _TABLE["units"]
"""By the name of a list, each spelling of a unit that a schema allows, with its UCUM code."""
ROWS: Final[Mapping[str, Mapping[str, Any]]] = {row["name"]: row for row in _TABLE["schema"]}
"""By the name of a schema, what it says."""
KINDS: Final = frozenset(f"{NAMESPACE}:{name}" for name in ROWS)
"""The types of such facts, as their origins tell them ("omh:heart-rate")."""

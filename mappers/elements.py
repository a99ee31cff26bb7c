"""FHIR elements out of JSON that may be anything: what has the wrong shape is as if not there, and nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["Json", "items", "number", "objects", "reference", "text", "word"]

Json = Mapping[str, Any]


def items(value: Any) -> list[Any]:
    """List what stands there: one value where a list is due is a list of one; nulls are left out."""
    if value is None:
        return []
    return [item for item in value if item is not None] if isinstance(value, list) else [value]


def objects(value: Any) -> list[Json]:
    """List the JSON objects among what stands there."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text without white space around it, "" where there is none."""
    return value.strip() if isinstance(value, str) else ""


def word(value: Any) -> str:
    """Return a code as `text` does, but "?" for what is there and is no text: it is not the same as nothing."""
    return text(value) or ("" if value is None else "?")


def number(value: Any) -> Decimal | None:
    """Return a number; `None` where there is none, or one that no instrument gives (1e99, 60 digits)."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    found = value if isinstance(value, Decimal) else Decimal(value)
    if not found.is_finite() or abs(found.adjusted()) > 30 or len(found.as_tuple().digits) > 50:
        return None
    return found


def reference(value: Any) -> str:
    """Return the reference in a Reference as it is written, "" where there is none."""
    found = objects(value)
    return text(found[0].get("reference")) if found else ""

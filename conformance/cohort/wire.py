"""Writing a bundle as JSON, digit for digit: 7.10 stays 7.10 (FHIR R4 json.html#primitive)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["to_json"]

_encoder = msgspec.json.Encoder(decimal_format="number")


def to_json(resource: Mapping[str, Any]) -> bytes:
    """Encode a resource or a Bundle; a `Decimal` is written with the digits that it has."""
    return _encoder.encode(resource)

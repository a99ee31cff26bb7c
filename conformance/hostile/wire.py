"""JSON in and out without changing a digit: 1.10 stays 1.10 (FHIR json.html#primitive: precision is kept)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import msgspec

__all__ = ["NotJson", "decode", "encode", "http_date", "instant"]

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class NotJson(ValueError):
    """The bytes are not one JSON text."""


def decode(raw: bytes) -> Any:
    """Read JSON, numbers with a fraction as `Decimal`; what is not JSON raises `NotJson`."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(str(error)) from error


def encode(value: Any) -> bytes:
    """Write JSON; a `Decimal` is written digit for digit, a `msgspec.Raw` byte for byte."""
    return _encoder.encode(value)


def instant(when: datetime) -> str:
    """Write a FHIR instant in UTC to the millisecond."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def http_date(when: datetime) -> str:
    """Write a `Last-Modified` date (RFC 9110 section 5.6.7)."""
    return format_datetime(when.astimezone(UTC), usegmt=True)

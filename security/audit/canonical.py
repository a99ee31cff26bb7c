"""One event, one spelling: the bytes that are sealed are the same wherever they are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical"]

_MAX_INTEGER = 2**53 - 1  # the largest that every JSON reader keeps exact (RFC 8785 section 3.2.2.3, RFC 7493)


def canonical(event: Mapping[str, Any]) -> bytes:
    """Write an event as RFC 8785 (JSON Canonicalization Scheme) does.

    An event holds texts, integers, booleans, lists and objects with ASCII names; sorted compact JSON of these is
    canonical already. Anything else (a float, a null, a lone surrogate) is a mistake of ours and raises `ValueError`.
    """
    _check(event)
    return json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _check(value: object) -> None:
    match value:
        case bool() | str():
            return
        case int() if abs(value) <= _MAX_INTEGER:
            return
        case list():
            for item in value:
                _check(item)
        case Mapping() if all(isinstance(name, str) and name.isascii() for name in value):
            for item in value.values():
                _check(item)
        case _:
            raise ValueError(f"an audit event does not hold {type(value).__name__}")

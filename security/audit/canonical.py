"""One event, one spelling: the bytes that are sealed are the same wherever they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["canonical"]

_MAX_INTEGER = 2**53 - 1  # the largest that every JSON reader keeps exact (RFC 8785 section 3.2.2.3, RFC 7493)
_encoder = msgspec.json.Encoder(order="sorted")


def canonical(event: Mapping[str, Any]) -> bytes:
    """Write an event as RFC 8785 (JSON Canonicalization Scheme) does.

    An event holds texts, integers, booleans, lists and objects with ASCII names; sorted compact JSON of these is
    canonical already. Anything else (a float, a null, a lone surrogate) is a mistake of ours and raises `ValueError`.
    """
    _check(event)
    try:
        body = _encoder.encode(event)
    except TypeError as error:
        raise ValueError("an audit event has names that are texts") from error
    if not body.isascii():  # a text may be so, a name may not
        _check_names(event)
    return body


def _check(event: Mapping[str, Any]) -> None:
    """Walk through it; texts, which are most of it, are met where they stand: this is done for each event."""
    if type(event) is not dict:
        raise ValueError("an audit event is an object")
    found: list[Iterable[Any]] = [event.values()]
    for values in found:  # what is found inside is met later
        for value in values:
            kind = type(value)
            if kind is str or kind is bool:
                continue
            if kind is dict:
                found.append(value.values())
            elif kind is list:
                found.append(value)
            elif kind is not int or abs(value) > _MAX_INTEGER:
                raise ValueError(f"an audit event does not hold {kind.__name__}")


def _check_names(value: object) -> None:
    if isinstance(value, dict):
        if not all(name.isascii() for name in value):
            raise ValueError("an audit event has names of ASCII letters")
        value = [*value.values()]
    for inner in value if isinstance(value, list) else ():
        _check_names(inner)

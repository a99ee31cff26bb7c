"""JSON as strict as medicine needs it: what two readers could read in two ways is not read at all."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import msgspec

from mappers.open_mhealth.header import is_point

__all__ = ["MAX_DEPTH", "Unreadable", "read_json"]

MAX_DEPTH: Final = 64

_MAX_DIGITS: Final = 40  # of a whole number: longer than any identifier that is one
_SURROGATE = re.compile("[\ud800-\udfff]")

_read = msgspec.json.Decoder(float_hook=Decimal)
_write = msgspec.json.Encoder(decimal_format="number")
_SO_DEEP: Final = b"\n" + b" " * (MAX_DEPTH + 1)  # where each level is indented by one
_DIGITS: Final = bytes(ord("0") if chr(byte) in "0123456789" else ord(".") for byte in range(256))
_SO_LONG: Final = b"0" * _MAX_DIGITS  # where each digit is a nought


class Unreadable(ValueError):
    """Bytes that are no resource; `reason` is a key of `mappers.ledger.REASONS`. Costs only the resource itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_json(raw: bytes) -> dict[str, Any]:
    """Read one resource, or one data point of Open mHealth; raises `Unreadable`.

    Decimals stay decimals: 7.10 is not 7.1 (FHIR R4 section 2.24.0.1).

    Refused are: what is not JSON of RFC 8259 in UTF-8 (also NaN, a byte order mark, half a surrogate pair), a key that
    stands twice, nesting deeper than 64, a number that no instrument gives, and what is neither of the two.

    Written again, what was read has to give the same bytes, white space aside: then nothing hid behind anything. That
    is quick and nearly always so; all else, such as escapes that nobody needs, is read slowly and to the letter.
    """
    try:
        value = _read.decode(raw)
        again = _write.encode(value)
        is_same = again == raw or again == msgspec.json.format(raw, indent=-1)
    except (ValueError, ArithmeticError, RecursionError):
        is_same = False
    if not is_same or _SO_LONG in raw.translate(_DIGITS):
        return _read_to_the_letter(raw)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _SO_DEEP in msgspec.json.format(raw, indent=1):
        raise Unreadable("too-deep")
    if not isinstance(value, dict) or not (isinstance(value.get("resourceType"), str) or is_point(value)):
        raise Unreadable("not-fhir")
    return value


def _read_to_the_letter(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse
        )
    except Unreadable:
        raise
    except UnicodeDecodeError as error:
        raise Unreadable("not-json") from error
    except RecursionError as error:
        raise Unreadable("too-deep") from error
    except ValueError as error:
        raise Unreadable("truncated" if _is_cut(raw) else "not-json") from error
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH or b"\\u" in raw:  # else it can hold neither problem
        _check(value)
    if not isinstance(value, dict) or not (isinstance(value.get("resourceType"), str) or is_point(value)):
        raise Unreadable("not-fhir")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("duplicate-key")
    return made


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation as error:  # an exponent beyond what a Decimal holds
        raise Unreadable("bad-value") from error


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:  # and int() of millions of digits takes minutes
        raise Unreadable("bad-value")
    return int(digits)


def _refuse(_: str) -> NoReturn:
    raise Unreadable("not-json")


def _is_cut(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return "truncated" in str(error)  # msgspec: "Input data was truncated"
    return False


def _check(value: Any) -> None:
    """Look for nesting that is too deep and for half a surrogate pair, level by level."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for found in level:
            if isinstance(found, dict):
                below += found.keys()
                below += found.values()
            elif isinstance(found, list):
                below += found
            elif isinstance(found, str) and _SURROGATE.search(found):
                raise Unreadable("not-json")
        if not below:
            return
        level = below
    raise Unreadable("too-deep")

"""Which JSON values FHIR's primitive types may have (FHIR R4, datatypes.html#primitive)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

__all__ = ["PRIMITIVES", "is_absolute"]

_CODE: Final = re.compile(r"[^\s]+(\s[^\s]+)*")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_DAY: Final = r"([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
_ZONE: Final = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE: Final = re.compile(_DAY)
_DATE_TIME: Final = re.compile(rf"{_DAY}(T{_TIME}{_ZONE})?")
_INSTANT: Final = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_TIME}{_ZONE}")
_CLOCK: Final = re.compile(_TIME)
_OID: Final = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ABSOLUTE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:[^\s]+")
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_BAD: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LARGEST: Final = 1_048_576
_WHOLE: Final = 2_147_483_647


def _string(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LARGEST and not value.isspace() and not _BAD.search(value)


def _markdown(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not value.isspace() and not _BAD.search(value)


def _code(value: Any) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None and not _BAD.search(value)


def _id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _uri_text(value: str) -> bool:
    if not value or any(letter.isspace() for letter in value) or _BAD.search(value):
        return False
    if value.startswith("urn:oid:"):
        return _OID.fullmatch(value) is not None
    return not value.startswith("urn:uuid:") or _UUID.fullmatch(value) is not None


def _uri(value: Any) -> bool:
    return isinstance(value, str) and _uri_text(value)


@lru_cache(maxsize=4096)
def is_absolute(value: str) -> bool:
    """Say whether a URI has a scheme, as the name of a code system or of a system of identifiers must."""
    return _ABSOLUTE.fullmatch(value) is not None


def _is_day(told: str) -> bool:
    return len(told) < 10 or int(told[8:10]) <= monthrange(int(told[:4]), int(told[5:7]))[1]


@lru_cache(maxsize=8192)
def _date_text(value: str) -> bool:
    return _DATE.fullmatch(value) is not None and _is_day(value)


@lru_cache(maxsize=8192)
def _date_time_text(value: str) -> bool:
    return _DATE_TIME.fullmatch(value) is not None and _is_day(value)


def _date(value: Any) -> bool:
    return isinstance(value, str) and _date_text(value)


def _date_time(value: Any) -> bool:
    return isinstance(value, str) and _date_time_text(value)


def _instant(value: Any) -> bool:
    return isinstance(value, str) and _INSTANT.fullmatch(value) is not None and _date_time_text(value)


def _time(value: Any) -> bool:
    return isinstance(value, str) and _CLOCK.fullmatch(value) is not None


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(low: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= _WHOLE

    return check


def _decimal(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return False
    found = value if isinstance(value, Decimal) else Decimal(value)
    return found.is_finite() and abs(found.adjusted()) <= 30 and len(found.as_tuple().digits) <= 50


def _base64(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and _BASE64.fullmatch("".join(value.split())) is not None


def _oid(value: Any) -> bool:
    return isinstance(value, str) and _OID.fullmatch(value) is not None


def _uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


PRIMITIVES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _uri,
    "code": _code,
    "date": _date,
    "dateTime": _date_time,
    "decimal": _decimal,
    "id": _id,
    "instant": _instant,
    "integer": _whole(-_WHOLE - 1),
    "markdown": _markdown,
    "oid": _oid,
    "positiveInt": _whole(1),
    "string": _string,
    "time": _time,
    "unsignedInt": _whole(0),
    "uri": _uri,
    "url": _uri,
    "uuid": _uuid,
}
"""For each primitive type, whether a value is one of it."""

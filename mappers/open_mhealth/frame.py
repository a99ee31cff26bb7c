"""When a data point holds: a moment or an interval, as FHIR writes them. A part of a day is no time."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from mappers.elements import Json, number, objects, text
from mappers.when import read_when

__all__ = ["effective_of"]

_SECONDS: Final = {  # duration-unit-value 1.0, without "Mo" and "yr", which have no fixed length
    "ps": Decimal("1e-12"),
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "ms": Decimal("0.001"),
    "sec": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "wk": Decimal(604_800),
}


def effective_of(body: Json) -> tuple[dict[str, Any], str]:
    """Return `effectiveDateTime` or `effectivePeriod`, and "" or the reason why there is no time.

    An interval of a start or an end and a duration gets its other end by reckoning. An hour without a zone is refused:
    the schema of a date_time takes it for UTC, but who writes none mostly means their own clock.
    """
    frame = next(iter(objects(body.get("effective_time_frame"))), {})
    if "date_time" in frame:
        told = text(frame["date_time"])
        return ({"effectiveDateTime": told}, "") if _is_instant(told) else ({}, "bad-date")
    interval = next(iter(objects(frame.get("time_interval"))), {})
    if not interval:
        return {}, "no-time"
    if "part_of_day" in interval:
        return {}, "part-of-day"
    period = _period(interval)
    return ({"effectivePeriod": period}, "") if period else ({}, "bad-date")


def _period(interval: Json) -> dict[str, str] | None:
    start, end = text(interval.get("start_date_time")), text(interval.get("end_date_time"))
    if not all(_is_instant(each) for each in (start, end) if each) or not (start or end):
        return None
    if not (start and end):
        length = _length(interval.get("duration"))
        if length is None:
            return None
        try:
            if start:
                end = (datetime.fromisoformat(start) + length).isoformat()
            else:
                start = (datetime.fromisoformat(end) - length).isoformat()
        except (ValueError, OverflowError):
            return None
    first, last = read_when(start), read_when(end)
    return {"start": start, "end": end} if first and last and first.earliest <= last.latest else None


def _length(duration: Any) -> timedelta | None:
    told = next(iter(objects(duration)), {})
    value, size = number(told.get("value")), _SECONDS.get(text(told.get("unit")))
    if value is None or size is None or value < 0:
        return None
    try:
        return timedelta(seconds=float(value * size))
    except OverflowError:
        return None


def _is_instant(told: str) -> bool:
    found = read_when(told)
    return found is not None and found.precision in ("minute", "second")

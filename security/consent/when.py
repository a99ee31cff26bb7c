"""Times as FHIR writes them, as the span of instants that they may mean, and periods of them.

A dateTime of R4 may be a year, a month, a day or an instant. As the end of a period, "2012-02-03" includes all of that
day (FHIR R4, 2.24.0.10 Period); a day without a zone is one in the zone that the installation is told, UTC otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from security.consent.question import Met

__all__ = ["Span", "read_period", "read_span", "spans_of", "within"]

_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_PERIODS: Final = ("effectivePeriod", "performedPeriod", "occurrencePeriod", "onsetPeriod", "period", "servicedPeriod")
_STARTS: Final = (
    *("effectiveDateTime", "effectiveInstant", "performedDateTime", "occurrenceDateTime", "onsetDateTime"),
    *(
        "authoredOn",
        "recordedDate",
        "recorded",
        "assertedDate",
        "date",
        "dateTime",
        "issued",
        "started",
        "created",
        "sent",
    ),
    *("occurredDateTime", "identifiedDateTime", "whenHandedOver", "whenPrepared", "authored", "dateAsserted"),
)
_CLINICAL: Final = frozenset(_STARTS[:5])


@dataclass(frozen=True, slots=True)
class Span:
    """From the first instant that is meant to the last."""

    first: datetime
    last: datetime


def read_span(text: Any, zone: tzinfo) -> Span:
    """Read a date, dateTime or instant. Raises `ValueError` for what is none."""
    try:
        return _read_span(text, zone)
    except OverflowError as error:
        raise ValueError("this is no time that we can reckon with") from error


def _read_span(text: Any, zone: tzinfo) -> Span:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("this is no dateTime of FHIR")
    year, month, day, hour, minute, second, part, offset = found.groups()
    if hour is None:
        first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=zone)
        if year == "9999":  # as some write that there is no end
            return Span(first.replace(tzinfo=UTC), _EVER[1])
        if day:
            after = first + timedelta(days=1)
        elif month:
            after = (first + timedelta(days=32)).replace(day=1)
        else:
            after = first.replace(year=first.year + 1)
        return Span(first.astimezone(UTC), after.astimezone(UTC) - timedelta(microseconds=1))
    if offset is None:
        raise ValueError("a time of day has its zone")
    at = datetime.fromisoformat(
        f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{'+00:00' if offset == 'Z' else offset}"
    )
    if part:
        at = at.replace(microsecond=int(part[:6].ljust(6, "0")))
    last = at + (
        timedelta(microseconds=0 if part else 999_999) if second else timedelta(seconds=59, microseconds=999_999)
    )
    return Span(at.astimezone(UTC), last.astimezone(UTC))


def read_period(told: Any, zone: tzinfo) -> Span:
    """Read a Period; what is open has no end. Raises `ValueError` for what is none, or ends before it begins."""
    if not isinstance(told, Mapping) or not {"start", "end"} & told.keys():
        raise ValueError("this is no Period of FHIR")
    first = read_span(told["start"], zone).first if "start" in told else _EVER[0]
    last = read_span(told["end"], zone).last if "end" in told else _EVER[1]
    if last < first:
        raise ValueError("this Period ends before it begins")
    return Span(first, last)


def spans_of(body: Mapping[str, Any], zone: tzinfo) -> Iterator[Span]:
    """Walk the times that a resource says it is about, or, where it says none, those at which it was written.

    What cannot be read is all of time.
    """
    clinical = [key for key in _CLINICAL if key in body]
    periods = [key for key in _PERIODS if isinstance(body.get(key), Mapping)]
    keys = clinical if clinical or periods else [key for key in _STARTS if key in body]
    for key in keys:
        try:
            yield read_span(body[key], zone)
        except ValueError:
            yield Span(*_EVER)
    for key in periods:
        try:
            yield read_period(body[key], zone)
        except ValueError:
            yield Span(*_EVER)


def within(body: Mapping[str, Any] | None, period: Span, zone: tzinfo) -> Met:
    """Say whether a resource is of a period: all of it is, nothing is, or it cannot be told."""
    spans = list(spans_of(body, zone)) if body is not None else []
    if not spans:
        return Met.MAYBE
    if all(period.first <= span.first and span.last <= period.last for span in spans):
        return Met.YES
    if all(span.last < period.first or period.last < span.first for span in spans):
        return Met.NO
    return Met.MAYBE

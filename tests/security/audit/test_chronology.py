"""K4, I10: times in the log go forward, or it is told how far back one of them went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from security.audit.chronology import chronology

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(*seconds: float):
    return [(number, NOON + timedelta(seconds=each)) for number, each in enumerate(seconds, 1)]


def test_times_that_go_forward_or_stand_are_in_order():
    found = chronology(at(0, 0, 1, 5))
    assert (found.events, found.backward, found.first) == (4, 0, None)
    assert chronology([]).first is None


def test_an_event_that_is_earlier_than_any_before_it_is_counted_with_how_much():
    found = chronology(at(0, 10, 4, 9, 10, 3, 11))
    assert (found.backward, found.largest, found.first) == (3, timedelta(seconds=7), 3)
    assert "3 of 7 events are earlier than one before them, by 7.000 s at most; the first is event 3" in found.what

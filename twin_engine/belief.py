"""What a sensor may be believed: it lies in known ways, and two sources tell one thing twice.

A reading that cannot be believed is handed to `doubt` with its reason (`twin_engine.series.REASONS`); none is changed,
but that a value past the ends of a device becomes a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import msgspec

from twin_engine.dynamic import Channel

__all__ = ["Doubt", "Reading", "believed"]

_NEAR = timedelta(minutes=20)  # readings that are further apart do not judge each other
_LEVEL = 3  # so many readings that agree on a new level are believed again
# Pressure on a sensor: Baysal N, et al. A novel method to detect pressure-induced sensor attenuations (PISA) in an
# artificial pancreas. J Diabetes Sci Technol 2014;8:1091-1096. Both flanks have to be steeper than a meal or a bolus
# makes them; the numbers are policy.
_FLANK = 20.0  # mg/dL from one reading to the next
_STEP = timedelta(minutes=7)
_LONGEST_LOW = timedelta(hours=2)
_BACK = 30.0  # how near it comes back to where it was, mg/dL
_TURNS = 5  # readings in a row, up and down by more than a sensor errs: two sensors that take turns (policy)
_APART = 3.0  # of the sensor's sd
_STILL = timedelta(hours=2)  # policy; sensors tell whole mg/dL, and half an hour at one value is seen in people


class Reading(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """One measured value of a channel. `fact` names the fact: "source Type/id path", with the sample's number in a
    series.

    `edge` is -1 or 1 where the value stands at the end of what the device can tell and is a bound (<= or >=), else 0.
    """

    when: datetime
    channel: str
    value: float
    sd: float
    fact: str = ""
    edge: int = 0


Doubt = Callable[[str, Reading], None]
"""What takes a reason and the reading that is not believed."""


def believed(raw: Iterable[Reading], channel: Channel, doubt: Doubt) -> list[Reading]:
    """Leave out what the device cannot have measured, each with its reason."""
    low, high = channel.bounds
    least, most = channel.beyond or channel.bounds
    possible = []
    for reading in sorted(raw):
        if not least <= reading.value <= most:
            doubt("impossible", reading)
        elif reading.edge == 0 and not low < reading.value < high:
            edge = -1 if reading.value <= low else 1
            possible.append(msgspec.structs.replace(reading, value=(low, high)[edge > 0], edge=edge))
        else:
            possible.append(reading)
    single = list(_agreed(possible, doubt))
    # Each rule sees what the one before it has left.
    single = _without("conflict", single, _taking_turns(single, channel), doubt)
    single = _without("stuck", single, _stuck(single), doubt)
    if channel.unit == "mg/dL":
        single = _without("compression-low", single, _pressed(single), doubt)
    return _without_jumps(single, channel, doubt)


def _without(reason: str, readings: list[Reading], found: frozenset[int], doubt: Doubt) -> list[Reading]:
    """Leave out the readings that a rule found, each with its reason."""
    for number in sorted(found):
        doubt(reason, readings[number])
    return [reading for number, reading in enumerate(readings) if number not in found]


def _agreed(readings: list[Reading], doubt: Doubt) -> Iterator[Reading]:
    """Of readings of one minute keep one where they agree, and none where they do not."""
    for _, group in groupby(readings, key=lambda r: r.when.replace(second=0, microsecond=0)):
        same = list(group)
        first = same[0]
        if len(same) > 1 and any(abs(r.value - first.value) > _rounding(first, r) for r in same):
            for reading in same:
                doubt("conflict", reading)
            continue
        yield first
        for reading in same[1:]:
            doubt("duplicate", reading)


def _rounding(one: Reading, other: Reading) -> float:
    """How far two readings may be apart and still be one told twice: the sensor tells whole mg/dL, or 0.1 mmol/L."""
    return 1.0 if one.when == other.when else max(one.sd, other.sd)


def _taking_turns(readings: Sequence[Reading], channel: Channel) -> frozenset[int]:
    """Find the readings of two sensors that disagree and are told in turn: nobody knows which of them is right."""
    found: set[int] = set()
    steps = [
        (later.value - one.value) / (_APART * channel.sd) if later.when - one.when <= _STEP else 0.0
        for one, later in pairwise(readings)
    ]
    for number in range(len(steps) - _TURNS + 2):
        turns = steps[number : number + _TURNS - 1]
        if min(map(abs, turns)) >= 1.0 and all(one * next_ < 0.0 for one, next_ in pairwise(turns)):
            found.update(range(number, number + _TURNS))
    return frozenset(found)


def _stuck(readings: Sequence[Reading]) -> frozenset[int]:
    """Find the readings that stand still for too long, without a gap; at the edge of the device they may."""
    found: set[int] = set()
    begin = 0
    for number, reading in enumerate(readings):
        before = readings[number - 1] if number else reading
        if reading.edge or reading.value != before.value or reading.when - before.when > _NEAR:
            begin = number
        elif reading.when - readings[begin].when >= _STILL:
            found.update(range(begin, number + 1))
    return frozenset(found)


def _pressed(readings: Sequence[Reading]) -> frozenset[int]:
    """Find the readings between a sudden fall and a sudden return to about the same level."""
    found: set[int] = set()
    number = 1
    while number < len(readings):
        before, first = readings[number - 1], readings[number]
        if first.when - before.when <= _STEP and first.value - before.value <= -_FLANK:
            end = _return(readings, number, before)
            if end is not None:
                found.update(range(number, end))
                number = end
        number += 1
    return frozenset(found)


def _return(readings: Sequence[Reading], start: int, before: Reading) -> int | None:
    """Find the reading at which the sensor is back; `None` where it is not within two hours, or comes back slowly."""
    for number in range(start + 1, len(readings)):
        last, here = readings[number - 1], readings[number]
        if here.when - before.when > _LONGEST_LOW or here.when - last.when > _STEP:
            return None
        if here.value - last.value >= _FLANK and here.value >= before.value - _BACK:
            return number
        if here.value >= before.value - _FLANK:
            return None
    return None


def _without_jumps(readings: list[Reading], channel: Channel, doubt: Doubt) -> list[Reading]:
    """Leave out what changed faster than a body can, until so many readings agree that it is the new level."""
    kept: list[Reading] = []
    odd: list[Reading] = []
    for reading in readings:
        if not kept or not _too_fast(kept[-1], reading, channel):
            for one in odd:
                doubt("jump", one)
            odd = []
            kept.append(reading)
            continue
        if odd and _too_fast(odd[-1], reading, channel):
            for one in odd:
                doubt("jump", one)
            odd = []
        odd.append(reading)
        if len(odd) == _LEVEL:
            kept += odd
            odd = []
    for one in odd:
        doubt("jump", one)
    return kept


def _too_fast(before: Reading, after: Reading, channel: Channel) -> bool:
    apart = after.when - before.when
    if apart > _NEAR:
        return False
    minutes = max(apart.total_seconds() / 60.0, 1.0)
    return abs(after.value - before.value) / minutes > channel.per_minute

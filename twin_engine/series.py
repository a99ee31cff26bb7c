"""What happened to a patient, in order, as a model that moves in time takes it: readings and doses that are believed.

A sensor lies in known ways, and two sources tell one thing twice. What cannot be believed is left out with its reason,
and the counts add up: samples and doses on record = readings + doses + unbelieved. A gap stays a gap: nothing is
filled in. All of it is patient data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise

import msgspec

from mappers.facts import Fact, Quantity
from twin_engine.dynamic import Channel, DynamicModel, PlanInput

__all__ = ["REASONS", "Dose", "Reading", "Series", "Unbelieved", "fact_name", "series_of"]

REASONS: dict[str, str] = {
    "imprecise": "Its time is not known to the minute.",
    "no-value": "It has no number.",
    "status": "Its status does not make it a result.",
    "unit": "It is in a unit that the model does not use.",
    "impossible": "The device cannot tell such a value, or nobody takes such an amount.",
    "duplicate": "The same was told before, by this or another source.",
    "conflict": "Another one of the same time, or another sensor at that time, contradicts it.",
    "stuck": "It stood still to the digit for longer than a body does.",
    "jump": "It changed faster than a body can.",
    "compression-low": "It fell and rose again at once, as a sensor does that is lain upon.",
}

_USABLE = frozenset({"final", "amended", "corrected"})
_GIVEN = frozenset({"completed", "in-progress", "stopped"})
_PRECISE = frozenset({"minute", "second"})
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
_SAME = timedelta(minutes=5)  # policy: so far apart two sources may tell one dose


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


class Dose(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """One amount of a plan input, given from `when` on over `minutes` (0: at once); or, of a rate, its new value.

    A rate holds for `minutes`, or until the next one of that kind where that is 0; what passes lets it come back. Of a
    change it is what stays from `when` on; that takes no minutes.
    """

    when: datetime
    input: str
    amount: float
    minutes: float = 0.0
    fact: str = ""


class Unbelieved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fact that a model could have used and did not, and why. `reason` is one of `REASONS`."""

    reason: str
    when: str
    name: str
    fact: str


class Series(msgspec.Struct, frozen=True):
    """All that a model can use of a twin, in order of time, each reading and dose once."""

    readings: tuple[Reading, ...] = ()
    doses: tuple[Dose, ...] = ()
    unbelieved: tuple[Unbelieved, ...] = ()


def series_of(model: DynamicModel, facts: Iterable[Fact], until: datetime | None = None) -> Series:
    """Gather what a model can use of a twin's facts, up to and including a time; the order of the facts does not count.

    What is later than `until` is not looked at.
    """
    told = [fact for fact in facts if fact.kind in ("measurement", "administration")]
    unbelieved: list[Unbelieved] = []
    readings: list[Reading] = []
    for channel in model.channels:
        names = frozenset(channel.names)
        raw = [r for fact in told if fact.name in names for r in _read(fact, channel, until, unbelieved)]
        readings += _believed(raw, channel, unbelieved)
    doses: list[Dose] = []
    for each in model.plan:
        given = [d for fact in told for d in _dose(fact, each, until, unbelieved)]
        doses += _once(given, unbelieved)
    return Series(
        tuple(sorted(readings)), tuple(sorted(doses)), tuple(sorted(unbelieved, key=lambda u: (u.fact, u.reason)))
    )


def fact_name(fact: Fact) -> str:
    """Name a fact so that it can be found again."""
    return f"{fact.origin.source} {fact.origin.resource} {fact.origin.path}".rstrip()


def _read(fact: Fact, channel: Channel, until: datetime | None, unbelieved: list[Unbelieved]) -> Iterator[Reading]:
    """Turn a fact into raw readings, one for each sample of a series."""
    name = fact_name(fact)
    if fact.when is not None and until is not None and fact.when.earliest > until:
        return
    reason = "" if fact.status in _USABLE else "status"
    if fact.when is None or fact.when.precision not in _PRECISE:
        reason = reason or "imprecise"
    if isinstance(fact.value, tuple):
        yield from _samples(fact, fact.value, channel, until, reason, name, unbelieved)
        return
    when = fact.when.earliest if fact.when else None
    value = fact.value
    if not isinstance(value, Quantity):
        reason = reason or "no-value"
    elif value.unit != channel.unit:
        reason = reason or "unit"
    if reason or when is None or not isinstance(value, Quantity):
        unbelieved.append(Unbelieved(reason, fact.when.text if fact.when else "", fact.name, name))
        return
    low, high = channel.bounds
    number = float(value.value)
    edge = {"<": -1, "<=": -1, ">": 1, ">=": 1}.get(value.comparator, 0)
    yield Reading(when, channel.name, min(max(number, low), high) if edge else number, channel.sd, name, edge)


def _samples(
    fact: Fact,
    samples: Sequence[Decimal | None],
    channel: Channel,
    until: datetime | None,
    reason: str,
    name: str,
    unbelieved: list[Unbelieved],
) -> Iterator[Reading]:
    if fact.period_ms is None:
        reason = reason or "imprecise"
    spacing = timedelta(milliseconds=float(fact.period_ms or 0))
    begin = fact.when.earliest if fact.when else None
    for number, sample in enumerate(samples):
        if sample is None:
            continue
        when = begin + number * spacing if begin else None
        if when is not None and until is not None and when > until:
            return
        if reason or when is None:
            unbelieved.append(Unbelieved(reason, fact.when.text if fact.when else "", fact.name, f"{name}#{number}"))
        else:
            yield Reading(when, channel.name, float(sample), channel.sd, f"{name}#{number}")


def _believed(raw: Iterable[Reading], channel: Channel, unbelieved: list[Unbelieved]) -> list[Reading]:
    """Leave out what the device cannot have measured, each with its reason."""
    low, high = channel.bounds
    least, most = channel.beyond or channel.bounds
    possible = []
    for reading in sorted(raw):
        if not least <= reading.value <= most:
            _doubt(unbelieved, "impossible", reading)
        elif reading.edge == 0 and not low < reading.value < high:
            edge = -1 if reading.value <= low else 1
            possible.append(msgspec.structs.replace(reading, value=(low, high)[edge > 0], edge=edge))
        else:
            possible.append(reading)
    single = list(_agreed(possible, unbelieved))
    # Each rule sees what the one before it has left.
    single = _without("conflict", single, _taking_turns(single, channel), unbelieved)
    single = _without("stuck", single, _stuck(single), unbelieved)
    if channel.unit == "mg/dL":
        single = _without("compression-low", single, _pressed(single), unbelieved)
    return _without_jumps(single, channel, unbelieved)


def _without(
    reason: str, readings: list[Reading], found: frozenset[int], unbelieved: list[Unbelieved]
) -> list[Reading]:
    """Leave out the readings that a rule found, each with its reason."""
    for number in sorted(found):
        _doubt(unbelieved, reason, readings[number])
    return [reading for number, reading in enumerate(readings) if number not in found]


def _agreed(readings: list[Reading], unbelieved: list[Unbelieved]) -> Iterator[Reading]:
    """Of readings of one minute keep one where they agree, and none where they do not."""
    for _, group in groupby(readings, key=lambda r: r.when.replace(second=0, microsecond=0)):
        same = list(group)
        first = same[0]
        if len(same) > 1 and any(abs(r.value - first.value) > _rounding(first, r) for r in same):
            for reading in same:
                _doubt(unbelieved, "conflict", reading)
            continue
        yield first
        for reading in same[1:]:
            _doubt(unbelieved, "duplicate", reading)


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


def _without_jumps(readings: list[Reading], channel: Channel, unbelieved: list[Unbelieved]) -> list[Reading]:
    """Leave out what changed faster than a body can, until so many readings agree that it is the new level."""
    kept: list[Reading] = []
    odd: list[Reading] = []
    for reading in readings:
        if not kept or not _too_fast(kept[-1], reading, channel):
            for one in odd:
                _doubt(unbelieved, "jump", one)
            odd = []
            kept.append(reading)
            continue
        if odd and _too_fast(odd[-1], reading, channel):
            for one in odd:
                _doubt(unbelieved, "jump", one)
            odd = []
        odd.append(reading)
        if len(odd) == _LEVEL:
            kept += odd
            odd = []
    for one in odd:
        _doubt(unbelieved, "jump", one)
    return kept


def _too_fast(before: Reading, after: Reading, channel: Channel) -> bool:
    apart = after.when - before.when
    if apart > _NEAR:
        return False
    minutes = max(apart.total_seconds() / 60.0, 1.0)
    return abs(after.value - before.value) / minutes > channel.per_minute


def _doubt(unbelieved: list[Unbelieved], reason: str, reading: Reading) -> None:
    unbelieved.append(Unbelieved(reason, reading.when.isoformat(), reading.channel, reading.fact))


def _dose(fact: Fact, each: PlanInput, until: datetime | None, unbelieved: list[Unbelieved]) -> Iterator[Dose]:
    """Turn a fact into a dose of a plan input, where it is one."""
    depot = next((minutes for drug, minutes in each.depots if drug == fact.name), None)
    if fact.name not in each.logged and depot is None:
        return
    if fact.when is not None and until is not None and fact.when.earliest > until:
        return
    name, value = fact_name(fact), fact.value
    when = fact.when.earliest if fact.when and fact.when.precision in _PRECISE else None
    unit = "[iU]" if depot else each.unit
    reason = ""
    if fact.status not in (_USABLE if fact.kind == "measurement" else _GIVEN):
        reason = "status"
    elif when is None:
        reason = "imprecise"
    elif not isinstance(value, Quantity) or value.comparator:
        reason = "no-value"
    elif value.unit != unit:
        reason = "unit"
    if reason or when is None or not isinstance(value, Quantity):
        unbelieved.append(Unbelieved(reason, fact.when.text if fact.when else "", fact.name, name))
        return
    amount = float(value.value) / (depot / 60.0) if depot else float(value.value)
    if not each.bounds[0] <= amount <= each.bounds[1]:
        unbelieved.append(Unbelieved("impossible", when.isoformat(), fact.name, name))
        return
    minutes = depot or 0.0
    if fact.until is not None and fact.until.precision in _PRECISE and not depot:
        minutes = max(0.0, (fact.until.earliest - when).total_seconds() / 60.0)
    yield Dose(when, each.name, amount, minutes, name)


def _once(given: list[Dose], unbelieved: list[Unbelieved]) -> Iterator[Dose]:
    """Count a dose that two told once, and of two sources that contradict each other believe neither.

    Another source may tell it some minutes earlier or later.
    """
    kept: list[Dose] = []
    for (when, name), group in groupby(sorted(given), key=lambda d: (d.when, d.input)):
        same = list(group)
        amounts = {dose.amount for dose in same}
        sources = {_source(dose) for dose in same}
        if len(amounts) > 1 and len(sources) > 1:
            unbelieved += [Unbelieved("conflict", when.isoformat(), name, dose.fact) for dose in same]
            continue
        kept = [dose for dose in kept if when - dose.when <= _SAME]
        seen: set[float] = {dose.amount for dose in kept if _source(dose) not in sources}
        for dose in same:
            if dose.amount in seen:
                unbelieved.append(Unbelieved("duplicate", when.isoformat(), name, dose.fact))
            else:
                seen.add(dose.amount)
                kept.append(dose)
                yield dose


def _source(dose: Dose) -> str:
    return dose.fact.split(" ", 1)[0]

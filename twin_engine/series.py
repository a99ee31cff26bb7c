"""What happened to a patient, in order, as a model that moves in time takes it: readings and doses that are believed.

What cannot be believed (`twin_engine.belief`) is left out with its reason, and the counts add up: samples and doses on
record = readings + doses + unbelieved. A gap stays a gap: nothing is filled in. All of it is patient data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

import msgspec

from mappers.facts import Fact, Quantity
from twin_engine.belief import Reading, believed
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
_SAME = timedelta(minutes=5)  # policy: so far apart two sources may tell one dose


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
        readings += believed(raw, channel, lambda reason, one: unbelieved.append(_unbelieved(reason, one)))
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


def _unbelieved(reason: str, reading: Reading) -> Unbelieved:
    return Unbelieved(reason, reading.when.isoformat(), reading.channel, reading.fact)


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

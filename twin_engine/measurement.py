"""The latest usable measurement or coded answer at a time; or why there is none.

The latest statement wins, also where an older one would suit better: an old number does not stand in for a new bound,
and of two results of the same time that contradict each other neither is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import msgspec

from mappers.facts import Coding, Fact, Quantity
from mappers.when import When
from twin_engine.answer import Answer, Found, Lack, days_since, is_after, lack, named, within_bounds
from twin_engine.dates import may_be_same_time
from twin_engine.model import Need

__all__ = ["FORMULAS", "Formula", "find_measurement", "find_status"]

# FHIR R4 ObservationStatus. A preliminary result is "unverified", so it is shown and never used; the others are no
# results.
USABLE = frozenset({"final", "amended", "corrected"})


@dataclass(frozen=True, slots=True)
class Formula:
    """A measurement that two others give. `of` names them with the unit in which the formula takes them."""

    of: tuple[tuple[str, str], tuple[str, str]]
    compute: Callable[[float, float], float]
    citation: str


FORMULAS: Mapping[str, Formula] = {
    "bmi": Formula(
        of=(("body-weight", "kg"), ("body-height", "cm")),
        compute=lambda weight, height: weight / (height / 100.0) ** 2,
        citation="WHO Technical Report Series 894 (2000): weight in kg by the square of height in m",
    ),
}


def find_measurement(need: Need, facts: Sequence[Fact], at: datetime) -> Answer:
    """Find the latest number not after `at`, or derive it where a formula gives it and no recent measurement does."""
    direct = _find_number(need, facts, at)
    formula = FORMULAS.get(need.names[0])
    if formula is None or isinstance(direct, Found) or direct.why not in {"never-measured", "too-old"}:
        return within_bounds(need, direct) if isinstance(direct, Found) else direct
    parts = [_find_number(replace(need, name=name, unit=unit, of=()), facts, at) for name, unit in formula.of]
    found = [part for part in parts if isinstance(part, Found)]
    if len(found) < len(parts):
        return direct
    value = formula.compute(found[0].value, found[1].value)
    oldest = max(found, key=lambda part: part.age_days or 0)
    used = tuple(fact for part in found for fact in part.facts)
    return within_bounds(
        need, Found(value, f"{value:.1f}", need.unit, "derived", used, oldest.when, oldest.age_days, _explain(formula))
    )


def find_status(need: Need, facts: Sequence[Fact], at: datetime) -> Answer:
    """Find the latest coded answer not after `at`, and the number that the model gives it."""
    last = _latest(need, facts, at)
    if isinstance(last, Lack):
        return last
    numbers = {(code.system, code.code): number for code, number in need.answers}
    said = {numbers.get((f.value.system, f.value.code)) if isinstance(f.value, Coding) else None for f in last}
    if len(said) > 1:
        say = f"{need.title}: records of the same time contradict each other."
        return lack(need, "conflict", say, since=last[0].when, nearest=last)
    [value] = said
    if value is None:
        say = f"{need.title}: the last answer does not say yes or no."
        return lack(need, "unknown-answer", say, since=last[0].when, nearest=last)
    return within_bounds(need, _found(need, last[0], value, _word(last[0]), at))


def _find_number(need: Need, facts: Sequence[Fact], at: datetime) -> Answer:
    """Find the number in the latest result, whatever its size."""
    last = _latest(need, facts, at)
    if isinstance(last, Lack):
        return last
    since = last[0].when
    quantities = [(fact, fact.value) for fact in last if isinstance(fact.value, Quantity)]
    if not quantities:
        return lack(need, "unknown-answer", f"The last {need.title} is no number.", since=since, nearest=last)
    plain = [(fact, quantity) for fact, quantity in quantities if not quantity.comparator]
    if not plain:
        bound = f"{quantities[0][1].comparator}{quantities[0][1].value} {quantities[0][1].unit}"
        say = f"The last {need.title} is a bound ({bound}), not a number."
        return lack(need, "comparator", say, since=since, nearest=last)
    usable = [(fact, quantity.value) for fact, quantity in plain if quantity.unit == need.unit]
    if not usable:
        say = f"The last {need.title} is in {plain[0][1].unit or 'no unit'}; the model takes {need.unit}."
        return lack(need, "unit", say, since=since, nearest=last)
    finest, value = min(usable, key=lambda pair: (_last_digit(pair[1]), pair[0].origin.source, pair[0].origin.resource))
    if any(not _agree(value, other) for _, other in usable):
        told = [other for _, other in usable]
        if float(max(told) - min(told)) <= need.within:
            return _averaged(need, tuple(fact for fact, _ in usable), told, at)
        values = " and ".join(sorted({f"{_short(other)}" for _, other in usable}))
        say = f"{need.title}: results of the same time differ ({values} {need.unit})."
        return lack(need, "conflict", say, since=since, nearest=last)
    return _found(need, finest, float(value), _short(value), at)


def _averaged(need: Need, facts: tuple[Fact, ...], values: Sequence[Decimal], at: datetime) -> Found:
    """Answer with the mean of readings of one time that differ by less than such readings may."""
    mean = sum(values) / len(values)
    ends = f"{_short(min(values))} to {_short(max(values))} {need.unit}"
    said = f"{need.title}: the mean of {len(values)} readings of the same time ({ends})."
    first = _found(need, facts[0], float(mean), f"{float(mean):.4g}", at)
    return msgspec.structs.replace(first, facts=facts, assumption=said)


def _latest(need: Need, facts: Sequence[Fact], at: datetime) -> list[Fact] | Lack:
    """Choose the final results that are the latest not after `at`; several where their times cannot be told apart."""
    answering = named(facts, "measurement", need.names)
    near = _nearest(need, facts, at)
    if not answering:
        return lack(need, "never-measured", f"{need.title} was never measured.", nearest=near)
    known = [(fact.when, fact) for fact in answering if fact.when is not None and not is_after(fact, at)]
    if not known:
        say = f"{need.title} is known only after the time asked for."
        return lack(
            need, "after", say, since=min((f.when for f in answering if f.when), default=None), nearest=answering[:1]
        )
    final = [(when, fact) for when, fact in known if fact.status in USABLE]
    if not final:
        unripe = [fact for _, fact in known if fact.status == "preliminary"]
        if unripe:
            say = f"The only result of {need.title} is preliminary."
            return lack(need, "preliminary", say, since=unripe[-1].when, nearest=unripe)
        return lack(need, "never-measured", f"{need.title} has no final result.", nearest=near)
    newest = max((when for when, _ in final), key=lambda when: (when.latest, when.earliest))
    if need.max_age_days is not None and (days := days_since(newest, at)) > need.max_age_days:
        say = f"The last {need.title} is {days} days old ({newest}); the model allows {need.max_age_days}."
        return lack(need, "too-old", say, since=newest, nearest=[fact for when, fact in final if when == newest])
    return [fact for when, fact in final if may_be_same_time(when, newest)]


def _nearest(need: Need, facts: Sequence[Fact], at: datetime) -> tuple[Fact, ...]:
    """Choose the latest fact of each name that comes near."""
    last: dict[str, tuple[When, Fact]] = {}
    for fact in facts:
        if fact.name in need.near and fact.when is not None and not is_after(fact, at):
            kept = last.get(fact.name)
            if kept is None or fact.when.latest > kept[0].latest:
                last[fact.name] = (fact.when, fact)
    return tuple(last[name][1] for name in need.near if name in last)


def _found(need: Need, fact: Fact, value: float, said: str, at: datetime) -> Found:
    days = days_since(fact.when, at) if fact.when else None
    basis = "recorded" if need.kind == "status" else "measured"
    return Found(value, said, need.unit, basis, (fact,), fact.when, days)


def _explain(formula: Formula) -> str:
    return f"Derived from {formula.of[0][0]} and {formula.of[1][0]} ({formula.citation})."


def _word(fact: Fact) -> str:
    return (fact.value.display or fact.value.code) if isinstance(fact.value, Coding) else str(fact.value)


def _last_digit(value: Decimal) -> Decimal:
    """Return the weight of the last digit that was told: 0.01 for 1.40."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)


def _agree(one: Decimal, other: Decimal) -> bool:
    """Say whether two values may be one, told with different rounding: half of the coarser last digit is granted."""
    return abs(one - other) <= max(_last_digit(one), _last_digit(other)) / 2


def _short(value: Decimal) -> str:
    """Write a value as told, or with four digits where a computer told it with many."""
    return str(value) if len(value.as_tuple().digits) <= 6 else f"{float(value):.4g}"

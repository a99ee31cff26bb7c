"""Age, sex and death from the demographic facts of one person in several sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from mappers.facts import Coding, Fact
from mappers.when import When, read_when
from twin_engine.answer import Answer, Found, lack, named, within_bounds
from twin_engine.dates import completed_years, written_days
from twin_engine.model import Need

__all__ = ["died_before", "find_age", "find_sex"]


def find_age(need: Need, facts: Sequence[Fact], day: tuple[date, date]) -> Answer:
    """Find the age in completed years on a day, or between the days that a partial date may mean.

    Sources that disagree about the birth date are a conflict; a partial date agrees with one that it contains. An age
    that a partial date leaves open is not guessed.
    """
    births = [(born, fact) for fact in named(facts, "demographic", ["birth-date"]) if (born := _born(fact)) is not None]
    if not births:
        return lack(need, "never-measured", "The birth date is not known.")
    finest, fact = min(births, key=lambda pair: (_span(pair[0]), pair[0].text, pair[1].origin.source))
    first, last = written_days(finest)
    for born, _ in births:
        begin, end = written_days(born)
        if begin > first or end < last:
            told = ", ".join(sorted({f"{other} ({f.origin.source})" for other, f in births}))
            say = f"The sources disagree about the birth date: {told}."
            return lack(need, "conflict", say, nearest=[f for _, f in births])
    youngest, oldest = completed_years(last, day[0]), completed_years(first, day[1])
    if oldest < 0:
        return lack(need, "after", "The birth date is after the time asked for.", nearest=[fact])
    if youngest != oldest:
        say = f"The birth date ({finest}) or the day is too imprecise for an age: {max(youngest, 0)} or {oldest} years."
        return lack(need, "imprecise", say, nearest=[fact])
    return within_bounds(need, Found(float(oldest), str(oldest), need.unit, "derived", (fact,)))


def find_sex(need: Need, facts: Sequence[Fact]) -> Answer:
    """Find the administrative gender: 1 for female, 0 for male. "other" and "unknown" are no answer to these models.

    The published equations were fitted to two categories; FHIR's administrative-gender is the nearest that an EHR
    always has.
    """
    told = [(_word(fact), fact) for fact in named(facts, "demographic", ["sex"])]
    words = {word for word, _ in told if word != "unknown"}
    if not told:
        return lack(need, "never-measured", "The sex is not recorded.")
    if len(words) > 1:
        say = f"The sources disagree about the sex: {', '.join(sorted(words))}."
        return lack(need, "conflict", say, nearest=[fact for _, fact in told])
    if not words & {"female", "male"}:
        say = "The sex is recorded as other or unknown; the model knows female and male only."
        return lack(need, "unknown-answer", say, nearest=[fact for _, fact in told])
    word = words.pop()
    used = min(
        (fact for said, fact in told if said == word), key=lambda fact: (fact.origin.source, fact.origin.resource)
    )
    return within_bounds(need, Found(float(word == "female"), word, need.unit, "recorded", (used,)))


def died_before(facts: Sequence[Fact], at: datetime) -> Fact | None:
    """Return the fact that says the person was dead at a time, if any. A death without a date always counts."""
    for fact in named(facts, "demographic", ["deceased"]):
        dead = fact.value is not False and fact.status != "entered-in-error"
        died = fact.when or (read_when(fact.value) if isinstance(fact.value, str) else None)
        if dead and (died is None or died.earliest <= at):
            return fact
    return None


def _born(fact: Fact) -> When | None:
    return (read_when(fact.value) if isinstance(fact.value, str) else None) or fact.when


def _span(born: When) -> int:
    first, last = written_days(born)
    return (last - first).days


def _word(fact: Fact) -> str:
    return fact.value.code if isinstance(fact.value, Coding) else str(fact.value)

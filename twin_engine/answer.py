"""What a patient's facts answer to a model's need: a number with its grounds, or why there is none.

Both hold patient data: keep them sealed, and out of faults and logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from mappers.facts import Fact
from mappers.when import When
from twin_engine.model import Need
from twin_engine.uncertainty import Uncertainty

__all__ = [
    "HOWS",
    "WHYS",
    "Age",
    "Answer",
    "Found",
    "How",
    "Lack",
    "Why",
    "age_of",
    "days_since",
    "is_after",
    "lack",
    "named",
    "within_bounds",
]

Why = Literal[
    "never-measured",
    "too-old",
    "after",
    "preliminary",
    "comparator",
    "unknown-answer",
    "conflict",
    "imprecise",
    "unit",
    "out-of-range",
    "unproven",
]

WHYS: dict[Why, str] = {
    "never-measured": "No fact says it.",
    "too-old": "The last fact is older than the model allows.",
    "after": "The only facts are later than the time asked for, or may be.",
    "preliminary": "The only result is not final yet.",
    "comparator": "The last result is a bound (such as <5), not a number.",
    "unknown-answer": "The last answer does not say what the model asks.",
    "conflict": "Facts of the same time contradict each other.",
    "imprecise": "What is known is not precise enough to decide.",
    "unit": "The last result is in a unit that the model does not use.",
    "out-of-range": "The value is outside the range in which the model holds.",
    "unproven": "Nothing is recorded, and the list cannot be proven whole.",
}

How = Literal["measured", "computed", "reported", "none recorded", "assumed absent", "imputed"]

HOWS: dict[str, How] = {
    "measured": "measured",
    "derived": "computed",
    "recorded": "reported",
    "none recorded": "none recorded",
    "assumed absent": "assumed absent",
    "imputed": "imputed",
}
"""How a number came to be known, by the basis that an answer names."""


class Age(msgspec.Struct, frozen=True):
    """How long ago something was true, in days: between `least` and `most`, which differ where the date is partial."""

    least: float
    most: float


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number, and what it rests on.

    `said` is the value as a person would say it ("female", "no", "1.40"). `basis` is "measured", "derived", "recorded",
    "none recorded", "assumed absent", or "imputed" (from a declared population). `age_days` counts from the fact to the
    time asked for; `age` is the same as a range. `assumption` is a sentence to be shown with the result, "" where
    nothing is assumed. `uncertainty` is what declared sources say, `None` where there is none.
    """

    value: float
    said: str
    unit: str
    basis: str
    facts: tuple[Fact, ...] = ()
    when: When | None = None
    age_days: int | None = None
    assumption: str = ""
    age: Age | None = None
    uncertainty: Uncertainty | None = None

    @property
    def how(self) -> How:
        """Say how it came to be known."""
        return HOWS[self.basis]


class Lack(msgspec.Struct, frozen=True, omit_defaults=True):
    """No number: which need, why, since when, what came nearest, and a sentence or two that say it all."""

    need: str
    title: str
    why: Why
    say: str
    since: When | None = None
    nearest: tuple[Fact, ...] = ()


Answer = Found | Lack


def lack(need: Need, why: Why, say: str, *, since: When | None = None, nearest: Iterable[Fact] = ()) -> Lack:
    """Say why a need is not met."""
    return Lack(need.name, need.title, why, say, since, tuple(nearest))


def within_bounds(need: Need, found: Found) -> Answer:
    """Refuse a value outside the bounds of its need; hand on all others."""
    low, high = need.bounds
    if low <= found.value <= high:
        return found
    if need.is_number:
        unit = {"1": "", "a": " years"}.get(found.unit, f" {found.unit}")
        say = f"{need.title} is {found.said}{unit}; the model holds from {low:g} to {high:g}{unit}. {need.why}"
    else:
        say = f"{need.title}: {found.said}. {need.why}"
    return lack(need, "out-of-range", say, since=found.when, nearest=found.facts)


def named(facts: Iterable[Fact], kind: str, names: Iterable[str]) -> list[Fact]:
    """Choose the facts of one kind that have one of the names."""
    wanted = frozenset(names)
    return [fact for fact in facts if fact.kind == kind and fact.name in wanted]


def is_after(fact: Fact, at: datetime) -> bool:
    """Say whether a fact is later than a time, or may be: the whole span of a partial date has to be before it."""
    return fact.when is None or fact.when.latest > at


def days_since(when: When, at: datetime) -> int:
    """Count the whole days from a fact to a time; for a partial date, from the earliest day that it may mean."""
    return (at - when.earliest) // timedelta(days=1)


def age_of(when: When, at: datetime) -> Age:
    """Say how long before `at` something was: at least and at most, for a partial date."""
    day = timedelta(days=1)
    return Age(max((at - when.latest) / day, 0.0), max((at - when.earliest) / day, 0.0))

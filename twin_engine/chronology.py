"""Facts on the axis of when they were true: surely by an instant, perhaps, or later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mappers.facts import Fact
from mappers.when import When, read_when

__all__ = ["Chronology", "sort_facts"]

_ALWAYS = frozenset({"sex", "birth-date"})  # true at any time of a life


@dataclass(frozen=True, slots=True)
class Chronology:
    """Facts as seen from an instant: `before` were true by then, `later` were not yet.

    `undecided` are those whose date leaves it open (a fact of "2020" seen from June 2020), or that have none.
    """

    at: datetime
    before: tuple[Fact, ...]
    undecided: tuple[Fact, ...]
    later: tuple[Fact, ...]


def sort_facts(facts: Iterable[Fact], at: datetime) -> Chronology:
    """Sort facts by an instant. A partial date is before it only if the whole span that it may mean is."""
    before: list[Fact] = []
    undecided: list[Fact] = []
    later: list[Fact] = []
    for fact in facts:
        when = _begun(fact)
        if fact.kind == "demographic" and fact.name in _ALWAYS:
            before.append(fact)
        elif when is None:
            undecided.append(fact)
        elif when.latest <= at:
            before.append(fact)
        else:
            (undecided if when.earliest <= at else later).append(fact)
    return Chronology(at, tuple(before), tuple(undecided), tuple(later))


def _begun(fact: Fact) -> When | None:
    """Return when a fact begins to be true; of a death the date may be its value."""
    if fact.when is None and fact.name == "deceased" and isinstance(fact.value, str):
        return read_when(fact.value)
    return fact.when

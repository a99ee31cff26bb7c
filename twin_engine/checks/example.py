"""Made-up people who answer a model's needs: at mid-range, at the corners of the ranges, and just outside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mappers.concepts import classes_of
from mappers.facts import Coding, Fact, Kind, Origin, Quantity
from mappers.when import When
from twin_engine.model import Need, TwinModel
from twin_engine.profile import Profile

__all__ = ["corners", "example_profile", "middle", "outside"]

NOON = datetime(2024, 6, 15, 12, tzinfo=UTC)
CLOSED = frozenset({"condition", "medication"})
DRUGS = ("atorvastatin", "lisinopril")  # one of each class that our tables know
CORNERS = 256  # combinations of extreme inputs that are tried; the first of a model with very many inputs
FEW_CORNERS = 2  # of a model that calibrates itself at each start, which takes seconds


def example_profile(model: TwinModel, **values: float) -> Profile:
    """Make the facts of a person who answers each need of a model: with the values given by need, else from mid-range.

    For tests. Names of needs are written with underscores. Yes and no are 1 and 0; lists count as whole.
    """
    given = {name.replace("_", "-"): value for name, value in values.items()}
    facts: dict[str, Fact] = {}
    for need in sorted(
        model.needs, key=lambda need: need.name in given
    ):  # what is given is written last, over the rest
        fact = _fact(need, given.get(need.name, middle(need)))
        if fact and (need.name in given or fact.name not in facts):
            facts[fact.name] = fact
    return Profile(tuple(facts.values()), NOON, CLOSED)


def corners(model: TwinModel) -> Iterator[dict[str, float]]:
    """Combine the ends of the ranges; all of them where there are few, else a fixed spread."""
    ends = [tuple(dict.fromkeys(need.bounds)) for need in model.needs]
    total = math.prod(len(end) for end in ends)
    stride = max(1, total // (CORNERS if model.members == 1 else FEW_CORNERS))
    stride += 1 - stride % 2  # odd, so that each end of each range is met
    for number in range(0, total, stride):
        chosen, rest = [], number
        for end in reversed(ends):
            rest, place = divmod(rest, len(end))
            chosen.append(end[place])
        yield dict(zip((need.name for need in model.needs), reversed(chosen), strict=True))


def middle(need: Need) -> float:
    """Choose an ordinary value: no for a question, else the middle, by ratio where all values are positive."""
    low, high = need.bounds
    if not need.is_number:
        return low
    found = (low * high) ** 0.5 if low > 0.0 else (low + high) / 2.0
    return float(round(found)) if need.kind == "demographic" else found


def outside(need: Need) -> Iterator[float]:
    """Choose values just outside: half a per mille of the width, a whole year for an age, yes for an exclusion."""
    low, high = need.bounds
    if need.kind in {"problem", "medication"}:
        yield from (value for value in (1.0,) if value > high)
    elif need.kind == "demographic" and need.is_number:
        yield from (value for value in (low - 1.0, high + 1.0) if value >= 0.0)
    elif need.kind == "measurement":
        margin = (high - low) / 2000.0
        yield from (low - margin, high + margin)


def _fact(need: Need, value: float) -> Fact | None:
    """Make the fact that answers a need with a value; none where absence is the answer."""
    name, when = need.names[0], _when(NOON - timedelta(hours=1))
    match need.kind:
        case "measurement":
            quantity = Quantity(Decimal(repr(value)), need.unit)
            return _make("measurement", name, quantity, when, "final")
        case "status":
            code = next((code for code, number in need.answers if number == value), Coding("", ""))
            return _make("measurement", name, code, when, "final")
        case "problem":
            return _make("condition", name, None, when, "active") if value else None
        case "medication":
            drug = next((drug for drug in DRUGS if classes_of(drug) & frozenset(need.names)), name)
            return _make("medication", drug, None, when, "active") if value else None
        case "demographic" if name == "sex":
            return _make("demographic", "sex", "female" if value else "male", None, "")
        case "demographic":
            return _make("demographic", "birth-date", f"{NOON.year - int(value):04d}-01-01", None, "")


def _make(kind: Kind, name: str, value: Quantity | Coding | str | None, when: When | None, status: str) -> Fact:
    origin = Origin("example", kind, name)
    return Fact(kind, name, Coding("", ""), value, when, status, origin, "example")


def _when(instant: datetime) -> When:
    return When(instant, instant, instant.isoformat(), "second")

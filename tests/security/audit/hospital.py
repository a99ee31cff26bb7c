"""A made-up hospital whose log tells of months: who is on which ward, at which hours, with whom; and what is planted.

Days differ (a negative binomial count), some people work at night, some are away, some help out on another ward. Of
each patient who is in, data come and somebody computes; so the log has work around nearly every use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from security.audit.anomalies import Known
from security.audit.entry import Entry

__all__ = ["BEGIN", "Hospital", "make"]

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
_WARDS, _PEOPLE, _BEDS, _STAY = 6, 30, 18, 9


@dataclass
class Hospital:
    """The entries; what is known beside them; and what was planted: rule and account to the day."""

    entries: list[Entry] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    planted: set[tuple[str, str]] = field(default_factory=set)
    now: datetime = BEGIN
    erased: set[str] = field(default_factory=set)


def make(seed: int, days: int = 150, *, plant: bool = True) -> Hospital:
    """Make a log; the second half of it is to be judged."""
    rng = np.random.default_rng(seed)
    hospital = Hospital(now=BEGIN + timedelta(days=days))
    numbers = count(1)
    people = [f"u{n}" for n in range(_PEOPLE)]
    usual = {u: float(rng.gamma(4, 3)) for u in people}  # uses a day, from 2 to 30
    spread = {u: float(rng.uniform(0.2, 0.6)) for u in people}
    begins = {u: int(rng.choice([6, 7, 8, 13, 21], p=[0.25, 0.35, 0.2, 0.12, 0.08])) for u in people}
    ward = {u: int(rng.integers(_WARDS)) for u in people}
    patients = count(1)
    beds: list[dict[str, int]] = [{} for _ in range(_WARDS)]
    seen: list[str] = []

    def tell(when: datetime, actor: str, patient: str, kind: str = "read", **more: str) -> int:
        number = next(numbers)
        hospital.entries.append(entry(number, when, actor, patient, kind, **more))
        return number

    def hour_of(user: str, day: datetime) -> datetime:
        return day + timedelta(hours=begins[user] + float(np.clip(rng.normal(4, 2), -0.5, 9)))

    for n in range(days):
        day = BEGIN + timedelta(days=n)
        for inside in beds:
            for patient in [p for p, until in inside.items() if until <= n]:
                del inside[patient]
            while len(inside) < _BEDS:
                patient = f"p{next(patients)}"
                inside[patient] = n + 1 + int(rng.geometric(1 / _STAY))
                seen.append(patient)
                tell(day + timedelta(hours=5), "job", patient, "import")
            for patient in inside:
                if rng.random() < 0.3:
                    tell(day + timedelta(hours=5.5), "job", patient, "import")
        for user in people:
            if rng.random() < (0.75 if day.weekday() >= 5 else 0.1):
                continue
            wanted = usual[user] * rng.gamma(1 / spread[user] ** 2, spread[user] ** 2)
            where = ward[user] if rng.random() > 0.05 else int(rng.integers(_WARDS))
            for _ in range(int(rng.poisson(wanted))):
                old = rng.random() < 0.01  # a question about somebody who has left
                patient = seen[int(rng.integers(len(seen)))] if old else str(rng.choice(list(beds[where])))
                failed = rng.random() < 0.01
                kind = "run" if rng.random() < 0.1 else "read"
                tell(hour_of(user, day), user, patient, kind, outcome="8" if failed else "0")
    if plant:
        _plant(hospital, rng, people, usual, begins, days, seen, tell)
    hospital.entries.sort(key=lambda e: e.when)
    return hospital


def _plant(hospital, rng, people, usual, begins, days, seen, tell) -> None:
    """Plant one of each fault, each with another person, on a day of the second half."""
    users = iter(rng.permutation([u for u in people if usual[u] < 15]))
    others = iter(rng.permutation(seen))

    def some_day() -> datetime:
        return BEGIN + timedelta(days=int(rng.integers(days // 2 + 5, days - 10)))

    def mark(rule: str, user: str) -> None:
        hospital.planted.add((rule, user))

    user, day = str(next(users)), some_day()
    for _ in range(int(6 * usual[user] + 40)):
        tell(day + timedelta(hours=begins[user] + 2), user, str(rng.choice(seen[-100:])))
    mark("volume", user)
    mark("patients", user)

    user, day = str(next(users)), some_day()
    for _ in range(4):
        tell(day + timedelta(hours=(begins[user] + 15) % 24), user, str(next(others)))
    mark("hours", user)

    user, day = str(next(users)), some_day()
    for _ in range(12):
        tell(day + timedelta(hours=begins[user] + 3), user, str(next(others)), outcome="8")
    mark("refusals", user)

    user, day = str(next(users)), some_day()
    for _ in range(8):  # records of people who left long ago, or never were on a ward
        tell(day + timedelta(hours=begins[user] + 1), user, f"q{int(rng.integers(10**6))}")
    mark("no-work", user)

    def at(user: str, day: datetime) -> datetime:
        return day + timedelta(hours=begins[user] + 2)

    user, patient = str(next(users)), str(next(others))
    tell(at(user, some_day()), user, patient)
    mark("marked", user)
    namesake, relative = str(next(users)), str(next(others))
    tell(at(namesake, some_day()), namesake, relative)
    mark("same-surname", namesake)
    dead, late = str(next(others)), str(next(users))
    died = BEGIN + timedelta(days=days // 2)
    tell(at(late, died + timedelta(days=40)), late, dead)
    mark("died", late)
    hospital.known = Known({patient}, {namesake: {relative}}, {dead: died.date()})

    user, patient, day = str(next(users)), str(next(others)), some_day()
    tell(at(user, day), user, patient, "break-glass", purpose="BTG")
    tell(at(user, day) + timedelta(hours=1), user, patient, purpose="BTG")
    mark("unreviewed", user)
    user = str(next(users))
    number = tell(at(user, day), user, patient, "break-glass", purpose="BTG")
    tell(at(user, day) + timedelta(hours=9), "auditor", patient, "review", thing=str(number))
    user = str(next(users))
    tell(at(user, day), user, patient, purpose="BTG")
    mark("no-glass", user)

    user, patient, day = str(next(users)), str(next(others)), some_day()
    tell(day, "job", patient, "erasure")
    tell(at(user, day + timedelta(days=2)), user, patient)
    hospital.erased.add(patient)
    mark("erased", user)


def entry(number: int, when: datetime, actor: str, patient: str, kind: str, **more: str) -> Entry:
    outcome = more.get("outcome", "0")
    return Entry(
        number=number,
        when=when,
        kind=kind,
        said=kind,
        actor=actor,
        purpose=more.get("purpose", "TREAT"),
        patients=(patient,),
        peer="",
        address="",
        outcome=outcome,
        reason="denied" if outcome != "0" else "",
        resources=(),
        thing=more.get("thing", ""),
        told=(),
    )

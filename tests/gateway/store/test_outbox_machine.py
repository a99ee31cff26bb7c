"""Whatever two workers and a person do with the outbox, in whatever order: the law of it holds at every step."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest

from gateway.store import ARRIVED, ARROWS, Attempt, Store
from tests.gateway.store.conftest import NOON

STEPS = 250
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else [1, 2, 3]
MINUTE = timedelta(minutes=1)
HOLDERS = ("one", "two")
SOURCES = ("north", "south")
UNDER_WAY = "sending"


class Person:
    """Two workers, a person who decides, and the clock; `seen` is what each delivery was at the last look."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.chance, self.now = store, random.Random(seed), NOON  # noqa: S311 - not for secrets
        self.twins = [store.new_twin(NOON) for _ in range(3)]
        for twin in self.twins:
            store.save_run(f"run{twin}", twin, "kidney", 1, b"{}", now=NOON)
        self.seen: dict[str, str] = {}
        self.mine: dict[str, str] = {}  # delivery: whoever leased it last, and was told so
        self.told: list[str] = []

    def step(self) -> None:
        kinds = (self.propose, self.decide, self.claim, self.claim, self.leave, self.extend, self.settle, self.settle)
        kind = self.chance.choice((*kinds, self.wait, self.replace))
        self.told.append(kind.__name__)
        kind()
        self.look()

    def propose(self) -> None:
        name, twin = f"d{len(self.seen):03}", self.chance.choice(self.twins)
        agreed = self.chance.choice((b"", b"ada"))
        source = self.chance.choice(SOURCES)
        assert self.store.propose(name, twin, source, f"run{twin}", b"{}", now=self.now, decision=agreed)
        self.seen[name] = ""

    def decide(self) -> None:
        if not self.seen:
            return
        read = self.store.delivery(self.chance.choice(sorted(self.seen)))
        to = self.chance.choice(sorted(ARROWS[read.state] - {"sending", "sent", "dead", *ARRIVED} or {"declined"}))
        is_taken = read.state == UNDER_WAY and read.lease_until is not None and read.lease_until > self.now
        try:
            done = self.store.decide_delivery(read, to, self.now)
        except ValueError:
            assert to not in ARROWS[read.state]
        else:
            assert done is not is_taken
            if done:
                self.mine.pop(read.id, None)

    def claim(self) -> None:
        holder = self.chance.choice(HOLDERS)
        before = {each.id: each for each in self.store.outbox_listed()}
        sources = self.chance.choice((None, [self.chance.choice(SOURCES)]))
        limit = self.chance.randint(1, 9)
        for each in self.store.claim(holder, self.now, self.now + 3 * MINUTE, limit=limit, sources=sources):
            was = before[each.id]
            assert was.state != UNDER_WAY or was.lease_until <= self.now, "leased from under somebody"
            assert was.not_before is None or was.not_before <= self.now or was.state == UNDER_WAY
            earlier = [
                one.id
                for one in before.values()
                if (one.source, one.twin) == (was.source, was.twin)
                and one.position < was.position
                and one.state in ("approved", "failed", UNDER_WAY)
            ]
            assert not earlier, "out of order"
            self.mine[each.id] = holder

    def leave(self) -> None:
        for holder, name in self.ours():
            kept = self.store.delivery(name)
            may = self.mine.get(name) == holder and kept.state == UNDER_WAY and kept.lease_until > self.now
            assert self.store.note_leaving(holder, name, self.now) is may
            assert not may or self.store.delivery(name).unsure

    def extend(self) -> None:
        for holder, name in self.ours():
            is_its = self.mine.get(name) == holder and self.store.delivery(name).state == UNDER_WAY
            assert self.store.extend(holder, [name], self.now + 4 * MINUTE) == is_its

    def settle(self) -> None:
        for holder, name in self.ours():
            state = self.chance.choice(("sent", "failed", "held", "held", "dead", "approved", "dropped", "overtaken"))
            not_before = self.now + self.chance.randint(0, 5) * MINUTE if state in ("failed", "held") else None
            is_its = self.mine.get(name) == holder and self.store.delivery(name).state == UNDER_WAY
            done = self.store.settle(holder, {name: Attempt(state, not_before=not_before)}, self.now)
            assert done == [name] * is_its
            if done:
                del self.mine[name]

    def replace(self) -> None:
        for name in self.some(sorted(self.seen)):
            state, was = self.chance.choice(("superseded", "retracted")), self.store.delivery(name).state
            assert self.store.note_replaced(name, state, self.now) is (state in ARROWS[was])

    def wait(self) -> None:
        self.now += self.chance.randint(1, 3) * MINUTE

    def ours(self) -> list[tuple[str, str]]:
        """Choose a delivery and one who believes to have it, rightly or not."""
        return [(self.chance.choice(HOLDERS), name) for name in self.some(sorted(self.mine))]

    def some(self, names: list[str]) -> list[str]:
        return [self.chance.choice(names)] if names else []

    def look(self) -> None:
        """See that nothing is lost, that all went along arrows, and that nobody shares a patient."""
        rows = self.store.outbox_listed()
        assert {row.id for row in rows} == set(self.seen)
        assert len({row.position for row in rows}) == len(rows)
        patients = [(row.source, row.twin) for row in rows if row.state == UNDER_WAY]
        assert len(patients) == len(set(patients)), "two of one patient are under way"
        for row in rows:
            was = self.seen[row.id]
            assert row.state in (was, *(ARROWS[was] if was else ("proposed", "approved"))), (was, row.state)
            assert (row.state == UNDER_WAY) == bool(row.holder) == (row.lease_until is not None)
            assert row.state != UNDER_WAY or self.mine[row.id] == row.holder
            self.seen[row.id] = row.state


@pytest.mark.parametrize("seed", SEEDS)
def test_the_outbox_keeps_its_law(store, path, seed):
    person = Person(store, seed)
    try:
        with store.transaction():  # one commit: what is looked at is the law, not the disk
            for _ in range(STEPS):
                person.step()
    except AssertionError as error:
        error.add_note(f"replay with SEED={seed}; the last steps: {person.told[-8:]}")
        raise
    assert {"sent", "dead", "retracted", "declined"} & set(person.seen.values())
    for _ in range(200):  # then nothing stays behind: all that is on its way leaves
        person.now += 10 * MINUTE
        found = store.claim("last", person.now, person.now + MINUTE, limit=50)
        if not found:
            break
        store.settle("last", {each.id: Attempt("sent") for each in found}, person.now)
    assert store.due() == []

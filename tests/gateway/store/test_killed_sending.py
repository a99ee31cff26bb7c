"""Kill -9 of whoever sends loses nothing: what was leased comes back when its lease ends, and what left is known."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.store import Attempt
from tests.gateway.store.conftest import NOON
from tests.postgres.told import told

ROOT = Path(__file__).parents[3]
SEED = int(os.environ.get("SEED", "20261130"))
KILLS, DELIVERIES, PATIENTS = 3, 90, 15

# Leases some, notes that they leave, and settles them, each time saying so when the store has said so. "gone" is said
# where something would leave: between the two, nobody knows whether it did.
SEND_UNTIL_KILLED = """
import sys
from datetime import datetime, timedelta
from gateway.store import Attempt
from security.keys import SecretKeyRing
from tests.postgres.told import open_told

where, keys, holder, now = sys.argv[1:5]
now, event = datetime.fromisoformat(now), {"resourceType": "AuditEvent", "patient": "someone"}
ring = SecretKeyRing.from_text(sys.stdin.readline().replace("|", chr(10)))
with open_told(where, keys, ring, now) as store:
    while taken := store.claim(holder, now, now + timedelta(minutes=1), limit=3):
        names = [each.id for each in taken]
        print("leased", *names, flush=True)
        assert store.note_leaving_all(holder, {name: [event] for name in names}, now) == names
        print("gone", *names, flush=True)
        assert store.settle(holder, {name: Attempt("sent", status=201) for name in names}, now) == names
        print("sent", *names, flush=True)
"""


def send_until_killed(where, keys, ring, holder, now, lines_to_live, seconds_more):
    """Let a process send, kill it after so many lines, and return what it had said by then."""
    command = [sys.executable, "-c", SEND_UNTIL_KILLED, told(where), str(keys), holder, now.isoformat()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin
    assert process.stdout
    process.stdin.write(ring.to_text().replace("\n", "|") + "\n")
    process.stdin.flush()
    said = []
    for line in process.stdout:
        said.append(line.split())
        if len(said) == lines_to_live:
            time.sleep(seconds_more)  # so that it dies anywhere, and not only right after it spoke
            process.kill()
    process.stdin.close()
    process.stdout.close()
    process.wait(30)
    return said


@pytest.fixture
def _waiting(reopen):
    """Put deliveries into the outbox that somebody agreed to."""
    with reopen() as store, store.transaction():
        twins = [store.new_twin(NOON) for _ in range(PATIENTS)]
        for number in range(DELIVERIES):
            twin = twins[number % PATIENTS]
            store.save_run(f"run{twin}", twin, "kidney", 1, b"{}", now=NOON)
            store.propose(f"d{number:03}", twin, "north", f"run{twin}", b"{}", now=NOON, decision=b"ada")


def give_back(store, holder, deliveries, now):
    attempts = {each.id: Attempt("approved", unsure=each.unsure, counts=False) for each in deliveries}
    assert store.settle(holder, attempts, now) == list(attempts)


@pytest.mark.usefixtures("_waiting")
def test_killing_whoever_sends_loses_nothing_and_what_was_leased_comes_back(where, reopen, tmp_path, ring):
    chance, now = random.Random(SEED), NOON  # noqa: S311 - not for secrets
    sent, gone = set(), set()
    for kill in range(KILLS):
        lives = chance.randint(1, 25)
        said = send_until_killed(where, tmp_path / "keys.db", ring, f"w{kill}", now, lives, chance.random() / 20)
        for word, *names in said:
            (sent if word == "sent" else gone if word == "gone" else set()).update(names)
        with reopen() as store:
            rows = {row.id: row for row in store.outbox_listed()}
            assert len(rows) == DELIVERIES, f"SEED={SEED}"
            assert all(rows[name].state == "sent" for name in sent), f"SEED={SEED}"
            left = {name for name in gone if rows[name].state == "sending"}
            assert all(rows[name].unsure and rows[name].left is not None for name in left), f"SEED={SEED}"
            cut_off = {name for name, row in rows.items() if row.state == "sending"}
            assert {rows[name].holder for name in cut_off} <= {f"w{kill}"}
            early = store.claim("other", now, now + timedelta(minutes=1), limit=DELIVERIES)
            assert not cut_off & {each.id for each in early}  # their lease has not ended
            give_back(store, "other", early, now)
            now += timedelta(minutes=1)
            again = {each.id: each for each in store.claim("next", now, now + timedelta(minutes=1), limit=DELIVERIES)}
            assert cut_off <= again.keys()
            assert all(again[name].unsure for name in left)
            give_back(store, "next", again.values(), now)
    with reopen() as store:
        while found := store.claim("last", now, now + timedelta(minutes=1), limit=DELIVERIES):
            store.settle("last", {each.id: Attempt("sent") for each in found}, now)
        assert {row.state for row in store.outbox_listed()} == {"sent"}
        verdict = store.verify_audit()
        assert verdict.ok
        assert verdict.size >= len(gone)

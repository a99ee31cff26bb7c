"""Kill -9 at any point loses nothing that was acknowledged and doubles nothing (ARCHITECTURE, invariant 7)."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.postgres.told import told

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PAGES = 400

# Lands pages from where the last one was killed, maps each at once, and says so when the store has said so. Resource n
# is on page n and is about twin n % 3; every page also brings a newer version of one resource that each twin has.
PULL_UNTIL_KILLED = f"""
import sys
from datetime import UTC, datetime
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource
from security.keys import SecretKeyRing
from tests.postgres.told import open_told

now = datetime(2026, 11, 24, 12, tzinfo=UTC)
ring = SecretKeyRing.from_text(sys.stdin.readline().replace("|", chr(10)))
event = {{"resourceType": "AuditEvent", "patient": "someone"}}


def resource(key, text):
    return StoredResource("north", key, "r4", text.encode(), ())


with open_told(sys.argv[1], sys.argv[2], ring, now) as store:
    pull = store.begin_pull("north", now)
    with store.transaction():
        while len(store.twins()) < 3:
            store.new_twin(now, [event])
    twins = sorted(twin.id for twin in store.twins())
    print("ready", flush=True)
    for number in range(int(pull.cursor or 0) + 1, {PAGES} + 1):
        store.land(pull, Page(number, "", (Entry(b"page %d" % number),), str(number)), [event])
        print("landed", number, flush=True)
        for page in store.landed_pages(pull, only_unmapped=True):
            writes = {{twins[page.number % 3]: [resource(f"Observation/{{page.number}}", "once")]}}
            for twin in twins:
                writes.setdefault(twin, []).append(resource("Observation/latest", f"of page {{page.number}}"))
            store.append(pull, page.number, writes, [], {{"resources": 1}}, now=now, events=[event])
            print("mapped", page.number, flush=True)
"""


def run_until_killed(where, keys, ring, lines_to_live, seconds_more):
    """Start the loop, kill it after so many lines, and return what it had acknowledged by then."""
    command = [sys.executable, "-c", PULL_UNTIL_KILLED, told(where), str(keys)]
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


def test_killing_a_pull_loses_nothing_acknowledged_and_doubles_nothing(where, reopen, tmp_path, ring):
    chance = random.Random(20261124)  # noqa: S311 - not for secrets
    landed, mapped = set(), set()
    for _ in range(5):
        for word, *number in run_until_killed(
            where, tmp_path / "keys.db", ring, chance.randint(2, 120), chance.random() / 50
        ):
            (landed if word == "landed" else mapped if word == "mapped" else set()).update(map(int, number))
    assert len(mapped) > 20

    with reopen() as store:
        pull = store.begin_pull("north", NOON)
        pages = [page.number for page in store.landed_pages(pull)]
        assert pages == list(range(1, len(pages) + 1))  # none lost, none twice
        assert landed <= set(pages)
        assert pull.cursor == str(len(pages)) == str(pull.pages)
        assert max(landed) >= len(pages) - 5  # at most the page in flight at each kill is there without a word

        done = set(pages) - {page.number for page in store.landed_pages(pull, only_unmapped=True)}
        assert mapped <= done
        assert pull.ledger == {"resources": len(done)} == {"resources": pull.mapped}
        records = [store.twin_record(twin.id) for twin in store.twins()]
        assert sum(record.history for record in records) == 4 * len(done)
        assert all(record.version == len(done) for record in records)
        keys = [r.key for record in records for r in record.resources if r.key != "Observation/latest"]
        assert sorted(keys) == sorted(f"Observation/{number}" for number in done)

        verdict = store.verify_audit()
        assert (verdict.ok, verdict.size) == (True, 3 + len(pages) + len(done))

"""What it takes to verify a large audit log, and to prove something about it.

    python benchmarks/audit_verify.py [--quick] [--format json]

A store with 1,000,000 sealed events under 100,000 checkpoints (`--quick`: 100,000 under 10,000), made by the real
log and put into its tables at once. Then, one core, CPU seconds of the process:

- verify, in the store: every event's hash, every root, every signature, and the kept inner hashes;
- bundle: write the log as files; verify bundle: the same from the files with the public key alone;
- verify since: only the last tenth of the bundle, from the checkpoint before it;
- consistency, inclusion: proofs between two checkpoints by chance, read from the store, and checked;
- peak memory of the process after all of it.

Goals: 1,000,000 events in less than 60 s; a consistency proof in milliseconds. There is no peer: pymerkle keeps the
whole tree in memory, and is used as a judge in the tests.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.audit_bundle import write_bundle
from gateway.bundle_folder import Folder
from gateway.store import Store
from security.audit import (
    Access,
    AuditLog,
    Signer,
    System,
    audit_key,
    open_checkpoint,
    read_event,
    verify,
    verify_consistency,
    verify_inclusion,
)
from security.audit.bundle_check import check_bundle
from security.keys import SecretKeyRing

GOAL_SECONDS, GOAL_MS = 60.0, 10.0
A_COMMIT = 10  # events under one checkpoint
PROOFS = 200


def main() -> int:
    """Measure, print, and return 1 where a goal is missed."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--format", choices=["text", "json"], default="text")
    told = options.parse_args()
    events = 100_000 if told.quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), events)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:>28}  {value}")
    scaled = max(found["verify_s"], found["verify_bundle_s"]) * 1_000_000 / events
    return int(scaled > GOAL_SECONDS or found["consistency_ms"] > GOAL_MS)


def measure(folder: Path, events: int) -> dict[str, Any]:
    """Make a log of so many events in a folder, and measure what is done with it."""
    ring, now = SecretKeyRing.new(), datetime(2026, 11, 29, tzinfo=UTC)
    file = folder / "twin.db"
    Store.create_or_open(file, ring, now).close()
    make_s = timed(lambda: fill(file, ring, now, events))[1]
    with Store.create_or_open(file, ring, now) as store:
        with store.audit_view() as view:
            verdict, verify_s = timed(
                lambda: verify(view.rows(), view.checkpoints(), view.public_key, nodes=view.nodes())
            )
            assert verdict.ok, verdict  # noqa: S101 - a benchmark of a log that does not verify is none
            written, bundle_s = timed(lambda: write_bundle(view, folder / "bundle"))
            checked, verify_bundle_s = timed(lambda: check_bundle(Folder(folder / "bundle"), view.public_key))
            assert checked.ok and checked.size == written.size == events, checked  # noqa: S101, PT018 - else it counts for nothing
            start = view.checkpoint(events - events // 10 - (events - events // 10) % A_COMMIT) or ""
            later, since_s = timed(lambda: check_bundle(Folder(folder / "bundle"), view.public_key, since=start))
            assert later.ok, later  # noqa: S101 - else it counts for nothing
            consistency_ms, inclusion_ms = proofs(view, events)
        one = store.audit_public_key
    return {
        "events": events,
        "checkpoints": verdict.checkpoints,
        "make_s": round(make_s, 2),
        "verify_s": round(verify_s, 2),
        "verify_events_per_s": round(events / verify_s),
        "bundle_s": round(bundle_s, 2),
        "verify_bundle_s": round(verify_bundle_s, 2),
        "verify_since_s": round(since_s, 2),
        "consistency_ms": round(consistency_ms, 2),
        "inclusion_ms": round(inclusion_ms, 2),
        "store_mb": round(file.stat().st_size / 1e6),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "key": one.partition("+")[0],
    }


def fill(file: Path, ring: SecretKeyRing, now: datetime, events: int) -> None:
    """Put events into the tables as the store would, a commit for all of them."""
    here = System("fhirtwin", "127.0.0.1", "0")
    with closing(sqlite3.connect(file)) as db, db:
        [(log_id,)] = db.execute("SELECT value FROM meta WHERE name = 'log-id'")
        log = AuditLog(audit_key(ring), Signer(log_id, ring.derive("audit-sign")))
        for first in range(0, events, A_COMMIT):
            told = [
                read_event(
                    Access(
                        when=now,
                        actor="os-user:ada",
                        purpose="TREAT",
                        system=here,
                        patient=f"00000000-0000-4000-8000-{first + n:012d}",
                    )
                )
                for n in range(A_COMMIT)
            ]
            done = log.append(told)
            db.executemany(
                "INSERT INTO audit_event VALUES (?, ?, ?)", [(r.sequence, r.sealed, r.leaf) for r in done.rows]
            )
            db.executemany("INSERT INTO audit_node VALUES (?, ?, ?)", done.nodes)
            db.execute("INSERT INTO audit_checkpoint VALUES (?, ?)", (done.size, done.checkpoint))
            log = log.after(done)
        db.execute("INSERT INTO audit_state VALUES (1, ?)", (done.frontier,))


def proofs(view: Any, events: int) -> tuple[float, float]:
    """Make and check proofs; return milliseconds for one of each kind."""
    chance = random.Random(1)  # noqa: S311 - which checkpoints, no secrets
    taken = [0.0, 0.0]
    for _ in range(PROOFS):
        first, second = sorted(chance.sample(range(A_COMMIT, events + 1, A_COMMIT), 2))
        old, new = (open_checkpoint(view.checkpoint(size), view.public_key) for size in (first, second))
        proof, spent = timed(lambda: view.tree.consistency(first, second))  # noqa: B023
        taken[0] += spent
        assert verify_consistency(first, second, old.root, new.root, proof)  # noqa: S101 - else it counts for nothing
        row = next(view.rows(first - 1))
        path, spent = timed(lambda: view.tree.inclusion(first - 1, second))  # noqa: B023
        taken[1] += spent
        assert verify_inclusion(row.leaf, first - 1, second, path, new.root)  # noqa: S101 - else it counts for nothing
    return taken[0] / PROOFS * 1000, taken[1] / PROOFS * 1000


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what came out, and the CPU seconds it took."""
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


if __name__ == "__main__":
    sys.exit(main())

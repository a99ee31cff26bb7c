"""What it costs to record an audit event, and to find one patient's among ten million.

    python benchmarks/audit_search.py [--quick] [--format json]

Recording is timed through the real door, in groups of 1,000: build the AuditEvent, write it canonically, seal, hash,
sign, insert, index. CPU µs an event on one core, without waiting for the disk; the least of several rounds.

Searching: `--quick` records 100,000 events through the real door. Else there are 10,000,000 events, of 100,000
patients. Real of them are: all rows of the index by which anything is searched (patients, people, systems, purposes,
outcomes, types, hours), as the store packs them, in groups of 50; and the events of those patients who are searched,
each sealed and hashed. Of two further keys an event (its resource, its X-Request-Id) the index has random ones, and of
the other patients' events there are rows without a body: to record them all would take hours. No search opens them, and
one that did would fail. SQLite's page cache begins empty for each search (a new connection); that of the operating
system does not. Of five rounds the quickest counts, and of the patients the slowest.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.store import Store
from gateway.store.postings import pack
from security.audit import Access, System, fetch_event, query_event
from security.audit.canonical import canonical
from security.audit.log import AuditRow
from security.audit.merkle import leaf_hash
from security.audit.search import Criterion, Span
from security.audit.traits import traits
from security.keys import SecretKeyRing

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS, NORTH = System("fhirtwin", "127.0.0.1", "0.1"), System("north", "https://ehr.example.org/fhir")
LARGE, QUICK = 10_000_000, 100_000
patients = 100_000  # a hundred events each
GROUP = 50
SEARCHED = tuple(range(60, 360, 60))  # first events of those who are searched
ROUNDS = 5
GOAL_RECORD_US, GOAL_SEARCH_MS = 60.0, 100.0
Found = dict[str, Any]


def patient_of(number: int) -> str:
    """Name the patient of an event: each comes again after so many others."""
    return f"{(number * 7_919) % patients:032x}"


def access(number: int) -> Access:
    """Say what happened as event `number`: somebody's resource was read in an EHR."""
    return Access(
        when=NOON + timedelta(seconds=20 * number),
        actor=f"os-user:clerk{number // GROUP % 40}",
        purpose="TREAT" if number // GROUP % 50 else "HRESCH",
        system=OURS,
        peer=NORTH,
        patient=patient_of(number),
        what=(f"Observation/{number}",),
        request_id=f"{number:032x}",
        basis="system/*.rs",
        outcome="8" if number % 1000 == 0 else "0",
        reason="refused" if number % 1000 == 0 else "",
    )


def recording(store: Store, count: int) -> tuple[float, float]:
    """Return CPU µs an event, in groups of 1,000: to build and record it, as it comes; and to build it alone."""
    whole, built = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        for n in range(count):
            fetch_event(access(n))
        halfway = time.process_time()
        for at in range(0, count, 1000):
            with store.transaction() as work:
                for n in range(at, at + 1000):
                    work.record([fetch_event(access(n))])
        whole.append(1e6 * (time.process_time() - halfway) / count)
        built.append(1e6 * (halfway - began) / count)
    return min(whole), min(built)


def search_of_a_hundred(store: Store) -> int:
    """Record a search that gave a hundred resources; returns how many events that is, each resource of it found."""
    before = store.search_audit(limit=1).size
    told = Access(
        when=NOON,
        actor="os-user:ada",
        purpose="TREAT",
        system=OURS,
        peer=NORTH,
        patient="p",
        query=b"GET https://ehr.example.org/fhir/Observation?_count=100",
        what=tuple(f"Observation/of-one-search-{n}" for n in range(100)),
    )
    store.append_audit([query_event(told)])
    for reference in told.what:
        if len(store.search_audit([Criterion("entity", (reference,))]).entries) != 1:
            raise SystemExit("a resource of the search is not found")
    return store.search_audit(limit=1).size - before


def fill(store: Store, file: Path, count: int) -> None:
    """Make the large log in bulk, as told above; key by key, which is the order of the index."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        for name, rows in (("shared", _shared(store, count)), ("patients", _patients(store, count))):
            connection.executemany("INSERT INTO audit_posting VALUES (?, ?, ?)", rows)
            print(f"  {name} are in", file=sys.stderr)
        # A resource and an X-Request-Id of its own for each event: keys that nobody searches.
        alone = np.sort(np.random.default_rng(1).integers(0, 2**63, 2 * count, dtype=np.int64)).astype(">i8")
        keys = alone.tobytes()
        rows = ((keys[8 * n : 8 * n + 8], 1 + n // 2, b"") for n in range(2 * count))
        connection.executemany("INSERT OR IGNORE INTO audit_posting VALUES (?, ?, ?)", rows)
        print("  resources and request ids are in", file=sys.stderr)
        connection.execute("CREATE TEMP TABLE body (sequence INTEGER PRIMARY KEY, sealed BLOB, leaf BLOB)")
        connection.executemany("INSERT INTO body VALUES (?, ?, ?)", _bodies(store, count))
        connection.execute(
            "INSERT INTO audit_event"
            " WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)"
            " SELECT n, coalesce(sealed, x''), coalesce(leaf, x'') FROM number LEFT JOIN body ON sequence = n",
            (count,),
        )
        hours = ((n, (NOON + timedelta(seconds=20 * n)).isoformat()[:13]) for n in range(1, count + 1, 180))
        connection.executemany("INSERT INTO audit_hour VALUES (?, ?)", hours)
        print("  events are in", file=sys.stderr)


def _shared(store: Store, count: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Give the rows of what the events of one group share: agents, purpose, type and so on; and of outcomes."""
    lists: dict[bytes, list[tuple[bytes, int, bytes]]] = {}
    for first in range(1, count + 1, GROUP):
        group = range(first, min(first + GROUP, count + 1))
        failed = [number for number in group if number % 1000 == 0]
        packed = {bool(failed): pack([n for n in group if n % 1000]), False: pack(group)}
        shared = _shared_keys(store, first // GROUP % 40, first // GROUP % 50 == 0)
        for key in shared:
            lists.setdefault(key, []).extend((key, *row) for row in packed[False])
        fine, refused = store._trait_key(("outcome", "0")), store._trait_key(("outcome", "8"))
        lists.setdefault(fine, []).extend((fine, *row) for row in packed[bool(failed)])
        lists.setdefault(refused, []).extend((refused, *row) for row in pack(failed))
    return (row for key in sorted(lists) for row in lists[key])


@lru_cache
def _shared_keys(store: Store, clerk: int, research: bool) -> list[bytes]:
    told = replace(access(1), actor=f"os-user:clerk{clerk}", purpose="HRESCH" if research else "TREAT")
    alone = ("patient", "entity", "request", "outcome")
    return [store._trait_key(trait) for trait in traits(fetch_event(told)) if trait[0] not in alone]


def _patients(store: Store, count: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Give the rows of patients: no two events of one group are of the same."""
    keys = sorted((store._trait_key(("patient", f"{p:032x}")), p) for p in range(patients))
    step = pow(7_919, -1, patients)
    for key, patient in keys:
        first = patient * step % patients or patients
        yield from ((key, number, b"") for number in range(first, count + 1, patients))


def _bodies(store: Store, count: int) -> Iterator[tuple[int, bytes, bytes]]:
    for searched in SEARCHED:
        for number in range(searched, count + 1, patients):
            body = canonical(fetch_event(access(number)))
            sealed = store._audit_key.seal(body, AuditRow(number, b"", b"").place)
            yield number, sealed, leaf_hash(sealed)


def searches(store: Store, count: int) -> Iterator[tuple[str, Sequence[Criterion], Span]]:
    """Name the searches: by patient alone, and with more."""
    newest = NOON + timedelta(seconds=20 * count)
    for number in SEARCHED:
        patient = Criterion("patient", (patient_of(number),))
        yield "by_patient", [patient], Span()
        yield "by_patient_and_year", [patient], Span(newest - timedelta(days=365), None)
        yield (
            "by_patient_actor_purpose",
            [patient, Criterion("purpose", ("TREAT",)), Criterion("outcome", ("0",))],
            Span(),
        )


@dataclass
class Search:
    """One kind of search: of each patient the milliseconds of the clock and of the processor, and what was found."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    found: int = 0
    opened: int = 0


def timed(store: Store, count: int) -> dict[str, Search]:
    """Search several rounds; of each patient the quickest counts, because others work on this machine, too."""
    kinds: dict[str, Search] = {}
    for name, criteria, span in searches(store, count):
        kind = kinds.setdefault(name, Search())
        clock, cpu = [], []
        for _ in range(ROUNDS):
            store._reader.dispose()  # a new connection: nothing is in SQLite's cache
            began, began_cpu = time.perf_counter(), time.process_time()
            page = store.search_audit(criteria, span, limit=100)
            cpu.append(1e3 * (time.process_time() - began_cpu))
            clock.append(1e3 * (time.perf_counter() - began))
        kind.clock.append(min(clock))
        kind.cpu.append(min(cpu))
        kind.found += len(page.entries)
        kind.opened += page.looked_at
    return kinds


def plan(file: Path) -> list[str]:
    """Ask SQLite how it reads the index, and how it reads events."""
    asked = (
        "SELECT last, runs FROM audit_posting WHERE key = x'00' AND last <= 9 ORDER BY last DESC LIMIT 16",
        "SELECT last, runs FROM audit_posting WHERE key = x'00' AND last > 9 ORDER BY last LIMIT 1",
        "SELECT sequence, sealed, leaf FROM audit_event WHERE sequence IN (1, 2, 3)",
    )
    with closing(sqlite3.connect(file)) as connection:
        return [row[3] for sql in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]


def row(ours: float, unit: str, goal: float | None = None) -> Found:
    """Make one row of the table; less is better."""
    return {"ours": round(ours, 2), "unit": unit, "goal": goal, "met": None if goal is None else ours <= goal}


def measure(folder: Path, quick: bool) -> Found:
    """Run all of it."""
    ring = SecretKeyRing.new()
    found: Found = {}
    with Store.create_or_open(folder / "recorded.db", ring, NOON, keys=folder / "keys-1.db") as store:
        whole, built = recording(store, 5_000)
        found["record_an_event"] = row(whole, "CPU µs an event: built, recorded and indexed, grouped", GOAL_RECORD_US)
        found["build_an_event"] = row(built, "CPU µs of it to build the AuditEvent")
        found["search_of_100_resources"] = row(search_of_a_hundred(store), "events recorded", 1)
    global patients  # noqa: PLW0603 - what all events are made from
    count = QUICK if quick else LARGE
    patients = count // 100
    file = folder / "large.db"
    with Store.create_or_open(file, ring, NOON, keys=folder / "keys-2.db") as store:
        began = time.perf_counter()
        if quick:
            for at in range(1, count + 1, 1000):
                store.append_audit([fetch_event(access(n)) for n in range(at, at + 1000)])
        else:
            fill(store, file, count)
            store._log_now = lambda session: _Opener(store, count)  # type: ignore[method-assign]  # nothing is signed
        found["made"] = row(time.perf_counter() - began, f"seconds for {count:,} events")
        for name, kind in timed(store, count).items():
            unit = f"ms by the clock, the slowest of {len(kind.clock)} patients (CPU: {max(kind.cpu):.1f} ms)"
            unit += f"; {kind.found} events found, {kind.opened} opened, of {count:,}"
            found[name] = row(max(kind.clock), unit, GOAL_SEARCH_MS)
        if quick:
            began_cpu = time.process_time()
            if not store.check_index().ok:
                raise SystemExit("the index is not what the events say")
            found["check_index"] = row(1e6 * (time.process_time() - began_cpu) / count, "CPU µs an event")
    found["index_size"] = row(_size(file) / count, "bytes of index an event")
    found["plan"] = {"lines": plan(file)}
    return found


class _Opener:
    """Opens events of the large log, which nobody signed."""

    def __init__(self, store: Store, size: int) -> None:
        self._store, self.size = store, size

    def read(self, stored: AuditRow) -> Any:
        """Open one event."""
        return json.loads(self._store._audit_key.open(stored.sealed, stored.place))


def _size(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        try:
            found = connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'audit_posting'").fetchone()
        except sqlite3.OperationalError:  # this SQLite was built without dbstat
            return 0
    return int(found[0] or 0)


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 events, all recorded through the real door")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    return 0 if all(one.get("met") is not False for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What secrecy and the audit log cost, beside the bare library and beside pymerkle, in one run.

    python benchmarks/security.py [--quick] [--format json] [--only sealing,audit,merkle,verify,rotation,search]

Numbers are CPU time of one process. `sealing`: what sealing adds to an ingest (packing, encryption and keys; the time
in these is taken from the time of the whole), and one block beside the bare AES-GCM of the library. `audit`: events
that are recorded together, from the access to the commit, and how many a search leaves. `merkle`: a root over leaves,
beside pymerkle, which keeps the tree in memory. `verify`, `rotation` and `search` are those of `audit_verify.py`,
`keys_rotation.py` and `audit_search.py`, with their goals.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import audit_search  # noqa: E402
import audit_verify  # noqa: E402
import keys_rotation  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from pymerkle import InmemoryTree  # noqa: E402

from conformance.cohort import VERSIONS, build, to_json  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.ingest import ingest  # noqa: E402
from gateway.pull.folder import Folder  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from security.audit import Frontier, answer_events, leaf_hash, read_event  # noqa: E402
from security.keys import new_secret  # noqa: E402
from security.vault import Place, SealingKey, Vault  # noqa: E402

Found = dict[str, Any]
TODAY = date(2026, 11, 29)
SHARE, AUDIT_US, VERIFY_S, PROOF_MS, SEARCH_MS = 25.0, 60.0, 60.0, 10.0, 100.0  # goals of issue 8
PEOPLE = HERE.parents[1] / "shared" / "data" / "patients" / "r4"
BLOCK = 64 * 1024


def row(mine: float, theirs: float | None, unit: str, goal: float | None, *, more: bool = False) -> Found:
    """Make one row of the table; less is better, or `more`."""
    met = None if goal is None else mine >= goal if more else mine <= goal
    ratio = round(mine / theirs, 3) if theirs else None
    found = {"ours": round(mine, 4), "peer": None if theirs is None else round(theirs, 4), "ratio": ratio}
    return found | {"unit": unit, "goal": goal, "met": met}


def spent(work: Callable[[], object]) -> float:
    """Return the CPU seconds that something takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


class Timed:
    """Adds up the time that some methods take, in whichever thread, while it is entered."""

    def __init__(self, *methods: tuple[type, str]) -> None:
        self._methods = [(owner, name, getattr(owner, name)) for owner, name in methods]
        self.seconds = 0.0
        self.calls = 0

    def __enter__(self) -> Timed:
        for owner, name, method in self._methods:
            setattr(owner, name, self._timed(method))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, method in self._methods:
            setattr(owner, name, method)

    def _timed(self, method: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object, **more: object) -> object:
            begun = time.thread_time()
            try:
                return method(*arguments, **more)
            finally:
                self.seconds += time.thread_time() - begun
                self.calls += 1

        return timed


def sealing(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Take in a folder of FHIR, and see what of it was sealing; then seal one block beside the bare library."""
    source = PEOPLE if PEOPLE.is_dir() and not quick else _cohort(folder / "in")
    with Home.open(load_settings(folder / "home")) as home, Timed((SealingKey, "seal"), (Vault, "draw")) as timed:
        begun = time.process_time()
        report = asyncio.run(ingest(home, Folder("files", source, "r4"), lambda text: None))
        whole = time.process_time() - begun
    resources = report.ledger.resources
    share = 100 * timed.seconds / (whole - timed.seconds)
    each = f"{timed.calls} values, {1e6 * timed.seconds / resources:.0f} µs a resource"
    key, cipher = SealingKey(new_secret(), "twin:benchmark"), AESGCM(new_secret())
    place, block, nonce = Place("block", "1", "sealed"), os.urandom(BLOCK), os.urandom(12)
    text = (PEOPLE if PEOPLE.is_dir() else source).glob("*.json").__next__().read_bytes()[:BLOCK].ljust(BLOCK)
    rounds = 500 if quick else 5000
    bare = spent(lambda: [cipher.encrypt(nonce, block, b"") for _ in range(rounds)]) / rounds
    unit = "CPU µs to seal 64 KiB"
    return {
        "sealing_of_ingest": row(share, None, f"% added to an ingest of {resources} resources ({each})", SHARE),
        "seal_random": row(
            1e6 * spent(lambda: [key.seal(block, place) for _ in range(rounds)]) / rounds,
            1e6 * bare,
            f"{unit} that do not pack; beside AES-GCM alone",
            None,
        ),
        "seal_text": row(
            1e6 * spent(lambda: [key.seal(text, place) for _ in range(rounds)]) / rounds,
            1e6 * bare,
            f"{unit} of FHIR, packed; beside AES-GCM alone",
            None,
        ),
    }


def _cohort(folder: Path) -> Path:
    folder.mkdir()
    [name] = [name for name, version in VERSIONS.items() if version == "r4"]
    for number, bundle in enumerate(build(20261129, TODAY).bundles(name)):
        (folder / f"{number}.json").write_bytes(to_json(bundle))
    return folder


def audit(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Record events together and one by one, and count what a search of 100 resources leaves."""
    count, group = (3_000 if quick else 100_000), 1_000
    with Home.open(load_settings(folder / "home")) as home:
        twin = home.store.new_twin(datetime.now(UTC))

        def grouped() -> None:
            for _ in range(count // group):
                home.store.append_audit([read_event(home.access(patient=twin)) for _ in range(group)])

        def single() -> None:
            for _ in range(group):
                home.store.append_audit([read_event(home.access(patient=twin))])

        together, apart = spent(grouped) / count, spent(single) / group
        begun = time.process_time()
        resources = {twin: [f"Observation/{n}" for n in range(100)]}
        searched = answer_events(home.access(patient=twin, query=b"GET /Observation?patient=1"), resources)
        home.store.append_audit(searched)
        search = time.process_time() - begun
        assert all(f"Observation/{n}" in json.dumps(searched) for n in range(100))  # noqa: S101 - else it counts for nothing
        assert home.store.verify_audit().ok  # noqa: S101 - else it counts for nothing
    return {
        "audit_grouped": row(
            1e6 * together, None, f"CPU µs an event, {group} in a transaction, from access to commit", AUDIT_US
        ),
        "audit_single": row(
            1e6 * apart, None, "CPU µs an event, each in a transaction of its own, with its fsync", None
        ),
        "audit_search_events": row(
            len(searched), None, "events for a search of 100 resources, with all of them listed", 1
        ),
        "audit_search": row(1e6 * search, None, "CPU µs for that event", None),
    }


def merkle(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Build the root over leaves, beside pymerkle."""
    count = 20_000 if quick else 1_000_000
    entries = [b"event %d" % n for n in range(count)]
    tree = InmemoryTree(algorithm="sha256")
    found: list[bytes] = []

    def ours() -> None:
        frontier, _ = Frontier().extend(leaf_hash(entry) for entry in entries)
        found.append(frontier.root)

    def theirs() -> None:
        for entry in entries:
            tree.append_entry(entry)
        found.append(tree.get_root())

    mine, peer = spent(ours), spent(theirs)
    assert found[0] == found[1]  # noqa: S101 - else it counts for nothing
    unit = f"CPU µs an entry, the root over {count}; beside pymerkle, same root"
    return {"merkle_root": row(1e6 * mine / count, 1e6 * peer / count, unit, None)}


def verify(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Verify a large log (`audit_verify.py`)."""
    events = 30_000 if quick else 1_000_000
    told = audit_verify.measure(folder, events)
    scaled = 1_000_000 / events
    return {
        "verify_store": row(
            told["verify_s"] * scaled, None, f"CPU s for 1,000,000 events ({events} measured)", VERIFY_S
        ),
        "verify_bundle": row(told["verify_bundle_s"] * scaled, None, "the same, from an exported bundle", VERIFY_S),
        "consistency_proof": row(
            told["consistency_ms"], None, f"CPU ms between two checkpoints of {events} events", PROOF_MS
        ),
        "inclusion_proof": row(told["inclusion_ms"], None, "CPU ms", None),
    }


def rotation(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Wrap all keys anew while another process serves (`keys_rotation.py`)."""
    told = keys_rotation.measure(1_000 if quick else 100_000)
    keys = f"{told['rewrapped']} keys wrapped anew"
    return {
        "rotation_failed": row(
            told["failed_meanwhile"], None, f"requests failed of {told['served_meanwhile']}, {keys}", 0
        ),
        "rotation_a_key": row(told["microseconds_a_key"], None, f"CPU µs a key, {keys}", None),
    }


def search(folder: Path, *, quick: bool) -> dict[str, Found]:
    """Search a large log by patient, actor, time, purpose and outcome (`audit_search.py`, which shows the plan)."""
    rows = audit_search.measure(folder, quick)
    return {f"audit_{name}": {"peer": None, "ratio": None} | each for name, each in rows.items() if "ours" in each}


PARTS: dict[str, Callable[..., dict[str, Found]]] = {
    "sealing": sealing,
    "audit": audit,
    "merkle": merkle,
    "verify": verify,
    "rotation": rotation,
    "search": search,
}


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", default=",".join(PARTS))
    said = parser.parse_args()
    found: dict[str, Found] = {}
    for name in said.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found |= PARTS[name](Path(folder), quick=said.quick)
    if said.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for name, each in found.items():
            beside = f", peer {each['peer']}, ratio {each['ratio']}" if each["peer"] is not None else ""
            goal = f"; goal {each['goal']}, {'met' if each['met'] else 'missed'}" if each["goal"] is not None else ""
            print(f"{name}: {each['ours']} {each['unit']}{beside}{goal}")
    return int(any(each["met"] is False for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())

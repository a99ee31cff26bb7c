"""What the tests of rotation start as processes of their own: one that is killed again and again, one that serves."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.home import Home
from gateway.key_rotation import rotate
from gateway.pull.page import Entry, Page
from gateway.settings import Settings
from gateway.store import StoredResource
from gateway.store.key_table import KeyTable
from security.errors import Fault
from security.keys import SecretKeyRing
from security.vault import Vault

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def home_of(folder: Path) -> Home:
    """Open the home, or make it."""
    return Home.open(Settings(home=folder))


def fill(home: Home, owners: int) -> None:
    """Give the key store keys of many twins; the twins themselves are not needed for it."""
    ring = home.ring.open(fresh=False)
    vault = Vault(ring)
    home.store.keys.put_many({name: vault.new_key(name) for name in (f"twin:{n:08}" for n in range(owners))}, NOON)


def look(folder: Path, log_id: str) -> tuple[int, int]:
    """Open every key with what stands on disk; returns how many there are, and how many an old KEK wraps."""
    vault, count, after = Vault(SecretKeyRing.from_text((folder / "twin.key").read_text())), 0, ""
    with KeyTable.open(folder / "keys.db", log_id) as table:
        while rows := table.walk(after):
            for owner, wrapped in rows:
                vault.open_key(owner, wrapped)
            after, count = rows[-1][0], count + len(rows)
        return count, sum(kek.owners for kek in table.keks() if kek.id != table.current)


def kill(folder: Path, times: int, owners: int, seed: int) -> dict[str, object]:
    """Rotate in a child that is killed at a random instant, many times; after each look whether every key opens."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    with home_of(folder) as home:
        fill(home, owners)
        log_id = home.store.log_id
    _, whole = _child(folder, retire=True, seconds=None)
    killed, counts, left = 0, set(), set()
    for turn in range(times):
        killed += _child(folder, retire=turn % 3 == 0, seconds=chance.random() * whole)[0]
        found, by_old = look(folder, log_id)
        counts.add(found)
        left.add(by_old)
    _child(folder, retire=True, seconds=None)
    with home_of(folder) as home:
        keks = [(kek.id, kek.owners) for kek in home.store.keys.keks() if kek.owners]
        ring = SecretKeyRing.from_text((folder / "twin.key").read_text())
        verdict = home.store.verify_audit().ok
    return {
        "killed": killed,
        "counts": sorted(counts),
        "halfway": len(left - {0}),
        "keks": keks,
        "ring": list(ring.ids),
        "audit": verdict,
    }


def _child(folder: Path, *, retire: bool, seconds: float | None) -> tuple[bool, float]:
    """Rotate in a process that is killed so long after it began; says whether it was, and how long it took."""
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with home_of(folder) as home:
                os.write(say, b".")
                rotate(home, retire=retire)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)  # noqa: T201
            os._exit(1)
    os.close(say)
    os.read(hear, 1)
    os.close(hear)
    began = time.monotonic()
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the rotation failed")
    return os.WIFSIGNALED(status), time.monotonic() - began


def serve(folder: Path) -> dict[str, object]:
    """Take in pages about new and known twins, and read them back, until the file `stop` is there; count failures."""
    done = failed = 0
    said: list[str] = []
    with home_of(folder) as home:
        store, twins = home.store, [home.store.new_twin(NOON) for _ in range(3)]
        pull = store.begin_pull("north", NOON)
        print("ready", flush=True)  # noqa: T201
        number = 0
        while not (folder / "stop").exists():
            number += 1
            try:
                twins.append(store.new_twin(NOON))
                twin = twins[number % len(twins)]
                store.land(pull, Page(number, "", (Entry(b"page %d" % number),), str(number)))
                one = StoredResource("north", f"Observation/{number}", "r4", b"value %d" % number, ())
                store.append(pull, number, {twin: [one], twins[-1]: [one]}, [one], {}, now=NOON)
                if one not in store.twin_record(twin).resources:
                    raise ValueError("it is not there")
                store.append_audit([{"resourceType": "AuditEvent", "id": str(number)}])
                done += 1
            except (Fault, ValueError, KeyError) as error:
                failed += 1
                said.append(repr(error))
    return {"done": done, "failed": failed, "said": said[:3], "twins": len(twins)}


if __name__ == "__main__":
    what, folder, *numbers = sys.argv[1:]
    result = serve(Path(folder)) if what == "serve" else kill(Path(folder), *map(int, numbers))
    print(json.dumps(result), flush=True)  # noqa: T201

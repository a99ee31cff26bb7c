"""The store on PostgreSQL beside the store in a file, in one run, with a server of its own on this machine.

    python benchmarks/postgresql.py [--format json] [FOLDER]

`ingest`: one export, read, understood, sealed and stored; CPU seconds of our process and of the server. FOLDER holds
FHIR bundles (else a cohort is made). `write`, `read`: one twin made with its audit event; one twin's list. `writers`:
as many processes at once as the machine has cores, each making twins: how many a second all of them, and the longest
that one waited. Both stores flush each commit to the same disk (--memory keeps the server's files in memory).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from conformance.cohort import VERSIONS, build, to_json  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.ingest import ingest  # noqa: E402
from gateway.pull.folder import Folder  # noqa: E402
from gateway.settings import read_settings  # noqa: E402
from gateway.store import Store  # noqa: E402
from gateway.store_place import Where  # noqa: E402
from security.keys import SecretKeyRing  # noqa: E402
from tests.postgres.fixture import PostgreSQL  # noqa: E402
from tests.postgres.told import open_told, told  # noqa: E402

NOW = datetime(2026, 11, 29, tzinfo=UTC)
EVENT = {"resourceType": "AuditEvent", "by": "benchmark"}
WRITES, TWINS = 300, 60


def main() -> None:
    """Run both, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twin-bench-", dir="/var/tmp") as place:
        folder = asked.folder or cohort(Path(place) / "in")
        version = "r4" if asked.folder else VERSIONS["summit"]
        [programs] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        own = Path(tempfile.mkdtemp(prefix="twin-pg-", dir="/dev/shm" if asked.memory else "/var/tmp"))  # noqa: S108 - to say which disk
        server = PostgreSQL(programs, own)
        server.make()
        server.start()
        try:
            found = {
                kind: measure(Path(place) / kind, server, folder, version, on_server=kind == "PostgreSQL")
                for kind in ("SQLite", "PostgreSQL")
            }
        finally:
            server.stop()
            subprocess.run(["rm", "-rf", str(own)], check=True)  # noqa: S603, S607 - our own
    if asked.format == "json":
        print(json.dumps(found, indent=2))
        return
    for name in found["SQLite"]:
        print(f"{name:28}" + "".join(f"{kind:>12} {values[name]:>9.4g}" for kind, values in found.items()))


def cohort(folder: Path) -> Path:
    """Write an export of a made-up cohort."""
    folder.mkdir()
    for number, bundle in enumerate(build(400).bundles("summit")):
        (folder / f"{number:04}.json").write_bytes(to_json(bundle))
    return folder


def measure(home: Path, server: PostgreSQL, folder: Path, version: str, *, on_server: bool) -> dict[str, float]:
    """Measure one of the two."""
    home.mkdir(mode=0o700)
    text = f'[sources.north]\nfolder = "{folder}"\n'
    if on_server:
        made = server.store()
        text += f'[store]\nurl = "postgresql://{made.user}@127.0.0.1:{made.port}/{made.database}"\n'
        text += f'password_file = "{made.password_file}"\ndb_schema = "{made.schema}"\ntls = false\n'
    settings = read_settings(text, home)
    found: dict[str, float] = {}
    with Home.open(settings) as opened:
        before = server.cpu_seconds
        cpu, clock = spent(
            lambda: asyncio.run(ingest(opened, Folder("north", folder, version), lambda text: None))  # type: ignore[arg-type]
        )
        found |= {"ingest, CPU s": cpu, "ingest, s": clock, "ingest, server CPU s": server.cpu_seconds - before}
    ring, keys = SecretKeyRing.new(), home / "other.keys.db"
    where: Where = server.store() if on_server else home / "other.db"
    with Store.create_or_open(where, ring, NOW, keys=keys) as store:
        cpu, clock = spent(lambda: [store.new_twin(NOW, [EVENT]) for _ in range(WRITES)])
        found |= {"write, CPU µs": cpu / WRITES * 1e6, "write, µs": clock / WRITES * 1e6}
        cpu, clock = spent(lambda: [store.twins() for _ in range(WRITES)])
        found |= {"list of 300, CPU µs": cpu / WRITES * 1e6, "list of 300, µs": clock / WRITES * 1e6}
    return found | writers(where, keys, ring)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU seconds of this process, and the seconds by the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def writers(where: Where, keys: Path, ring: SecretKeyRing) -> dict[str, float]:
    """Let processes write at once."""
    count = os.cpu_count() or 2
    command = [sys.executable, __file__, "--writer", told(where), str(keys)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        for _ in range(count)
    ]
    for process in processes:
        process.stdin.write(ring.to_text().replace("\n", "|") + "\n")
        process.stdin.flush()
    for process in processes:
        process.stdout.readline()
    begun = time.perf_counter()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers: list[dict[str, Any]] = [json.loads(process.communicate()[0]) for process in processes]
    took = time.perf_counter() - begun
    return {
        f"{count} writers, twins/s": count * TWINS / took,
        f"{count} writers, longest wait ms": max(answer["longest"] for answer in answers) * 1e3,
    }


def writer(argument: str, keys: str) -> None:
    """Be one of them."""
    ring = SecretKeyRing.from_text(sys.stdin.readline().replace("|", "\n"))
    with open_told(argument, keys, ring, NOW) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        longest = 0.0
        for _ in range(TWINS):
            begun = time.perf_counter()
            store.new_twin(NOW, [EVENT])
            longest = max(longest, time.perf_counter() - begun)
    print(json.dumps({"longest": longest}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--writer"]:
        writer(*sys.argv[2:])
    else:
        main()

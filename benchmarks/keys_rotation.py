"""How long it takes to wrap the keys of 100,000 twins anew, while another process reads and writes.

    python benchmarks/keys_rotation.py [--quick] [--format json]

A real home on disk; the other process takes in pages about new and known twins and reads them back, over and over, and
counts what failed. Told are CPU seconds of the rotation and what others did meanwhile; the goal is that nothing fails.
`--quick` has 5,000 twins. There is no peer: key servers that wrap each key themselves need a call over the network for
each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from gateway.key_rotation import rotate  # noqa: E402
from tests.gateway.rotating import fill, home_of  # noqa: E402


def measure(owners: int) -> dict[str, Any]:
    """Rotate beside a process that serves, then retire the old key."""
    with tempfile.TemporaryDirectory() as folder:
        home_folder = Path(folder) / "home"
        with home_of(home_folder) as home:
            fill(home, owners)
        command = [sys.executable, "-m", "tests.gateway.rotating", "serve", str(home_folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:  # noqa: S603 - ours
            said = server.stdout or sys.stdin
            said.readline()
            with home_of(home_folder) as home:
                cpu, clock = time.process_time(), time.monotonic()
                done = rotate(home)
                between_cpu, between_clock = time.process_time(), time.monotonic()
                retired = rotate(home, retire=True)
                end_cpu = time.process_time()
            (home_folder / "stop").touch()
            served = json.loads(said.read().splitlines()[-1])
        return {
            "owners": owners,
            "rewrapped": done.rewrapped,
            "retired": len(retired.retired),
            "cpu_seconds": round(between_cpu - cpu, 2),
            "seconds": round(between_clock - clock, 2),
            "microseconds_a_key": round((between_cpu - cpu) / done.rewrapped * 1e6, 1),
            "retire_cpu_seconds": round(end_cpu - between_cpu, 2),
            "served_meanwhile": served["done"],
            "failed_meanwhile": served["failed"],
        }


def main() -> int:
    """Print what was measured; 1 where something failed meanwhile, or a key was left."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    said = parser.parse_args()
    told = measure(5_000 if said.quick else 100_000)
    if said.format == "json":
        print(json.dumps(told, indent=2))
    else:
        print(
            f"{told['rewrapped']:,} keys wrapped anew in {told['cpu_seconds']} CPU s ({told['microseconds_a_key']} µs a"
            f" key; {told['seconds']} s by the clock), {told['retired']} old key retired after a check of all keys in"
            f" {told['retire_cpu_seconds']} CPU s. Meanwhile {told['served_meanwhile']} pages served,"
            f" {told['failed_meanwhile']} requests failed."
        )
    return 0 if told["failed_meanwhile"] == 0 and told["rewrapped"] >= told["owners"] else 1


if __name__ == "__main__":
    sys.exit(main())

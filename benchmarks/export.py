"""What `$export` costs, and that its memory is flat: a store of many twins, exported for a backend client, in one run.

    python benchmarks/export.py [--quick] [--resources N] [--format json]

Homes of so many resources are made of the R4 patients beside the project (`patients_ndjson.py`: other people, other
numbers), one of a quarter and one of the full size. Each piece of work is a process of its own. *export* does all that
the server does: scopes, consents, R4 as it is shown, sealing, progress, audit, fsync; told are lines a second and the
peak of resident memory. *fetch* then hands all files out: opens each piece, and checks what may be seen. *dump* is the
peer and the floor: it opens the same twins and writes the bytes that came into a file in the clear, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from patients_ndjson import PATIENTS

HERE = Path(__file__).parent
FULL, QUICK = 1_000_000, 20_000
GROWS = 1.2  # goal: peak memory at the full size beside that at a quarter


def run(what: str, home: Path, count: int = 0) -> dict[str, Any]:
    """Do one piece of work in a process of its own."""
    command = [sys.executable, str(HERE / "export_child.py"), what, str(home), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)  # noqa: S603 - our own
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def row(mine: float, theirs: float | None, unit: str, goal: float | None, *, met: bool | None) -> dict[str, Any]:
    """Make one row of the table."""
    made = {"ours": round(mine, 2), "peer": None if theirs is None else round(theirs, 2)}
    ratio = round(mine / theirs, 3) if theirs else None
    return made | {"ratio": ratio, "unit": unit, "goal": goal, "met": met}


def measure(full: int) -> dict[str, Any]:
    """Make both homes, and do all of it with each."""
    with tempfile.TemporaryDirectory() as place:
        found = {}
        for name, count in (("quarter", full // 4), ("full", full)):
            home = Path(place) / name
            came = run("make", home, count)["resources"]
            found[name] = {what: run(what, home) for what in ("export", "fetch", "dump")}
            counted = run("count", home) if name == "quarter" else found[name]["export"]
            lines = [counted["lines"], *(found[name][what]["lines"] for what in ("export", "fetch"))]
            if len(set(lines)) > 1:
                raise RuntimeError(f"{lines[0]} resources may be seen, {lines[1]} were exported, {lines[2]} fetched")
            found[name]["export"]["came"] = came
    few, many = found["quarter"], found["full"]
    grown = many["export"]["peak_mb"] / few["export"]["peak_mb"]
    speed = {what: told["lines"] / told["seconds"] for what, told in many.items()}
    unit = "MB at the peak; beside that of a quarter"
    return {
        "memory": row(many["export"]["peak_mb"], few["export"]["peak_mb"], unit, GROWS, met=grown <= GROWS),
        "fetch memory": row(many["fetch"]["peak_mb"], few["fetch"]["peak_mb"], unit, None, met=None),
        "export": row(speed["export"], speed["dump"], "lines a second; beside a bare dump", None, met=None),
        "fetch": row(speed["fetch"], speed["dump"], "lines a second; beside a bare dump", None, met=None),
        "size": {name: {key: round(value, 1) for key, value in told["export"].items()} for name, told in found.items()},
    }


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} resources instead of {FULL}")
    parser.add_argument("--resources", type=int, default=0, help="so many instead")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    if not PATIENTS.is_dir():
        print(f"skipped: there are no patients in {PATIENTS}")
        return 0
    found = measure(told.resources or (QUICK if told.quick else FULL))
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

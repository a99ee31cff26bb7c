"""How fast NDJSON becomes sealed, audited facts with the raw beside, how much memory that takes, and what peers do.

    python benchmarks/normalise.py [--quick] [--format json] [--only ours,two,memory,peers,columns]

The data are the R4 patients beside the project, copied into as many people as are needed (`patients_ndjson.py`). Each
piece of work is a process of its own; counted are CPU seconds, the start left out. *whole* is all that `twin pull
--folder` does: reading the file, landing its lines sealed, who is who, mapping, sealing, audit, fsync. *mapping* is
the part of it from landed bytes to sealed facts. *bare* decodes the same bytes with msgspec into structs of the few
fields that a fact needs, and drops them; *floor* does that and what the libraries in C do on our way (zstd, AES-GCM,
SHA-256, SQLite) without any thought. What cannot be installed is skipped, and said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from patients_ndjson import PATIENTS, write_patients, write_small_patients

HERE = Path(__file__).parent
GOALS = {"all": 100_000, "observations": 150_000, "small": 60_000}
FORTY, TWO, A_FIFTH = 40.0, 1.7, 1.2
PEERS = {"duckdb": "duckdb==1.4.1", "polars": "polars==1.34.0", "spark": "pyspark==3.5.7"}
PARTS = ("ours", "two", "memory", "peers", "columns")


def run(what: str, file: Path, python: str = sys.executable) -> dict[str, Any]:
    """Do one piece of work in a process of its own, to its end."""
    with start(what, file, python) as process:
        return ended(process)


@contextmanager
def start(what: str, file: Path, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
    """Begin a piece of work."""
    command = [python, str(HERE / "normalise_child.py"), what, str(file)]
    with subprocess.Popen(  # noqa: S603 - our own
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE.parent,
    ) as process:
        yield process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a piece of work; returns what it told."""
    out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors[-1000:])
    told: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return told


def speed(told: dict[str, Any], seconds: str = "cpu_s") -> float:
    """Resources per CPU second."""
    return float(told["resources"] / told[seconds])


def row(ours: float, peer: float | None, unit: str, goal: float | None, *, met: bool | None) -> dict[str, Any]:
    """Make one row of the table."""
    made = {"ours": round(ours, 2), "peer": None if peer is None else round(peer, 2)}
    ratio = None if not peer else round(ours / peer, 3)
    return made | {"ratio": ratio, "unit": unit, "goal": goal, "met": met}


def of_ours(files: dict[str, Path]) -> dict[str, Any]:
    """Show ours beside a bare decode of the same bytes."""
    found: dict[str, Any] = {}
    for name, goal in GOALS.items():
        told, bare = run("ours", files[name]), speed(run("msgspec", files[name]))
        floor = run("floor", files[name])
        for part, seconds in (("whole", "cpu_s"), ("mapping", "mapping_cpu_s")):
            mine = speed(told, seconds)
            unit = f"resources per CPU second, {part}, of {told['resources']}; beside a bare decode"
            found[f"{name}_{part}"] = row(mine, bare, unit, goal, met=mine >= goal)
            least = speed(floor, seconds)
            found[f"{name}_{part}_floor"] = row(mine, least, "the same; beside the floor of it", None, met=None)
    return found


def of_two(files: dict[str, Path]) -> dict[str, Any]:
    """Take two halves of the people in at the same time, into a store each, beside one of them alone."""
    began = time.perf_counter()
    one = run("ours", files["half"])
    alone = one["resources"] / (time.perf_counter() - began)
    began = time.perf_counter()
    with start("ours", files["half"]) as first, start("ours", files["other_half"]) as second:
        came = ended(first)["resources"] + ended(second)["resources"]
    both = came / (time.perf_counter() - began)
    unit = "resources per second by the clock, start included: two processes with a store each, beside one"
    return {"two_processes": row(both, alone, unit, TWO, met=both >= TWO * alone)}


def of_memory(files: dict[str, Path]) -> dict[str, Any]:
    """Compare the largest memory of much with that of little."""
    few, many = run("ours", files["half"]), run("ours", files["all"])
    unit = f"MB at most, {many['resources']} resources beside {few['resources']}"
    met = many["peak_mb"] <= A_FIFTH * few["peak_mb"]
    return {"memory": row(many["peak_mb"], few["peak_mb"], unit, A_FIFTH, met=met)}


def of_peers(files: dict[str, Path]) -> dict[str, Any]:
    """Compare with models of fhir.resources and rows of SQLModel, which seal nothing."""
    ours, peer = run("ours", files["all"]), speed(run("models", files["all"]))
    found = {}
    for part, seconds in (("whole", "cpu_s"), ("mapping", "mapping_cpu_s")):
        mine = speed(ours, seconds)
        unit = f"resources per CPU second, {part}; beside fhir.resources models and SQLModel rows"
        found[f"to_models_{part}"] = row(mine, peer, unit, FORTY, met=mine >= FORTY * peer)
    return found


def of_columns(files: dict[str, Path], *, with_spark: bool) -> dict[str, Any]:
    """Show what engines take that read the same file into columns, and do nothing else. No goal: they do less."""
    mine = speed(run("ours", files["observations"]), "mapping_cpu_s")
    found: dict[str, Any] = {}
    for name, package in PEERS.items():
        if name == "spark" and not with_spark:
            found[name] = {"skipped": "--quick"}
            continue
        python = _environment(name, package)
        if python is None:
            found[name] = {"skipped": f"{package} cannot be installed here"}
            continue
        try:
            peer = speed(run(name, files["observations"], python))
        except RuntimeError as error:
            found[name] = {"skipped": f"{package} does not run here: {str(error).strip().splitlines()[-1][:200]}"}
            continue
        unit = "resources per CPU second, mapping; beside reading the file into columns, one thread"
        found[name] = row(mine, peer, unit, None, met=None)
    return found


def _environment(name: str, package: str) -> str | None:
    """Make an environment for a peer, once; returns its Python."""
    place = HERE.parent / ".cache" / f"normalise-{name}"
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        venv.create(place, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", package]
        if subprocess.run(pip, check=False, capture_output=True).returncode:  # noqa: S603 - what was made above
            return None
        (place / "installed").touch()
    return str(python)


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", default=",".join(PARTS), help="what to measure")
    told = parser.parse_args()
    wanted = told.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if not PATIENTS.is_dir():
        print(f"skipped: there are no patients in {PATIENTS}")
        return 0
    count, people = (40_000, 1_000) if told.quick else (400_000, 5_000)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        names = ("all", "observations", "small", "half", "other_half")
        files = {name: Path(place) / f"{name}.ndjson" for name in names}
        write_patients(files["all"], count)
        write_patients(files["observations"], count, frozenset({"Observation"}))
        write_small_patients(files["small"], people)
        write_patients(files["half"], count // 2)
        write_patients(files["other_half"], count // 2, first=1_000)
        for part in wanted:
            match part:
                case "ours":
                    found |= of_ours(files)
                case "two":
                    found |= of_two(files)
                case "memory":
                    found |= of_memory(files)
                case "peers":
                    found |= of_peers(files)
                case _:
                    found |= of_columns(files, with_spark=not told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

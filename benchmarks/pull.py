"""How fast a pull is, where its time goes, and how much memory it takes, beside smart-fetch in one run.

    python benchmarks/pull.py [--quick] [--format json] [--only bulk,shares,memory,crawl]

A server of static files on loopback (`bulk_server.py`) exports made-up resources. Ours reads, checks, seals and stores
with fsync ("landed"); and parses, normalises, seals and stores facts, too ("mapped"). `smart-fetch` 1.0.3 stores what
came, with its defaults. Each pull is a process of its own, from its start to its end; each counts by its processor time
and by the clock.
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
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulk_data import TYPES, small_observations, write_export
from pull_child import pull

HERE = Path(__file__).parent
PEER = "smart-fetch==1.0.3"
TWICE, A_CORE, A_FIFTH, BUSY = 2.0, 60_000, 1.2, 0.9  # goals
SLOTS, LATENCY_S = 4, 0.02  # of the server that is searched


@dataclass(frozen=True)
class Ran:
    """One process: how long it took by the clock and on the processor, its largest memory, and what it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    told: dict[str, Any]


@contextmanager
def serving(folder: Path, *extra: str) -> Iterator[str]:
    """Start the server; gives its base."""
    command = [sys.executable, str(HERE / "bulk_server.py"), str(folder), *extra]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own
        try:
            yield (server.stdout or sys.stdin).readline().strip()
        finally:
            server.terminate()


def run(command: list[str]) -> Ran:
    """Run a command to its end."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=HERE.parent)  # noqa: S603 - our own
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise SystemExit(f"{command[1]} ended with {process.returncode}:\n{said[-2000:]}")
    last = (said.strip().splitlines() or ["{}"])[-1]
    told = json.loads(last) if last.startswith("{") else {}
    return Ran(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, told)


def ours(what: str, base: str) -> Ran:
    """Pull in a process of its own."""
    return run([sys.executable, str(HERE / "pull.py"), "--child", what, "--base", base])


def peer(base: str) -> Ran | str:
    """Run smart-fetch from an environment of its own, or say why that is not possible."""
    place = HERE.parent / ".cache" / "smart-fetch"
    command = place / "bin" / "smart-fetch"
    if not command.exists():
        venv.create(place, with_pip=True)
        pip = [str(place / "bin" / "pip"), "install", "--quiet", PEER]
        if subprocess.run(pip, check=False, capture_output=True).returncode:  # noqa: S603 - what was made above
            return f"{PEER} cannot be installed here"
    with tempfile.TemporaryDirectory() as out:
        types = ",".join(TYPES)
        ran = run([str(command), "bulk", str(Path(out) / "out"), "--fhir-url", base, "--type", types])
        ran.told["start_cpu_s"] = run([str(command), "bulk", "--help"]).cpu_s
        return ran


def row(mine: float, theirs: float, unit: str, goal: float, *, met: bool, ratio: float | None = None) -> dict[str, Any]:
    """Make one row of the table."""
    made = {"ours": round(mine, 3), "peer": round(theirs, 3)}
    return made | {"ratio": round(ratio or mine / theirs, 3), "unit": unit, "goal": goal, "met": met}


def bulk(resources: int) -> dict[str, Any]:
    """Compare with smart-fetch, on one server with the same data."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_export(folder, resources)
        with serving(folder) as base:
            landed, mapped, theirs = ours("landed", base), ours("mapped", base), peer(base)
    found: dict[str, Any] = {}
    for name, ran in (("landed", landed), ("mapped", mapped)):
        core = ran.told["resources"] / ran.told["cpu_s"]
        unit = "resources per CPU second, without the start"
        found[f"{name}_a_core"] = row(core, A_CORE, unit, A_CORE, met=core >= A_CORE)
        if isinstance(theirs, str):
            found[f"{name}_to_smart_fetch"] = {"skipped": theirs}
            continue
        wall, others = ran.told["resources"] / ran.wall_s, resources / theirs.wall_s
        unit = "resources per second, with the start"
        found[f"{name}_to_smart_fetch"] = row(wall, others, unit, TWICE, met=wall >= TWICE * others)
        others = resources / (theirs.cpu_s - theirs.told["start_cpu_s"])
        unit = "resources per CPU second, without the start"
        found[f"{name}_to_smart_fetch_cpu"] = row(core, others, unit, TWICE, met=core >= TWICE * others)
    return found


def shares(resources: int) -> dict[str, Any]:
    """Say where the processor time of a pull goes; the watching itself takes some."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_export(folder, resources)
        with serving(folder) as base:
            told = ours("shares", base).told
    whole = sum(told["shares"].values())
    unit = "share of the processor time"
    return {
        f"share_{name}": {"ours": round(seconds / whole, 3), "unit": unit} for name, seconds in told["shares"].items()
    }


def memory(few: int, many: int) -> dict[str, Any]:
    """Compare the largest memory of a pull of few and of many resources of the same people, mapping included."""
    peaks = []
    for resources in (few, many):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            small_observations(folder, resources)
            with serving(folder) as base:
                ran = ours("mapped", base)
            if ran.told["resources"] != resources:
                raise SystemExit(f"{ran.told['resources']} of {resources} came")
            peaks.append(ran.peak_mb)
    small, large = peaks
    unit = f"MB at most, {many} resources beside {few}"
    return {"memory": row(large, small, unit, A_FIFTH, met=large <= A_FIFTH * small)}


def crawl(resources: int) -> dict[str, Any]:
    """Say how busy a search crawl keeps a server that takes 20 ms a page on a few slots.

    A type is one chain of next links, each of which is known only when the page before has come. So the largest type
    bounds what any client can do, beside which ours is measured; where there are
    as many of each type it is no bound.
    """
    found: dict[str, Any] = {}
    for name, slots, evenly in (
        ("crawl_busy", SLOTS, False),
        ("crawl_busy_2", 2, False),
        ("crawl_busy_1", 1, False),
        ("crawl_busy_evenly", SLOTS, True),
        ("crawl_busy_evenly_2", 2, True),
        ("crawl_busy_evenly_1", 1, True),
    ):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_export(folder, resources, evenly=evenly)
            pages = [-(-count // 200) for count in json.loads((folder / "counts.json").read_text("utf-8")).values()]
            with serving(folder, "--slots", str(slots), "--latency", str(LATENCY_S)) as base:
                ran = ours("crawl", base)
                with urllib.request.urlopen(f"{base}/busy") as answer:  # noqa: S310 - our own server
                    told = json.load(answer)
        busy = told["busy_s"] / (told["wall_s"] * told["slots"])
        allowed = min(1.0, sum(pages) / (max(pages) * slots))
        unit = f"share of {slots} at once, {LATENCY_S * 1000:.0f} ms each, that was busy, beside what next links allow"
        found[name] = row(busy, allowed, unit, BUSY, met=busy >= BUSY)
        found[name]["cpu_ms_a_page"] = round(ran.told["cpu_s"] / sum(pages) * 1000, 1)
    return found


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", default="bulk,shares,memory,crawl", help="what to measure")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.child:
        print(json.dumps(asyncio.run(pull(told.child, told.base))))
        return 0
    few = told.quick
    found: dict[str, Any] = {}
    for name in told.only.split(","):
        match name:
            case "bulk":
                found |= bulk(20_000 if few else 200_000)
            case "shares":
                found |= shares(10_000 if few else 50_000)
            case "memory":
                found |= memory(10_000, 50_000 if few else 1_000_000)
            case "crawl":
                found |= crawl(10_000 if few else 50_000)
            case _:
                parser.error(f"there is no {name}")
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

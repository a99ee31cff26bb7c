"""Results reach the EHR exactly once, whatever is lost or killed on the way; and how fast, beside the server alone.

    python benchmarks/deliver.py [--quick] [--number N] [--seed S] [--only hapi,rate,hostile] [--format json]

*hapi*: N proposals (10,000) to HAPI's JPA server (`benchmarks/hapi/Jpa.java`, from Maven Central, database in memory,
real transactions and conditional creates) through a proxy with 2 % 503, 1 % of the answers swallowed after the commit,
0.5 % resets and storms of 429, while the worker is killed with kill -9 ten times at random moments. Then each resource
is counted there: lost, doubled, and out of order within its patient. *hostile*: the same with two workers against the
hostile EHR in each of its worst write modes (`tests/gateway/deliver/ordeals.py`). *rate*: without faults, deliveries a
second beside a bare asyncio client that posts transactions of the same size with the same conditions to the same
server, as many at once, in alternating rounds, each in a process of its own; who begins changes, the first two rounds
warm the server, and of the others the better one of each counts. Ours has everything on: leases, consents, audit on
disk before anything leaves, sealed rows. It prints its seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from conformance.hostile import Weather, proxied  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from tests.gateway.deliver.many import SOURCE, home_of, patients, propose_many  # noqa: E402
from tests.gateway.deliver.ordeals import MODES, Outcome, deliver_to_hostile, outcome_of  # noqa: E402
from tests.gateway.deliver.workers import deliver_all, foreman  # noqa: E402
from tests.hapi.fixture import build  # noqa: E402

Found = dict[str, Any]
FULL, QUICK = 10_000, 60
PATIENTS = 200
KILLS = 10
AT_ONCE = 8
GOAL = 0.8  # of the bare server's rate
LOSING = Weather(refused=0.02, swallowed=0.01, reset=0.005, storm=0.0005, storm_s=2.0, hold_s=2.0)


def row(mine: float, theirs: float | None, unit: str, goal: float | None, *, met: bool | None) -> Found:
    """Make one row of the table."""
    ratio = round(mine / theirs, 3) if theirs else None
    made = {"ours": round(mine, 2), "peer": None if theirs is None else round(theirs, 2), "ratio": ratio}
    return made | {"unit": unit, "goal": goal, "met": met}


@contextmanager
def hapi(folder: Path) -> Iterator[str]:
    """Serve HAPI, with the patients and the one record that the results stand on."""
    built, classes = build(), folder / "classes"
    path = f"{built / 'classes'}{os.pathsep}{(built / 'classpath').read_text()}"
    compiler = ["javac", "--release", "17", "-cp", path, "-d", str(classes), str(HERE / "hapi" / "Jpa.java")]
    subprocess.run(compiler, check=True)  # noqa: S603 - ours
    words = ["java", "-Xmx4g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    words += ["-cp", f"{classes}{os.pathsep}{path}", "Jpa"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - ours
        try:
            line = server.stdout.readline() if server.stdout else ""
            base = f"http://127.0.0.1:{line.split()[1]}/fhir"
            fill(base)
            yield base
        finally:
            server.kill()


def fill(base: str) -> None:
    """Put the patients there, and the record that the results stand on: HAPI keeps no reference to nothing."""
    used = {"resourceType": "Observation", "id": "in", "status": "final", "code": {"text": "Creatinine"}}
    with httpx.Client(timeout=600, trust_env=False) as http:
        for resource in (*patients(PATIENTS), used):
            url = f"{base}/{resource['resourceType']}/{resource['id']}"
            http.put(url, json=resource).raise_for_status()


def held(base: str, types: list[str]) -> dict[str, list[Found]]:
    """Read all that HAPI holds, in the order in which it was stored: its own ids are numbers that grow."""
    found: dict[str, list[Found]] = {}
    with httpx.Client(timeout=600, trust_env=False) as http:
        for type_ in types:
            url, rows = f"{base}/{type_}?_count=500", []
            while url:
                told = http.get(url, headers={"Cache-Control": "no-cache"}).raise_for_status().json()
                rows += [entry["resource"] for entry in told.get("entry", ())]
                url = next((link["url"] for link in told.get("link", ()) if link["relation"] == "next"), "")
            found[type_] = sorted((r for r in rows if r["id"].isdigit()), key=lambda r: int(r["id"]))
    return found


def at_hapi(folder: Path, base: str, number: int, seed: int) -> Found:
    """Deliver so many through the proxy while the worker is killed, and count at the server."""
    with proxied(base, LOSING, seed=seed) as proxy, foreman() as men:
        place = home_of(folder / "home", proxy.base_url, settle_s=3, at_once=AT_ONCE, answer_s=30)
        expected = propose_many(place, number, of=PATIENTS, seed=seed)
        with Home.open(load_settings(place)) as home:
            course = deliver_all(home, men, seed=seed, workers=1, kills=KILLS, lease_s=5.0, most_s=3600)
            there = held(base, [*expected.names])
            outcome = outcome_of(home, "hapi", seed, course, expected, there, proxy)
    return told(outcome, f"of {number} proposals, {expected.resources} resources") | {
        "hapi: deliveries a second, faults and kills included": row(
            number / course.seconds, None, f"1/s; {dict(sorted(outcome.proxy.items()))}", None, met=None
        )
    }


def told(outcome: Outcome, of: str) -> Found:
    """Make the rows of one run: what is wrong, which should be nothing."""
    found = outcome.found
    missing = sum(number for state, number in outcome.course.states.items() if state != "sent")
    wrong = {
        "not delivered": missing,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "out of order": len(found.out_of_order),
        "not recorded": outcome.unrecorded + (not outcome.log_is_whole),
    }
    unit = f"{of}; {outcome.course.killed} killed, {outcome.course.seconds:.0f} s, SEED={outcome.seed}"
    return {f"{outcome.mode}: {name}": row(count, None, unit, 0, met=count == 0) for name, count in wrong.items()}


def at_hostile(folder: Path, number: int, seed: int, modes: tuple[str, ...]) -> Found:
    """Deliver with two workers to the hostile EHR in each of its worst write modes."""
    found: Found = {}
    with foreman() as men:
        for place, mode in enumerate(modes):
            home = folder / f"hostile-{place}"
            outcome = deliver_to_hostile(
                home, men, mode, seed + place, number=number, of=10, kills=min(KILLS, number // 10), most_s=3600
            )
            wrong = len(outcome.found.lost) + len(outcome.found.doubled) + len(outcome.found.out_of_order)
            unit = f"wrong at the end; {outcome}"
            found[f"hostile, {mode}"] = row(wrong, None, unit, 0, met=outcome.is_well)
    return found


def child(what: str, *arguments: str) -> Found:
    """Do one piece of work in a process of its own."""
    command = [sys.executable, str(HERE / "deliver_child.py"), what, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)  # noqa: S603 - ours
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    made: Found = json.loads(done.stdout.strip().splitlines()[-1])
    return made


def rates(folder: Path, base: str, number: int, rounds: int, seed: int) -> Found:
    """Deliver without faults, in turns with a bare client."""
    best: dict[str, Found] = {}
    for turn in range(-2, rounds):  # the first two warm the server, which goes on to get faster: who begins, changes
        for who in ("ours", "bare") if turn % 2 else ("bare", "ours"):
            home = home_of(folder / f"rate-{who}-{turn}", base, at_once=AT_ONCE)
            propose_many(home, number, of=PATIENTS, seed=seed + turn)
            made = child(who, str(home), str(AT_ONCE))
            if made["sent"] != number:
                raise RuntimeError(f"{who}: {made['sent']} of {number} were taken")
            if turn >= 0 and (who not in best or made["rate"] > best[who]["rate"]):
                best[who] = made
    ours, bare = best["ours"], best["bare"]
    ratio = ours["rate"] / bare["rate"]
    unit = f"deliveries a second, {AT_ONCE} at once; the bare client's conditional creates"
    return {
        "rate": row(ours["rate"], bare["rate"], unit, GOAL, met=ratio >= GOAL),
        "one delivery": row(ours["cpu_ms"], bare["cpu_ms"], "CPU ms of the client", None, met=None),
    }


def main() -> int:
    """Run, and print the table or one JSON object."""
    reads = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reads.add_argument("--quick", action="store_true", help=f"{QUICK} proposals, one round, the worst mode alone")
    reads.add_argument("--number", type=int, default=0, help=f"so many proposals instead of {FULL}")
    reads.add_argument("--seed", type=int, default=0)
    reads.add_argument("--only", default="hapi,rate,hostile")
    reads.add_argument("--format", choices=("text", "json"), default="text")
    asked = reads.parse_args()
    number = asked.number or (QUICK if asked.quick else FULL)
    seed = asked.seed or random.randrange(1, 1_000_000)  # noqa: S311 - faults, no secrets
    print(f"SEED={seed}", file=sys.stderr)
    parts, found = asked.only.split(","), {}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "hostile" in parts:
            modes = MODES[-1:] if asked.quick else MODES
            found |= at_hostile(folder, 30 if asked.quick else max(100, number // 20), seed, modes)
        if {"rate", "hapi"} & {*parts}:
            with hapi(folder) as base:
                if "hapi" in parts:
                    found |= at_hapi(folder, base, number, seed)
                if "rate" in parts:
                    found |= rates(folder, base, min(number, 1000), 1 if asked.quick else 4, seed)
    found["seed"] = row(seed, None, f"of {SOURCE}; {time.monotonic() - begun:.0f} s in all", None, met=None)
    if asked.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for each, numbers in found.items():
            print(f"{each:60}", "  ".join(f"{key} {value}" for key, value in numbers.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

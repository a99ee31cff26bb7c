"""The FHIR API beside HAPI's plain in-memory server, in one run on the same cores: requests a second, and what costs.

    python benchmarks/api.py [--quick] [--format json]

Ours has everything on: a token, scopes, consents, audit (durable before the answer leaves), sealed data. HAPI's
(`benchmarks/hapi/Plain.java`, from Maven Central) holds the same resources in memory and asks nobody anything. `wrk`
(apt-get install wrk) asks both, one after the other, twice; the better round counts. `search` is one patient's
Observations, 50 a page; `read` one Observation by its id. `parts` is the CPU time of one search in one process, taken
apart: what policy (scopes and consents), audit and writing the answer take of it; `opening` is decrypting and showing
one twin that nobody asked for before. `granular` is what a scope with a constraint adds to a search.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gateway.api import door, searching  # noqa: E402
from gateway.api.app import API_PATH, fhir_app  # noqa: E402
from gateway.api.charts import StoreCharts  # noqa: E402
from gateway.api.view import View  # noqa: E402
from gateway.home import Home, now  # noqa: E402
from gateway.ingest import ingest  # noqa: E402
from gateway.pull.folder import Folder  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from gateway.smart.accounts import Accounts  # noqa: E402
from gateway.smart.granted import Granted, new_id  # noqa: E402
from gateway.smart.issuing import token_response  # noqa: E402
from gateway.smart.places import Places  # noqa: E402
from gateway.smart.registration import Clients  # noqa: E402
from gateway.smart.values import Account, Client  # noqa: E402
from tests.hapi.fixture import build  # noqa: E402

Found = dict[str, Any]
PEOPLE, EACH = 20, 300
CATEGORIES = ("laboratory", "vital-signs")
SCOPE, GRANULAR = "user/*.rs", "user/Observation.rs?category=laboratory"
TAILS = 5.0


def row(mine: float, theirs: float | None, unit: str, goal: float | None, *, more: bool = True) -> Found:
    """Make one row of the table: the goal is of the ratio where there is a peer, else of our number."""
    ratio = round(mine / theirs, 3) if theirs else None
    of = mine if ratio is None else ratio
    met = None if goal is None else of >= goal if more else of <= goal
    found = {"ours": round(mine, 2), "peer": None if theirs is None else round(theirs, 2), "ratio": ratio}
    return found | {"unit": unit, "goal": goal, "met": met}


def resources() -> Iterator[Found]:
    """Make people with as many Observations each as a long stay leaves."""
    for person in range(PEOPLE):
        born = f"19{40 + person}-01-01"
        yield {"resourceType": "Patient", "id": f"p{person}", "name": [{"family": f"F{person}"}], "birthDate": born}
        for number in range(EACH):
            category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category"}
            yield {
                "resourceType": "Observation",
                "id": f"o{person}-{number}",
                "status": "final",
                "category": [{"coding": [category | {"code": CATEGORIES[number % 2]}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": "2339-0", "display": "Glucose"}]},
                "subject": {"reference": f"Patient/p{person}"},
                "effectiveDateTime": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T08:00:00Z",
                "valueQuantity": {
                    "value": 80 + number % 40,
                    "unit": "mg/dL",
                    "system": "http://unitsofmeasure.org",
                    "code": "mg/dL",
                },
            }


def make(folder: Path) -> Path:
    """Pull them into a home, with an app and a clinician; returns the NDJSON that HAPI takes."""
    told = folder / "in" / "all.ndjson"
    told.parent.mkdir()
    told.write_text("\n".join(map(json.dumps, resources())), "utf-8")
    with Home.open(load_settings(folder / "home")) as home:
        asyncio.run(ingest(home, Folder("ward", told.parent, "r4"), lambda text: None))
        when = now()
        Clients(home).add(Client(id="app", name="App", kind="public", created=when), when)
        Accounts(home).add(Account(name="ana", display="Ana", roles=("clinician",), created=when), when)
    return told


def token(home: Home, base: str, scope: str) -> str:
    """Give the clinician's app a token."""
    when = now()
    account = Accounts(home).get("ana", when)
    told = Granted(
        id=new_id(), client="app", user="ana", session=account.session if account else 0, scopes=(scope,), since=when
    )
    return str(token_response(home.store, Places(base), told, (scope,), when)["access_token"])


def someone(home: Home) -> tuple[str, str]:
    """Return a twin and one of its Observations."""
    charts = StoreCharts(home)
    twin = next(iter(charts.twins("")))
    return twin, charts.chart(twin).of_type("Observation")[7].id


@contextmanager
def ours(folder: Path) -> Iterator[str]:
    """Serve the home with a process for each of two cores."""
    words = [sys.executable, "-m", "gateway.cli", "serve", "--port", "0", "--workers", "2", "--format", "json"]
    words += ["--home", str(folder / "home")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - ours
        told = ""
        while not told.rstrip().endswith("}"):
            told += server.stdout.readline() if server.stdout else ""
        try:
            yield json.loads(told)["base"]
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def hapi(folder: Path, told: Path) -> Iterator[str]:
    """Serve the same resources with HAPI."""
    classes = folder / "classes"
    path = (build() / "classpath").read_text()
    compiler = ["javac", "--release", "17", "-cp", path, "-d", classes, HERE / "hapi" / "Plain.java"]
    subprocess.run(compiler, check=True)  # noqa: S603 - ours
    words = ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{classes}{os.pathsep}{path}", "Plain"]
    words.append(str(told))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - ours
        try:
            line = server.stdout.readline() if server.stdout else ""
            yield f"http://127.0.0.1:{line.split()[1]}/fhir"
        finally:
            server.kill()


def asked(url: str, seconds: int, shown: str = "") -> tuple[float, float, float]:
    """Ask for one URL as often as it is answered: requests a second, median and 99th percentile in ms."""
    header = ["-H", f"Authorization: Bearer {shown}"] if shown else []
    words = ["wrk", "-t1", "-c16", f"-d{seconds}", "--latency", *header, url]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    if "Non-2xx" in told:
        raise RuntimeError(told)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    return rate, _ms(told, "50%"), _ms(told, "99%")


def _ms(told: str, share: str) -> float:
    number, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", told).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def served(folder: Path, told: Path, seconds: int) -> dict[str, Found]:
    """Ask both servers."""
    with Home.open(load_settings(folder / "home")) as home:
        twin, observation = someone(home)
    best: dict[str, tuple[float, float, float]] = {}
    with ours(folder) as base, hapi(folder, told) as theirs, Home.open(load_settings(folder / "home")) as home:
        shown = token(home, base, SCOPE)
        urls = {
            "search": (f"/Observation?patient=Patient/{twin}&_count=50", "/Observation?patient=Patient/p3&_count=50"),
            "read": (f"/Observation/{observation}", "/Observation/o3-7"),
        }
        for name, (mine, other) in urls.items():
            for _ in range(3):  # the first warms both
                for who, rate in (
                    (name, asked(base + mine, seconds, shown)),
                    (f"{name} peer", asked(theirs + other, seconds)),
                ):
                    best[who] = max(best.get(who, rate), rate)
    found = {}
    for name, goal in (("search", 1.0), ("read", 0.5)):
        mine_, peer = best[name], best[f"{name} peer"]
        found[name] = row(mine_[0], peer[0], "requests/s", goal)
        found[f"{name} p99 beside median"] = row(mine_[2] / mine_[1], None, "", TAILS, more=False)
    return found


class Timed:
    """Adds up the CPU time of this thread in a function that stands in a module or class, while it is entered."""

    def __init__(self, *places: tuple[Any, str]) -> None:
        self._places = [(owner, name, getattr(owner, name)) for owner, name in places]
        self.seconds = 0.0

    def __enter__(self) -> Timed:
        for owner, name, function in self._places:
            setattr(owner, name, self._timed(function))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, function in self._places:
            setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                self.seconds += time.thread_time() - begun

        return timed


async def searches(app: Any, shown: str, query: str, times: int) -> float:
    """Search, sixteen at a time, as the servers above are asked; returns CPU seconds a search."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"{API_PATH}/Observation",
        "raw_path": f"{API_PATH}/Observation".encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {shown}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def once() -> None:
        async def receive() -> Found:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Found) -> None:
            if message.get("status", 200) != 200:
                raise RuntimeError(str(message))

        await app(dict(scope), receive, send)

    await asyncio.gather(*(once() for _ in range(16)))
    begun = time.process_time()
    for _ in range(times // 16):
        await asyncio.gather(*(once() for _ in range(16)))
    return (time.process_time() - begun) / (times // 16 * 16)


def parts(folder: Path, times: int) -> dict[str, Found]:
    """Take one search apart."""
    base = f"http://127.0.0.1{API_PATH}"
    found: dict[str, Found] = {}
    with Home.open(load_settings(folder / "home")) as home:
        twin, _ = someone(home)
        app, query = fhir_app(home, base), f"patient=Patient/{twin}&_count=50"
        shown, granular = token(home, base, SCOPE), token(home, base, GRANULAR)
        whole = asyncio.run(searches(app, shown, query, times))
        found["one search"] = row(whole * 1e3, None, "CPU ms", None)
        for name, places in {
            "policy": [(View, "resources"), (View, "_sees")],
            "audit": [(door, "events_of"), (home.store.__class__, "append_audit")],
            "writing the answer": [(searching, "write_searchset")],
        }.items():
            with Timed(*places) as timed:
                asyncio.run(searches(app, shown, query, times))
            found[f"part: {name}"] = row(timed.seconds / (times + 16) * 1e3, whole * 1e3, "CPU ms", None)
        half = f"{query}&category=laboratory"
        plain = min(asyncio.run(searches(app, shown, half, times)) for _ in range(3))
        narrow = min(asyncio.run(searches(app, granular, half, times)) for _ in range(3))
        found["granular scope on the same page"] = row((narrow / plain - 1) * 100, None, "% more", 10.0, more=False)
        begun = time.process_time()
        charts = StoreCharts(home)
        twins = [*charts.twins("")]
        for each in twins:
            charts.chart(each).of_type("Observation")
        opened = (time.process_time() - begun) / len(twins)
        found["part: opening a twin of 300 Observations, once"] = row(opened * 1e3, None, "CPU ms", None)
    return found


def main() -> None:
    """Run, and print the table or JSON."""
    reads = argparse.ArgumentParser(description=__doc__)
    reads.add_argument("--quick", action="store_true")
    reads.add_argument("--format", choices=("text", "json"), default="text")
    told = reads.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on this machine; apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ndjson = make(folder)
        found = {**served(folder, ndjson, 2 if told.quick else 10), **parts(folder, 160 if told.quick else 1600)}
    if told.format == "json":
        print(json.dumps(found, indent=2))
        return
    for each, numbers in found.items():
        print(f"{each:48}", "  ".join(f"{key} {value}" for key, value in numbers.items()))


if __name__ == "__main__":
    main()

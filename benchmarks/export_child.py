"""One piece of work of `export.py` in a process of its own: export_child.py make|count|export|fetch|dump HOME COUNT."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.append(str(HERE))

from patients_ndjson import write_small_patients  # noqa: E402

from gateway.api.app import Views  # noqa: E402
from gateway.api.call import Call  # noqa: E402
from gateway.api.operations import Worker, bench_of, exporting, jobs  # noqa: E402
from gateway.api.reading import TYPES  # noqa: E402
from gateway.home import Home, now  # noqa: E402
from gateway.ingest import ingest  # noqa: E402
from gateway.pull.folder import Folder  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from security.audit import System, TokenUse  # noqa: E402
from security.policy import Caller  # noqa: E402
from security.reidentification import Reidentify  # noqa: E402

BASE = "http://127.0.0.1:8426/fhir"
EACH = 20  # resources of each person, beside their Patient
CALLER = Caller(
    client="bulk",
    scopes=("system/*.rs",),
    token=TokenUse("urn:ietf:params:oauth:jti:bench", "bulk", BASE),
    expires=datetime(2099, 1, 1, tzinfo=UTC),
)
OF = tuple(type_ for type_ in TYPES if type_ not in ("Provenance", "Group"))
Found = dict[str, Any]


def make(place: Path, wanted: int) -> Found:
    """Make a home with so many resources."""
    folder = place.with_name(f"{place.name}-in")
    folder.mkdir()
    written = write_small_patients(folder / "all.ndjson", wanted // (EACH + 1), EACH)
    with Home.open(load_settings(place)) as home:
        asyncio.run(ingest(home, Folder("files", folder, "r4"), lambda text: None))
    (folder / "all.ndjson").unlink()
    return {"resources": written}


def export(home: Home) -> Found:
    """Export all that came: not the lineage, which is made for each resource when somebody asks."""
    bench = bench_of(home, Views(home, BASE), lambda caller, now: caller)
    place = asyncio.run(exporting.OFFERS[0].answer(call(home, {}, [("_type", ",".join(OF))]))).headers[
        "Content-Location"
    ]
    Worker(bench).work_once()
    [job] = bench.jobs.all(now())
    if job.state != "done" or job.id not in place:
        raise RuntimeError(f"the export is {job.state}: {job.failure}")
    size = sum(each.size for each in job.files) / 1e6
    return {"lines": sum(each.count for each in job.files), "patients": job.told.twins, "mb": size}


def count(home: Home) -> Found:
    """Count what is shown of these types, and what of it the client may see, twin by twin."""
    views, shown, seen = Views(home, BASE), 0, 0
    for twin in ("", *views.charts.twins("")):
        view = views(CALLER, now(), {})
        chart = views.charts.chart(twin) if twin else views.charts.shared("")
        for type_ in OF:
            shown += len(chart.of_type(type_))
            seen += len(view.resources(twin, type_, "r"))
    return {"shown": shown, "lines": seen}


def fetch(home: Home) -> Found:
    """Fetch all files of the export, one after the other."""
    [job] = bench_of(home, Views(home, BASE), lambda caller, now: caller).jobs.all(now())
    lines = 0
    for each in job.files:
        reply = asyncio.run(jobs.OFFERS[2].answer(call(home, {"job": job.id, "file": str(each.number)}, [])))
        if not isinstance(reply.body, bytes):
            raise TypeError("a file is bytes")
        lines += reply.body.count(b"\n")
    return {"lines": lines}


def dump(home: Home, to: Path) -> Found:
    """Write the bytes of each resource into one file in the clear."""
    lines, leave = 0, Reidentify("measure how long it takes to open a record")
    with to.open("wb") as out:
        for summary in home.store.twins():
            for each in home.store.received(summary.id, leave):
                out.write(each.raw + b"\n")
                lines += 1
    return {"lines": lines}


def call(home: Home, path: dict[str, str], parameters: list[tuple[str, str]]) -> Call:
    """Make a request of the backend client, as the door does."""
    moment = now()
    begun = replace(home.access(), actor="client:bulk", peer=System("bulk", "127.0.0.1"), token=CALLER.token)
    return Call(
        home=home,
        view=Views(home, BASE)(CALLER, moment, path),
        request_id="benchmark",
        method="GET",
        url="/fhir/$export",
        path=path,
        parameters=parameters,
        prefer={"respond-async": ""},
        base=BASE,
        now=moment,
        access=lambda **what: replace(begun, when=now(), **what),
    )


def main() -> int:
    """Do it, and print what it took as one line of JSON."""
    what, place, wanted = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    begun, cpu = time.monotonic(), time.process_time()
    if what == "make":
        told = make(place, wanted)
    else:
        with Home.open(load_settings(place), create=False) as home:
            begun, cpu = time.monotonic(), time.process_time()
            match what:
                case "count":
                    told = count(home)
                case "export":
                    told = export(home)
                case "fetch":
                    told = fetch(home)
                case _:
                    told = dump(home, place.with_name(f"{place.name}.ndjson"))
    told |= {"seconds": time.monotonic() - begun, "cpu_s": time.process_time() - cpu}
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())

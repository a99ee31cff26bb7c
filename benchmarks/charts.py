"""How long it takes to open a chart and to show it, how much memory it takes, and what a request pays to use it again.

    python -m benchmarks.charts [RESOURCES ...]

One person with so many laboratory results, as R4 and as STU3 (which is converted), in a store of its own. Times are of
the processor.
Prints JSON. Memory is what Python's allocator holds more than before (tracemalloc), in a second opening.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from gateway.api.charts import StoreCharts
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings

PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "name": [{"family": "Bench", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1950-01-02",
}


def result(number: int) -> dict[str, Any]:
    """Write one laboratory result."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}], "text": "Glucose"},
        "subject": {"reference": "Patient/1"},
        "encounter": {"reference": f"Encounter/e{number // 20}"},
        "effectiveDateTime": f"20{number % 20 + 5:02d}-03-{number % 28 + 1:02d}T05:{number % 60:02d}:07Z",
        "issued": "2026-03-04T05:06:07Z",
        "performer": [{"reference": "Practitioner/p1", "display": "Dr. Bench"}],
        "valueQuantity": {
            "value": 90 + number % 50,
            "unit": "mg/dL",
            "code": "mg/dL",
            "system": "http://unitsofmeasure.org",
        },
        "referenceRange": [{"low": {"value": 70, "unit": "mg/dL"}, "high": {"value": 99, "unit": "mg/dL"}}],
    }


def measure(count: int, version: Any) -> dict[str, Any]:
    """Fill a store, and measure."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        told = result(0)
        rows = [PATIENT, *(_as(result(number), version) for number in range(count))]
        (folder / "all.ndjson").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        (Path(place) / "twin.toml").write_text("")
        with Home.open(load_settings(Path(place))) as home:
            asyncio.run(ingest(home, Folder("bench", folder, version), lambda _: None))
            twin = home.store.twins()[0].id
            charts = StoreCharts(home)
            begun = time.process_time()
            chart = charts.chart(twin)
            opened = time.process_time()
            one = chart.get("Observation", next(iter(chart._by_id("Observation"))))
            read = time.process_time()
            found = chart.of_type("Observation")
            shown = time.process_time()
            for _ in range(1000):
                charts.chart(twin)
            again = time.process_time()
            tracemalloc.start()
            other = StoreCharts(home).chart(twin)
            held = tracemalloc.get_traced_memory()[0]
            other.of_type("Observation")
            full = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        if one is None or len(found) != count:
            raise RuntimeError("not all of it is shown")
        return {
            "resources": count,
            "version": version,
            "bytes_a_resource": len(json.dumps(told)),
            "open_ms": round((opened - begun) * 1e3, 1),
            "first_read_ms": round((read - opened) * 1e3, 1),
            "show_all_ms": round((shown - read) * 1e3, 1),
            "shown_a_second": round(count / (shown - read)),
            "use_again_us": round((again - shown) * 1e3, 1),
            "memory_opened_bytes_a_resource": round(held / count),
            "memory_shown_bytes_a_resource": round(full / count),
            "weight_bytes_a_resource": round(other.weight / count),
        }


def _as(told: dict[str, Any], version: str) -> dict[str, Any]:
    if version == "stu3":
        told = {**told, "context": told["encounter"]}
        del told["encounter"]
        told["category"] = [{"coding": [{"system": "http://hl7.org/fhir/observation-category", "code": "laboratory"}]}]
    return told


if __name__ == "__main__":
    for _count in [int(each) for each in sys.argv[1:]] or [100, 1000, 10_000]:
        for _version in ("r4", "stu3"):
            sys.stdout.write(json.dumps(measure(_count, _version)) + "\n")

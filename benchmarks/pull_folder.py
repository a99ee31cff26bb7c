"""How fast a folder becomes sealed, audited facts, beside what reading alone costs the peers, in one run.

    python benchmarks/pull_folder.py [--quick] [--format json]

Ours is the whole path: read, seal, store with fsync, audit, map, store facts. The peers do less: `fhir.resources` only
parses each resource into its R4B class, `json.loads` only decodes it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class

from conformance.cohort import build, to_json
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings

PARSING = 1.0  # goal: as fast as fhir.resources only parses
DECODING = 1.0  # goal of the hot path of typed structs, which is not built yet: as fast as json.loads only decodes


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median processor time of a piece of work."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def pull(folder: Path) -> int:
    """Take the folder in, into a store that nobody has used."""
    with tempfile.TemporaryDirectory() as place, Home.open(load_settings(Path(place) / "home")) as home:
        report = asyncio.run(ingest(home, Folder("folder", folder, "r4"), lambda text: None))
        return report.ledger.resources


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    rounds = 1 if told.quick else 5
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        raws: list[bytes] = []
        for number, bundle in enumerate(build(1).bundles("summit")):
            (folder / f"{number}.json").write_bytes(to_json(bundle))
            raws += [to_json(entry["resource"]) for entry in bundle["entry"]]
        classes = {raw: get_fhir_model_class(json.loads(raw)["resourceType"]) for raw in raws}
        count = pull(folder)
        ours = count / seconds(lambda: pull(folder), rounds)
        peer = count / seconds(lambda: [classes[raw].model_validate_json(raw) for raw in raws], rounds)
        limit = count / seconds(lambda: [json.loads(raw) for raw in raws], rounds)
    rows = {
        "pull_folder_to_fhir_resources_parse": (ours, peer, PARSING),
        "pull_folder_to_json_loads": (ours, limit, DECODING),
    }
    found = {
        name: {
            "ours": round(mine),
            "peer": round(theirs),
            "ratio": round(mine / theirs, 3),
            "unit": "resources per CPU second",
            "goal": goal,
            "met": mine / theirs >= goal,
        }
        for name, (mine, theirs, goal) in rows.items()
    }
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            numbers = f"ours {row['ours']}, peer {row['peer']} {row['unit']}"
            print(f"{name}: {numbers}; ratio {row['ratio']}, goal {row['goal']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

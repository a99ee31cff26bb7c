"""All that is measured about twins that live, in one table: ours, the peer in the same run, the ratio and the goal.

    python benchmarks/twins.py [--quick] [--format json] [PART ...]

A part is a file beside this one: virtual_patients, online_updates, personal_forecasts, virtual_subjects, foreseen,
what_ifs; without a name all that are there. CPU seconds of one process on one core, without compiling. `--quick` takes
a minute: the peers do a part of their work, which the unit then tells. Exit status 1 where a goal is not met. The whole
way of a live value, with store and audit, is `live_path.py`.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path

PARTS = ("virtual_patients", "online_updates", "personal_forecasts", "virtual_subjects", "foreseen", "what_ifs")
ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def main() -> int:
    """Measure the parts, and print a table or one JSON object."""
    there = [part for part in PARTS if (Path(__file__).parent / f"{part}.py").exists()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(there)}")
    parser.add_argument("--quick", action="store_true", help="a short round of each")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    if unknown := sorted(set(told.parts) - set(there)):
        parser.error(f"no such part: {', '.join(unknown)}")
    os.environ |= dict.fromkeys(ONE_CORE, "1")  # before numpy is imported, which the parts do
    found: dict[str, dict[str, object]] = {}
    for part in told.parts or there:
        found |= import_module(part).rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        print(_table(found))
    return 0 if all(row["met"] is not False for row in found.values()) else 1


def _table(found: dict[str, dict[str, object]]) -> str:
    head = ("", "ours", "peer", "ratio", "goal", "met", "unit")
    lines = [
        (name, *("-" if row[column] is None else _said(row[column]) for column in head[1:]))
        for name, row in found.items()
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if 0 < column < len(head) - 1 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *lines)
    )


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())

"""The habits of the vendors in docs/ehrs.md.

`python -m tests.gateway.pull.habit_table` writes them anew; `test_habits.py` says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.pull.habits import Habit, Vendor, load_habits

__all__ = ["DOCUMENT", "table", "write", "written"]

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "ehrs.md"
BEGIN, END = "<!-- habits: begin -->", "<!-- habits: end -->"


def table() -> str:
    """Write each vendor's habits as a table."""
    return "\n".join(line for vendor in load_habits().values() for line in _section(vendor)).strip()


def written() -> str:
    """Return the tables as they stand in the document."""
    match = re.search(f"{BEGIN}\n(.*?){END}", DOCUMENT.read_text("utf-8"), re.DOTALL)
    return match[1].strip() if match else ""


def write() -> None:
    """Write the tables into the document."""
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", "utf-8")


def _section(vendor: Vendor) -> Iterator[str]:
    yield f"### {vendor.name}: `{vendor.key}`"
    yield ""
    signs = [f"{kind} {', '.join(f'`{each}`' for each in told)}" for kind, told in vendor.known_by if told]
    yield f"Known by {'; '.join(signs)}."
    yield ""
    yield "| sets | habit | who says so |"
    yield "| --- | --- | --- |"
    for habit in vendor.habits:
        yield f"| {_sets(habit)} | {'' if habit.confirmed else '? '}{_cell(habit.says)} | {_cell(habit.cite)} |"
    yield ""


def _sets(habit: Habit) -> str:
    if not habit.sets:
        return ""
    versions = f" ({', '.join(habit.fhir)})" if habit.fhir else ""
    return f"`{habit.sets}` {_cell(habit.shown)}{versions}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write()

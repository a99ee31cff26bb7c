"""The rows of `tables/dstu2_r4.toml`, `stu3_r4.toml`, `r4b_r4.toml` and `r5_r4.toml`, read in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from mappers.rows import read_table
from mappers.versions import FhirVersion
from mappers.versions.coded import (
    put_adherence,
    put_concept,
    put_default,
    put_flag,
    put_sampled,
    put_statuses,
    put_truth,
)
from mappers.versions.conversion import Place, Rule
from mappers.versions.placed import (
    move,
    put_by_kind,
    put_contacts,
    put_either,
    put_joined,
    put_sorted,
    put_typed,
)
from mappers.versions.row import Row

__all__ = ["HOW", "RowRule", "read_rules"]

HOW: Final = {
    "move": move,
    "concept": put_concept,
    "flag": put_flag,
    "sorted": put_sorted,
    "either": put_either,
    "default": put_default,
    "joined": put_joined,
    "typed": put_typed,
    "kinds": put_by_kind,
    "contacts": put_contacts,
    "truth": put_truth,
    "statuses": put_statuses,
    "adherence": put_adherence,
    "sampled": put_sampled,
}


@dataclass(frozen=True, slots=True)
class RowRule:
    """A row, and how its move is made."""

    row: Row
    how: Callable[[Row, Place], None]

    def apply(self, place: Place) -> None:
        """Make the move."""
        self.how(self.row, place)


@cache
def read_rules(other: FhirVersion, *, up: bool) -> tuple[dict[str, str], dict[tuple[str, str], list[Rule]]]:
    """Read the rows between a version and R4: the types of other names, and by part what is to be done there.

    `up` is from that version to R4. A row stands under the part of the other version; going there, under R4's.
    """
    table = read_table(f"{other}_r4")
    kinds: dict[str, str] = table.get("types", {})
    turned = {r4: there for there, r4 in reversed(kinds.items())} | table.get("back", {})
    parts: dict[str, str] = table.get("parts", {})
    found: dict[tuple[str, str], list[Rule]] = {}
    for part, rows in table.get("rows", {}).items():
        root, dot, rest = part.partition(".")
        r4_root = kinds.get(root, root)
        if not up and turned.get(r4_root, r4_root) != root:
            continue
        there = parts.get(part, f"{r4_root}{dot}{rest}")
        pair = (part, there) if up else (there, part)
        for name, told in rows.items():
            for one in told if isinstance(told, list) else [told]:
                row: dict[str, Any] = {"r4": one} if isinstance(one, str) else dict(one)
                if row.pop("only", "up" if up else "down") == ("up" if up else "down"):
                    how = HOW[row.pop("how", "move")]
                    made = Row(row.pop("there", name), row.pop("r4", name), up, **row)
                    found.setdefault(pair, []).append(RowRule(made, how))
    return (kinds if up else turned), found

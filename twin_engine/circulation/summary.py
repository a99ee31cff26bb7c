"""The evidence for the circulation in numbers, counted from its tables: what was fitted, what holds, what failed.

Tests hold the tables to what the model does; so these sentences follow it.
"""

from __future__ import annotations

from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.prostheses import PROSTHESES
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.states import STATES

__all__ = ["said_evidence"]


def said_evidence() -> str:
    """Say it for the card."""
    return " ".join((_of_drugs(), _of_states(), _of_valves(), _of_operations()))


def _of_drugs() -> str:
    inside = [drug.name for drug in drugs().values() if drug.validated]
    outside = [drug.name for drug in drugs().values() if not drug.validated]
    return (
        f"Drugs, each fitted to one published group: inside every range in all other groups: {', '.join(inside)}; "
        f"outside in one at least: {', '.join(outside)}."
    )


def _of_states() -> str:
    told = {fitted: [each for each in STATES.values() if each.fitted is fitted] for fitted in (True, False)}
    counts = {
        fitted: (sum(len(each.published) for each in states), sum(len(each.fails) for each in states))
        for fitted, states in told.items()
    }
    (all_fitted, lost_fitted), (all_blind, lost_blind) = counts[True], counts[False]
    return (
        f"Disease and age: {all_fitted - lost_fitted} of {all_fitted} published numbers of states that were fitted, "
        f"{all_blind - lost_blind} of {all_blind} of states that were not."
    )


def _of_valves() -> str:
    sizes = [size for each in PROSTHESES for size in each.sizes if size.gradient is not None and size.gradient_sd]
    met = sum(not size.misses for size in sizes)
    return f"Prosthetic valves, unfitted: {met} of {len(sizes)} gradients."


def _of_operations() -> str:
    rows = [row for row in read_table("operations")["evidence"] if not row.get("fitted")]
    count = sum(len(row.get("published", ())) + len(row.get("shares", ())) for row in rows)
    failed = sum(len(row.get("fails", ())) for row in rows)
    return f"Operations and devices, unfitted: {count - failed} of {count} numbers."

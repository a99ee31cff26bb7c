"""twin medicate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from gateway.calibration import current, dynamic_model
from gateway.cli.orders import read_small_file, utc
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, print_json, print_table, progress, say
from gateway.compared import MARKS, columns_of, left_out_rows, notes_of, rows_of
from gateway.home import Home
from gateway.medication import Medication, medicines_for
from gateway.outlook import keep
from gateway.settings import load_settings
from gateway.simulation import open_twin
from twin_engine import Missing
from twin_engine.circulation.objective import USUAL, read_objective

__all__ = ["medicate_"]


def medicate_(
    twin: str,
    /,
    *,
    within: Literal["hours", "weeks"] = "hours",
    drug: tuple[str, ...] = (),
    most: Literal[1, 2, 3] = 3,
    objective: Path | None = None,
    assume_absent: bool = False,
    model: str = "circulation",
    at: datetime | None = None,
    as_of: datetime | None = None,
    options: Options = Options(),
) -> int:
    """Compare doses and combinations of medicines on a patient's circulation. A comparison for a clinician, no order.

    Only drugs that lie inside published ranges, and whose conditions the facts show to be met, are compared; all
    others are named with the reason. Where data is missing, it says what (exit status 5, also where nothing can be
    compared).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    within
        Effects that were measured within hours, or after weeks.
    drug
        Only this drug, by its name; say it again for another.
    most
        How many drugs are combined at most.
    objective
        A TOML file that declares what is better (docs/circulation-medication.md).
    assume_absent
        Take a condition or a medicine that no list names as absent, even where the list cannot be proven whole. The
        result says so.
    model
        The model's name.
    at
        The time that the model looks from (UTC where no zone is told); by default now.
    as_of
        Use only what was known at this time.
    """
    declared = read_objective(read_small_file(objective)) if objective else USUAL
    with Home.open(load_settings(options.home), create=False) as home, progress("Calibrating the circulation") as tell:
        chosen = dynamic_model(home, model)
        record = open_twin(home, twin, utc(as_of))
        found = current(home, record, chosen, at=utc(at))
        if isinstance(found, Missing):
            if options.json:
                told = msgspec.to_builtins(found, builtin_types=(datetime,))
                print_json({"twin": record.id, "run": None, "result": told})
            else:
                show_missing(found)
            return 5
        result = medicines_for(
            home,
            record,
            found,
            within=within,
            objective=declared,
            only=drug or None,
            largest=most,
            assume_absent=assume_absent,
            progress=tell,
        )
        run = keep(home, found, result)
    if options.json:
        print_json({"twin": record.id, "run": run, "result": msgspec.to_builtins(result, builtin_types=(datetime,))})
    else:
        _show(result)
        way = f" To write its risks back: twin propose {record.id[:8]} --run {run[:12]}"
        say(f"Kept as run {run[:12]}.{way if result.comparison.verdict == 'compared' else ''}")
    return 5 if result.comparison.verdict == "none-eligible" else 0


def _show(found: Medication) -> None:
    told = found.comparison
    say(f"{found.title} ({found.model} {found.version}); simulated, not measured; {told.members} members")
    say(f"Declared: {told.objective.title}; by {told.objective.declared_by}")
    say(told.said)
    rows = rows_of(found)
    columns = ["", "Combination", *(f">{title}" for title in columns_of())]
    print_table(f"Effects measured within {told.within}; median (middle 90 %)", columns, rows)
    if (more := len(told.candidates) + 1 - len(rows)) > 0:
        say(f"{more} more in --format json.")
    say(MARKS)
    for text in notes_of(found):
        say(f"Note: {text}")
    if told.left_out:
        print_table("Not compared", ["Drug", "Why"], left_out_rows(found))
    for text in told.notes:
        say(text)
    if told.assumed:
        say(f"Assumed to be absent: {', '.join(told.assumed)}")
    for text in found.assumptions:
        say(f"Assumed: {text}")
    say(f"{found.limits} {found.citation}")

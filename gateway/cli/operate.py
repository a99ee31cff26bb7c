"""twin operate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from gateway.calibration import current, dynamic_model
from gateway.cli.orders import utc
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, print_json, print_table, progress, say
from gateway.files import check_place, write_picture
from gateway.home import Home
from gateway.operations import Operations, operations_on, picture_of
from gateway.outlook import keep
from gateway.settings import load_settings
from gateway.side_by_side import columns_of, named_plans, risk_rows, rows_of, said_suits
from gateway.simulation import open_twin
from twin_engine import Missing

__all__ = ["operate_"]


def operate_(
    twin: str,
    /,
    *,
    plan: tuple[str, ...],
    model: str = "circulation",
    at: datetime | None = None,
    as_of: datetime | None = None,
    plot: Path | None = None,
    options: Options = Options(),
) -> int:
    """Simulate operations on a patient's heart: before and after, each plan side by side. Nothing reaches anybody.

    Where data is missing, it says what (exit status 5).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    plan
        What is done: "aortic valve: Edwards SAPIEN 3 26 mm", "mitral repair", "pump 9000 /min", "balloon 40 mL",
        "pacing 60 /min", "revascularisation: anterior, septal"; several joined with "and". Say it again for another
        plan.
    model
        The model's name.
    at
        The time that the model looks from (UTC where no zone is told); by default now.
    as_of
        Use only what was known at this time.
    plot
        Draw the loops before and after into this file (.svg).
    """
    check_place(plot)
    with Home.open(load_settings(options.home), create=False) as home, progress("Calibrating the circulation"):
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
        result, done = operations_on(found, plan)
        run = keep(home, found, result)
        if plot:
            write_picture(plot, picture_of(found, done))
    if options.json:
        print_json({"twin": record.id, "run": run, "result": msgspec.to_builtins(result, builtin_types=(datetime,))})
        return 0
    _show(result)
    if plot:
        say(f"Drawn into {plot}.")
    say(f"Kept as run {run[:12]}. To write its risks back: twin propose {record.id[:8]} --run {run[:12]}")
    return 0


def _show(found: Operations) -> None:
    say(f"{found.title} ({found.model} {found.version}); simulated, not measured; {found.members} members")
    named = named_plans(found)
    say("  A  before: the heart as it is")
    for name, plan in named:
        say(f"  {name}  {plan.title}")
        if plan.collapse:
            say(f"     {plan.collapse}")
    print_table("", ["Quantity", "Unit", *(f">{each}" for each in columns_of(named))], rows_of(named))
    print_table(
        "What may go wrong: share of the members, %",
        ["Risk", "When it counts", ">A", *(f">{name}" for name, _ in named)],
        risk_rows(named),
    )
    for text in said_suits(named):
        say(text)
    for text in dict.fromkeys(plan.held for _, plan in named):
        say(f"Evidence: {text}")
    for text in dict.fromkeys((*found.assumptions, *(each for _, plan in named for each in plan.assumptions))):
        say(f"Assumed: {text}")
    say(f"{found.limits} {found.citation}")

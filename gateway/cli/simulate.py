"""twin simulate."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.wording import not_computed, output_value, said_name, said_value, source_of_input
from twin_engine import Missing, Run

__all__ = ["show_missing", "show_run", "simulate_"]


def simulate_(
    twin: str,
    /,
    *,
    model: str,
    at: datetime | None = None,
    as_of: datetime | None = None,
    assume_absent: bool = False,
    options: Options = Options(),
) -> int:
    """Run a model on one twin. Where data is missing, say what, since when, and what came nearest (exit status 5).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    model
        The model's name; "twin model list" lists them.
    at
        The time that the model looks from (UTC where no zone is told); by default now.
    as_of
        Use only what was known at this time.
    assume_absent
        Take a problem or a medication that no list names as absent, even where the list cannot be proven whole. The
        result says so.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin, _utc(as_of))
        result, run = run_model(home, record, model, at=_utc(at), assume_absent=assume_absent)
    if options.json:
        print_json(
            {"twin": record.id, "run": run or None, "result": msgspec.to_builtins(result, builtin_types=(datetime,))}
        )
    elif isinstance(result, Missing):
        show_missing(result)
    else:
        show_run(result)
        say(f"Kept as run {run[:12]}. To write it back: twin propose {record.id[:8]}, then twin send {record.id[:8]}")
    return 5 if isinstance(result, Missing) else 0


def show_run(run: Run) -> None:
    """Tell a person the result of a run, with all it rests on."""
    say(f"{run.title} ({run.model} {run.version}); simulated, not measured; holds for {run.valid_at}")
    print_table(
        "",
        ["Result", ">Value", "Unit", "Class"],
        ((o.title, *output_value(o), o.category) for o in run.outputs),
    )
    print_table(
        "It stands on",
        ["Input", ">Value", "When", "From"],
        (
            (
                i.title,
                f"{i.said} {i.unit if i.unit not in ('1', 'a') else ''}".strip(),
                i.when,
                source_of_input(run, i.name),
            )
            for i in run.inputs
        ),
    )
    for names, reason in not_computed(run):
        say(f"Not computed, {names}: {reason}")
    for text in run.assumptions:
        say(f"Assumed: {text}")
    say(f"{run.limits} {run.citation}")


def show_missing(missing: Missing) -> None:
    """Tell a person what a model lacks."""
    say(f"{missing.title} ({missing.model} {missing.version}): not enough data.")
    for sentence in missing.say:
        say(f"  {sentence}")
    if missing.nearest:
        print_table(
            "What came nearest",
            ["When", "What", ">Value", "Source"],
            (
                (f.when.text if f.when else "", said_name(f), said_value(f.value), f.origin.source)
                for f in missing.nearest
            ),
        )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

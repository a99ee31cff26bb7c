"""twin simulate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.calibration import current
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.files import check_place, write_picture
from gateway.home import Home
from gateway.operations import operations_on, picture_of
from gateway.settings import load_settings
from gateway.simulation import models_of, open_twin, run_model
from gateway.store import TwinRecord
from gateway.wording import (
    not_computed,
    not_used,
    output_interval,
    output_value,
    said_name,
    said_value,
    source_of_input,
)
from security.errors import Misuse
from twin_engine import Missing, Run
from twin_engine.circulation.model import Circulation

__all__ = ["show_missing", "show_run", "simulate_"]


def simulate_(
    twin: str,
    /,
    *,
    model: str,
    at: datetime | None = None,
    as_of: datetime | None = None,
    assume_absent: bool = False,
    online: bool = False,
    plot: Path | None = None,
    after: tuple[str, ...] = (),
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
    online
        Move the ensemble that is kept on by the readings that came since, instead of calibrating anew: in a fifth of
        the time, and dependent on the path.
    plot
        Draw the circulation's pressure-volume loop and pressures over two beats into this file (.svg).
    after
        A plan of operations, as for twin operate: the picture shows the circulation after it, too.
    """
    if after and not plot:
        raise Misuse("What is to be drawn has no file.", hint="Name one with --plot, or use twin operate.")
    check_place(plot)
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin, _utc(as_of))
        result, run = run_model(home, record, model, at=_utc(at), assume_absent=assume_absent, online=online)
        if plot and isinstance(result, Run):
            _draw(home, record, model, _utc(at), plot, after)
    if options.json:
        print_json(
            {"twin": record.id, "run": run or None, "result": msgspec.to_builtins(result, builtin_types=(datetime,))}
        )
    elif isinstance(result, Missing):
        show_missing(result)
    else:
        show_run(result)
        if plot:
            say(f"Drawn into {plot}.")
        say(f"Kept as run {run[:12]}. To write it back: twin propose {record.id[:8]}, then twin send {record.id[:8]}")
    return 5 if isinstance(result, Missing) else 0


def _draw(home: Home, record: TwinRecord, model: str, at: datetime | None, plot: Path, after: tuple[str, ...]) -> None:
    """Draw the circulation, and what plans would make of it."""
    chosen = models_of(home)[model]
    if not isinstance(chosen, Circulation):
        raise Misuse("This model has no picture.", hint="The circulation has one: --model circulation.")
    found = current(home, record, chosen, at=at)
    if isinstance(found, Missing):  # what the model's every number needs is there: it gave a run
        raise Misuse(" ".join(found.say), hint="Leave --plot out.")
    write_picture(plot, picture_of(found, operations_on(found, after)[1] if after else ()))


def show_run(run: Run) -> None:
    """Tell a person the result of a run, with all it rests on."""
    say(f"{run.title} ({run.model} {run.version}); simulated, not measured; holds for {run.valid_at}")
    spread = [output_interval(output) for output in run.outputs]
    vary = any(spread)
    print_table(
        "",
        ["Result", ">Value", "Unit", *(["95 %"] if vary else []), "Class"],
        (
            (o.title, *output_value(o), *([s] if vary else []), o.category)
            for o, s in zip(run.outputs, spread, strict=True)
        ),
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
    for text in not_used(run):
        say(f"Not used: {text}")
    for text in run.remarks:
        say(f"Note: {text}")
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
                (f.when.text if f.when else "", said_name(f), said_value(f.value), ", ".join(f.sources))
                for f in missing.nearest
            ),
        )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

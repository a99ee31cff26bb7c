"""twin compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.cli.branches import draw_branches, letter, show_comparison
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.store import SavedRun
from gateway.wording import outcome_unit, said_outcome
from security.audit import read_event
from security.errors import Misuse
from twin_engine.forecast import Course, Forecast
from twin_engine.outcome import Outcome
from twin_engine.scenario import Comparison

__all__ = ["compare_"]


@dataclass(frozen=True)
class _Line:
    """One course of a kept run."""

    run: str
    title: str
    at: datetime
    course: Course
    outcomes: dict[str, Outcome]


def compare_(run: str, /, *others: str, options: Options = Options()) -> None:
    """Show kept forecasts and what-ifs side by side. Reading them is recorded.

    Parameters
    ----------
    run
        The id of a run, or the beginning of it, as "twin what-if" and "twin forecast" print it.
    others
        Further runs.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        saved = list({found.id: found for found in map(home.store.run, (run, *others))}.values())
        home.store.append_audit([read_event(home.access(patient=twin)) for twin in {each.twin for each in saved}])
    results = [_read(each) for each in saved]
    if options.json:
        print_json(
            {
                "runs": [
                    {
                        "run": each.id,
                        "twin": each.twin,
                        "created": each.created,
                        "result": msgspec.to_builtins(result, builtin_types=(datetime,)),
                    }
                    for each, result in zip(saved, results, strict=True)
                ]
            }
        )
        return
    if len(results) == 1 and isinstance(results[0], Comparison):
        show_comparison(results[0])
        return
    _show([line for each, result in zip(saved, results, strict=True) for line in _lines(each, result)])
    if len({each.twin for each in saved}) > 1:
        say("These runs are of several twins.")


def _read(saved: SavedRun) -> Comparison | Forecast:
    try:
        return msgspec.json.decode(saved.content, type=Comparison | Forecast)
    except msgspec.ValidationError as error:  # an answer, operations, medicines
        raise Misuse("This run is no course over time.", hint="Compare what-ifs and forecasts.") from error


def _lines(saved: SavedRun, found: Comparison | Forecast) -> list[_Line]:
    if isinstance(found, Forecast):
        return [_Line(saved.id, f"forecast: {found.plan.title}", found.at, found.courses[0], {})]
    return [
        _Line(
            saved.id, each.plan.title, found.at, each.courses[0], {outcome.name: outcome for outcome in each.outcomes}
        )
        for each in found.branches
    ]


def _show(lines: list[_Line]) -> None:
    """Show courses of several runs: they did not meet the same chance, and no difference is told."""
    if len({(line.course.name, line.course.unit) for line in lines}) > 1:
        raise Misuse("These runs are about different measurements.", hint="Compare runs of one model.")
    say(f"{lines[0].course.title}, {lines[0].course.unit}; simulated, not measured")
    for number, line in enumerate(lines):
        say(f"  {letter(number)}  {line.title}; run {line.run[:12]}, from {line.at:%Y-%m-%d %H:%M} UTC")
    starts = {line.at for line in lines}
    if len(starts) == 1:
        for text in draw_branches([line.course for line in lines], lines[0].at):
            say(text)
    else:
        say("They start at different times: there is no picture of all.")
    known = {name: outcome for line in reversed(lines) for name, outcome in line.outcomes.items()}
    order = dict.fromkeys(name for line in lines for name in line.outcomes)
    print_table(
        "What came of it: expected (middle 90 %)",
        ["Outcome", "Unit", *(f">{letter(number)}" for number in range(len(lines)))],
        (
            (
                known[name].title,
                outcome_unit(known[name]),
                *(said_outcome(line.outcomes[name]) if name in line.outcomes else "" for line in lines),
            )
            for name in order
        ),
    )
    say("Runs that were made apart are not paired: how plans differ is told within one what-if.")

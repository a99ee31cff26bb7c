"""What came of a what-if, on the page: its courses side by side, outcomes, differences, and which plan is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from gateway.calibration import Calibrated
from gateway.home import Home
from gateway.web.course import CourseChart, draw_course, letter, room_for
from gateway.web.kept import find_kept
from gateway.wording import outcome_unit, said_outcome
from twin_engine.alert import rules_of
from twin_engine.forecast import Course
from twin_engine.run import Input
from twin_engine.scenario import Comparison

__all__ = ["Shown", "build_tried", "differ"]

_MEASURED_HOURS = 2


@dataclass(frozen=True)
class Shown:
    """A kept comparison as the page shows it; rows of text."""

    run: str
    at: str
    overtaken: bool
    chart: CourseChart
    branches: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, str, tuple[str, ...]], ...]
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    unit: str
    members: int
    ranking: str
    utility: str
    declared: str
    assumptions: tuple[str, ...]
    limits: str
    citation: str


def build_tried(home: Home, found: Calibrated, asked: str) -> Shown | None:
    """Find the what-if that was asked for, or the newest; the access to the twin is recorded already."""
    saved = find_kept(home, found.twin, found.model.name, "what-if", asked)
    return _show(found, saved.id, msgspec.json.decode(saved.content, type=Comparison)) if saved else None


def differ(one: Iterable[Input], other: Iterable[Input]) -> bool:
    """Say whether two results stand on other readings, in value or time; of a person at rest time changes none."""
    then, now = ({(each.name, each.value, each.when) for each in inputs} for inputs in (one, other))
    return then != now


def _show(found: Calibrated, run: str, result: Comparison) -> Shown:
    first = result.branches[0].courses[0]
    since = result.at - timedelta(hours=_MEASURED_HOURS)
    until = result.at + timedelta(minutes=result.minutes)
    measured = [
        (r.when, r.value) for r in found.series.readings if r.channel == first.name and since <= r.when <= until
    ]
    limits = sorted({rule.limit for rule in rules_of(found.model)})
    named = [(letter(number), branch) for number, branch in enumerate(result.branches)]
    titles: dict[str, tuple[str, str]] = {}
    for _, branch in named:
        titles.update({each.name: (each.title, outcome_unit(each)) for each in branch.outcomes})
    rows = [
        (title, unit, tuple(next((said_outcome(o) for o in b.outcomes if o.name == name), "") for _, b in named))
        for name, (title, unit) in titles.items()
    ]
    utility, ranking = result.utility, ""
    if utility:
        rows.append((utility.title, "", tuple(said_outcome(b.worth) if b.worth else "" for _, b in named)))
        rows.append(("Best for", "% of members", tuple(f"{100 * (b.best or 0.0):.0f}" for _, b in named)))
        letters = {branch.plan.title: name for name, branch in named}
        ranking = ", then ".join(letters[title] for title in result.ranking)
    return Shown(
        run=run[:12],
        at=f"{result.at:%Y-%m-%d %H:%M} UTC",
        overtaken=result.at < found.track.at if found.model.follows else differ(result.inputs, found.grounds),
        chart=draw_course(
            measured,
            [(branch.plan.title, branch.courses[0]) for _, branch in named],
            result.at,
            limits=[(value, f"{value:g}") for value in limits],
            seen=room_for(limits),
        ),
        branches=tuple((name, branch.plan.title) for name, branch in named),
        outcomes=tuple(rows),
        differences=_differences([branch.differences[0] for _, branch in named[1:]]),
        unit=first.unit,
        members=result.members,
        ranking=ranking,
        utility=utility.title if utility else "",
        declared=f"Declared by {utility.declared_by}. {utility.citation}".strip() if utility else "",
        assumptions=result.assumptions,
        limits=result.limits,
        citation=result.citation,
    )


def _differences(courses: Sequence[Course]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Tell at six times how each plan differs from the reference, member by member."""
    if not courses:
        return ()
    last = len(courses[0].minutes) - 1
    points = sorted({round(last * part / 6) for part in range(7)} - {0})
    return tuple(
        (
            f"{courses[0].minutes[i]:.0f}",
            tuple(f"{c.median[i]:+.1f} ({c.low[i]:+.1f} to {c.high[i]:+.1f})" for c in courses),
        )
        for i in points
    )

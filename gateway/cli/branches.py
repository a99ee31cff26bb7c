"""Several simulated courses in one picture and one table, for a terminal: each plan has a letter."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from string import ascii_uppercase

from gateway.cli.terminal import print_table, say
from gateway.wording import outcome_unit as _unit
from gateway.wording import said_outcome as told
from twin_engine.forecast import Course
from twin_engine.scenario import Comparison, Hindsight

__all__ = ["draw_branches", "letter", "show_comparison", "told"]

MEASURED = "●"
_LABEL, _DRAWN = 6, 8


def letter(number: int) -> str:
    """Name a branch."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else f"#{number + 1}"


def draw_branches(
    courses: Sequence[Course],
    start: datetime,
    *,
    measured: Sequence[tuple[datetime, float]] = (),
    now: datetime | None = None,
    width: int = 72,
    height: int = 14,
) -> list[str]:
    """Draw the medians of courses of one channel, a letter each; where two meet, the first one's is seen.

    Measured values are ●. `now` draws an upright line. The last two rows are the axis of time (UTC) and the legend.
    """
    shown = courses[:_DRAWN]
    end = start + timedelta(minutes=max(course.minutes[-1] for course in shown))
    begin = min([start, *(when for when, _ in measured)])
    values = [value for _, value in measured] + [value for course in shown for value in course.median]
    low, high = min(values), max(values)
    span = max((end - begin).total_seconds(), 1.0)
    cells = [[" "] * width for _ in range(height)]

    def column(when: datetime) -> int:
        return min(width - 1, int((when - begin).total_seconds() / span * (width - 1)))

    def row(value: float) -> int:
        return min(height - 1, max(0, round((high - value) / max(high - low, 1e-9) * (height - 1))))

    if now is not None:
        for line in cells:
            line[column(now)] = "│"
    for number, course in reversed(list(enumerate(shown))):
        last = start + timedelta(minutes=course.minutes[-1])
        for at in range(column(start), column(last) + 1):
            minute = (at / (width - 1) * span - (start - begin).total_seconds()) / 60.0
            cells[row(_between(course, minute))][at] = letter(number)
    for when, value in measured:
        cells[row(value)][column(when)] = MEASURED
    digits = 0 if high - low >= 10 else 1 if high - low >= 1 else 2
    labels = {0: f"{high:.{digits}f}", height - 1: f"{low:.{digits}f}"}
    drawn = [f"{labels.get(number, ''):>{_LABEL}} {''.join(line).rstrip()}" for number, line in enumerate(cells)]
    axis = [" "] * (width + 5)
    for when in (begin, start, end):
        at = min(column(when), width - 5)
        axis[at : at + 5] = f"{when:%H:%M}"
    drawn.append(f"{courses[0].unit:>{_LABEL}} {''.join(axis).rstrip()} UTC")
    letters = f"{letter(0)} to {letter(len(shown) - 1)}" if len(shown) > 1 else letter(0)
    legend = f"{letters}: simulated medians" + (f"   {MEASURED} measured" if measured else "")
    drawn.append(f"{'':>{_LABEL}} {legend}")
    return drawn


def _between(course: Course, minute: float) -> float:
    """Return the median at a minute, on the straight line between its points."""
    after = min(max(bisect_left(course.minutes, minute), 1), len(course.minutes) - 1)
    one, other = course.minutes[after - 1], course.minutes[after]
    share = min(max((minute - one) / (other - one), 0.0), 1.0)
    return course.median[after - 1] + share * (course.median[after] - course.median[after - 1])


def show_comparison(found: Comparison, *, now: datetime | None = None) -> None:
    """Tell a person a comparison: the picture, what came of each plan, how they differ, and which is better."""
    say(f"{found.title} ({found.model} {found.version}); simulated, not measured")
    say(f"From {found.at:%Y-%m-%d %H:%M} UTC over {found.minutes / 60:g} h; {found.members} members, the same chance.")
    for number, branch in enumerate(found.branches):
        say(f"  {letter(number)}  {branch.plan.title}")
    first = found.branches[0].courses[0]
    measured = [(r.when, r.value) for r in found.measured if r.channel == first.name]
    for line in draw_branches([b.courses[0] for b in found.branches], found.at, measured=measured, now=now):
        say(line)
    asked = {outcome.name: outcome for branch in found.branches for outcome in branch.outcomes}
    columns = [f">{letter(number)}" for number in range(len(found.branches))]
    rows = []
    for name, one in asked.items():
        outcomes = [next((each for each in branch.outcomes if each.name == name), None) for branch in found.branches]
        rows.append((one.title, _unit(one), *(told(each) if each else "" for each in outcomes)))
    if found.utility:
        rows.append((found.utility.title, "", *(told(b.worth) if b.worth else "" for b in found.branches)))
        rows.append(("Best for", "%", *(f"{100 * (b.best or 0.0):.0f}" for b in found.branches)))
    print_table("What came of it: expected (middle 90 %)", ["Outcome", "Unit", *columns], rows)
    say()
    if len(found.branches) > 1:
        _show_differences(found)
    if found.utility:
        order = " before ".join(found.ranking)
        say(f"By expected worth: {order}. Declared by {found.utility.declared_by}. {found.utility.citation}".rstrip())
    for met in found.met:
        say(
            f"The simulated course {letter(0)} missed what was measured by {met.rmse:.1f} (root mean square); "
            f"{100 * met.inside:.0f} % of {met.count} readings lay inside its middle 90 %."
        )
    for told_ in found.hindsight[:1]:
        _show_hindsight(told_)
    for text in found.assumptions:
        say(f"Assumed: {text}")
    say(f"{found.limits} {found.citation}")


def _show_hindsight(found: Hindsight) -> None:
    """Show what would have happened in the light of what was measured."""
    say(f"{found.factual.title}, {found.factual.unit}: in the light of what was measured (middle 90 %)")
    print_table(
        "",
        [">Minutes", ">As it was", ">As it would have been", ">Difference"],
        (
            (f"{found.factual.minutes[point]:.0f}", *(_with_band(course, point, sign) for course, sign in courses))
            for courses in [((found.factual, ""), (found.counterfactual, ""), (found.difference, "+"))]
            for point in _points(found.factual)
        ),
    )


def _with_band(course: Course, point: int, sign: str = "") -> str:
    median, low, high = (f"{each[point]:{sign}.1f}" for each in (course.median, course.low, course.high))
    return f"{median} ({low} to {high})"


def _points(course: Course) -> list[int]:
    """Choose six points of a course, the last one among them."""
    last = len(course.minutes) - 1
    return sorted({round(last * part / 6) for part in range(1, 7)} - {0})


def _show_differences(found: Comparison) -> None:
    """Show at six times how each plan differs from the reference, member by member."""
    course = found.branches[1].differences[0]
    say(f"{course.title}, {course.unit}: how much it differs from {letter(0)} (middle 90 % of paired members)")
    print_table(
        "",
        [">Minutes", *(f">{letter(number)}" for number in range(1, len(found.branches)))],
        (
            (
                f"{course.minutes[point]:.0f}",
                *(_with_band(branch.differences[0], point, "+") for branch in found.branches[1:]),
            )
            for point in _points(course)
        ),
    )

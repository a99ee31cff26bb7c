"""One way of a what-if: what is seen under a plan, summed up over the ensemble, beside that of the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from twin_engine.dynamic import Channel, DynamicModel
from twin_engine.forecast import Course
from twin_engine.model import Array
from twin_engine.outcome import Measure, Outcome, Utility, ends, outcome_of, quantiles
from twin_engine.plan import Plan

__all__ = ["Branch", "Way", "branches_of", "course_of", "minutes_of"]

Way = tuple[Array, Array | None]
"""What is seen under a plan, (points, members, channels), and the insulin that its therapy gave, (members,)."""

_MEDIAN_AND_ENDS = np.array([0.5, 0.05, 0.95])


class Branch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way from the common start: its plan, its courses, and how they differ from those of the reference.

    `differences` are of paired members; `worth` is the declared utility, and `best` the share of the members for whom
    no other plan has more of it.
    """

    plan: Plan
    courses: tuple[Course, ...]
    differences: tuple[Course, ...]
    outcomes: tuple[Outcome, ...]
    worth: Outcome | None = None
    best: float | None = None


def branches_of(
    model: DynamicModel,
    plans: Sequence[Plan],
    ways: Iterable[Way],
    measures: Sequence[Measure],
    utility: Utility | None,
) -> tuple[Branch, ...]:
    """Sum up each way, beside the first one; one at a time, for a way is large."""
    branches: list[Branch] = []
    worths: list[Array] = []
    reference: Array | None = None
    for plan, (seen, insulin) in zip(plans, ways, strict=True):
        courses = np.array(seen.transpose(2, 0, 1), order="C")
        minutes = minutes_of(model, seen)
        answers = _answers(model, courses, measures)
        differences = () if reference is None else _told(model, minutes, courses - reference)
        reference = courses.copy() if reference is None else reference
        told = _outcomes(model, measures, answers, insulin)
        branches.append(Branch(plan, _told(model, minutes, courses), differences, told))
        if utility:
            worths.append(utility.of(answers))
    if not worths:
        return tuple(branches)
    return tuple(
        msgspec.structs.replace(branch, worth=_middle("worth", "Worth", "1", worth), best=best)
        for branch, worth, best in zip(branches, worths, _best(worths), strict=True)
    )


def _answers(model: DynamicModel, courses: Array, measures: Sequence[Measure]) -> dict[str, Array]:
    """Ask each member of (channels, points, members); the start is all plans' and does not count."""
    columns = {channel.name: column for column, channel in enumerate(model.channels)}
    return {each.name: each.of(courses[columns[each.channel], 1:], model.every_minutes) for each in measures}


def _outcomes(
    model: DynamicModel, measures: Sequence[Measure], answers: Mapping[str, Array], insulin: Array | None
) -> tuple[Outcome, ...]:
    units = {channel.name: channel.unit for channel in model.channels}
    found = (outcome_of(each, answers[each.name], units[each.channel]) for each in measures)
    told = tuple(outcome for outcome in found if outcome)
    return told if insulin is None else (*told, _middle("insulin", "Insulin that the therapy gives", "[iU]", insulin))


def _best(worths: Sequence[Array]) -> list[float]:
    """Return for each branch the share of the members for whom it is the best; who shares a place shares the member."""
    all_ = np.stack(worths)
    first = all_ == all_.max(axis=0)
    return [float(share) for share in (first / first.sum(axis=0)).mean(axis=1)]


def _middle(name: str, title: str, unit: str, values: Array) -> Outcome:
    low, high = ends(values)
    return Outcome(name, title, unit, float(values.mean()), low, high)


def _told(model: DynamicModel, minutes: tuple[float, ...], courses: Array) -> tuple[Course, ...]:
    """Sum up each channel of (channels, points, members), whose members are put in order."""
    courses.sort(axis=2)
    return tuple(course_of(channel, minutes, courses[i]) for i, channel in enumerate(model.channels))


def minutes_of(model: DynamicModel, seen: Array) -> tuple[float, ...]:
    """Return when the points were seen, in minutes from the start."""
    return tuple(float(point * model.every_minutes) for point in range(len(seen)))


def course_of(channel: Channel, minutes: tuple[float, ...], ordered: Array) -> Course:
    """Sum up ordered members (points, members) by the median and the middle 90 %; a thousandth is enough."""
    median, low, high = np.round(quantiles(ordered, _MEDIAN_AND_ENDS), 3).T.tolist()
    return Course(channel.name, channel.title, channel.unit, minutes, tuple(median), tuple(low), tuple(high))

"""One way of a what-if: what is seen under a plan, summed up over the ensemble, beside that of the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from twin_engine.dynamic import Channel, DynamicModel
from twin_engine.forecast import Course
from twin_engine.model import Array
from twin_engine.outcome import Measure, Outcome, outcome_of
from twin_engine.plan import Plan

__all__ = ["Branch", "Way", "answers_of", "best_of", "branch_of", "course_of", "minutes_of"]

Way = tuple[Array, Array | None]
"""What is seen under a plan, (points, members, channels), and the insulin that its therapy gave, (members,)."""


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


def answers_of(model: DynamicModel, seen: Array, measures: Sequence[Measure]) -> dict[str, Array]:
    """Ask each member; the start is all plans' and does not count."""
    columns = {channel.name: column for column, channel in enumerate(model.channels)}
    return {each.name: each.of(seen[1:, :, columns[each.channel]], model.every_minutes) for each in measures}


def best_of(worths: Sequence[Array]) -> list[float]:
    """Return for each branch the share of the members for whom it is the best; who shares a place shares the member."""
    if not worths:
        return []
    all_ = np.stack(worths)
    first = all_ == all_.max(axis=0)
    return [float(share) for share in (first / first.sum(axis=0)).mean(axis=1)]


def branch_of(
    model: DynamicModel,
    plan: Plan,
    way: Way,
    reference: Array,
    measures: Sequence[Measure],
    answers: Mapping[str, Array],
    worth: tuple[Array, float] | None,
) -> Branch:
    """Sum up one way; `worth` is what each member's outcomes are worth, and the share for whom it is the best."""
    units = {channel.name: channel.unit for channel in model.channels}
    seen, insulin = way
    outcomes = [outcome_of(each, answers[each.name], units[each.channel]) for each in measures]
    if insulin is not None:
        outcomes.append(_middle("insulin", "Insulin that the therapy gives", "[iU]", insulin))
    told = None if worth is None else _middle("worth", "Worth", "1", worth[0])
    return Branch(
        plan,
        _courses(model, seen),
        () if seen is reference else _courses(model, seen - reference),
        tuple(outcomes),
        told,
        worth[1] if worth else None,
    )


def _middle(name: str, title: str, unit: str, values: Array) -> Outcome:
    low, high = np.quantile(values, (0.05, 0.95))
    return Outcome(name, title, unit, float(values.mean()), float(low), float(high))


def _courses(model: DynamicModel, seen: Array) -> tuple[Course, ...]:
    """Sum up each channel by the median and the middle 90 % of the members."""
    ordered = np.sort(np.ascontiguousarray(seen.transpose(2, 0, 1)), axis=2)
    minutes = minutes_of(model, seen)
    return tuple(course_of(channel, minutes, ordered[i]) for i, channel in enumerate(model.channels))


def minutes_of(model: DynamicModel, seen: Array) -> Array:
    """Return when the points were seen, in minutes from the start."""
    return np.arange(len(seen), dtype=np.float64) * model.every_minutes


def course_of(channel: Channel, minutes: Array, ordered: Array) -> Course:
    """Sum up ordered members (points, members)."""
    median, low, high = (_at(ordered, share) for share in (0.5, 0.05, 0.95))
    return Course(channel.name, channel.title, channel.unit, tuple(minutes.tolist()), median, low, high)


def _at(ordered: Array, share: float) -> tuple[float, ...]:
    """Take a quantile of ordered members (points, members), as numpy does by default; a thousandth is enough."""
    place = share * (ordered.shape[1] - 1)
    low = int(place)
    high = min(low + 1, ordered.shape[1] - 1)
    values = ordered[:, low] + (place - low) * (ordered[:, high] - ordered[:, low])
    return tuple(np.round(values, 3).tolist())

"""What if: a patient's ensemble goes several ways from one moment, under several plans and the same chance.

Member for member the branches share their state, their parameters and the noise of what is not modelled (common random
numbers), so that a difference between two plans is the plans', and much surer than either course. All is simulated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.branch import Branch, Way, branches_of, course_of, minutes_of
from twin_engine.checkpoint import floor
from twin_engine.dynamic import Channel, DynamicModel
from twin_engine.follow import follow_each
from twin_engine.forecast import Course
from twin_engine.hindsight import smooth
from twin_engine.led import check_therapy, follow_led
from twin_engine.model import Array
from twin_engine.outcome import Utility, measures_of, usual_utility
from twin_engine.plan import Plan, check_plan, inputs_under
from twin_engine.reach import said_of_ends
from twin_engine.run import Input
from twin_engine.series import Dose, Reading, Series
from twin_engine.therapy import BASAL, BOLUS, MEAL, Therapy
from twin_engine.track import Track, ensemble_at

__all__ = ["LONGEST", "Branch", "Comparison", "Hindsight", "Met", "counterfactual", "what_if"]

LONGEST = 7 * 1440  # minutes; policy: what nobody foresees outweighs a plan long before
_NOTHING = "Nothing is given, eaten or injected but what a plan says and what is on record."
_BARE = "The courses are of the value itself, without the error of the device that measures it."
_CHANCE = "All branches meet the same chance: what is not modelled happens to each of them alike."
_LED = (
    "Under a therapy each member wears a sensor of its own that errs as such sensors do, and insulin is what the "
    "therapy then decides; a meal is announced when it begins. A simulation: no product and no prescription is so."
)
_REST = (
    "Of the past after this moment the doses on record are held. What else happened then is left to chance in the "
    "simulated courses; in those of hindsight it is taken from what was measured."
)


class Met(msgspec.Struct, frozen=True):
    """How near the simulated factual course came to what was measured: rmse in the channel's unit, the share inside
    the middle 90 % (the device's error included), and how many measurements.
    """

    channel: str
    rmse: float
    inside: float
    count: int


class Hindsight(msgspec.Struct, frozen=True):
    """Both courses of a channel in the light of what was measured after the start, and how they differ."""

    factual: Course
    counterfactual: Course
    difference: Course


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True, tag="what-if"):
    """Several branches side by side; the first is the reference. Simulated, but for `measured`.

    `ranking` names the plans, that of the highest expected worth first; it is empty where no utility is declared.
    """

    kind: Literal["what-if", "counterfactual"]
    model: str
    title: str
    version: str
    settings: dict[str, str]
    at: datetime
    minutes: int
    branches: tuple[Branch, ...]
    utility: Utility | None
    ranking: tuple[str, ...]
    inputs: tuple[Input, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    seed: int
    members: int
    measured: tuple[Reading, ...] = ()
    met: tuple[Met, ...] = ()
    hindsight: tuple[Hindsight, ...] = ()


def what_if(
    model: DynamicModel,
    track: Track,
    plans: Sequence[Plan],
    *,
    at: datetime,
    minutes: int,
    doses: Iterable[Dose] = (),
    utility: Utility | None = None,
    grounds: tuple[Input, ...] = (),
    assumptions: tuple[str, ...] = (),
) -> Comparison:
    """Send the ensemble of a track along several plans from `at` on; the first plan is the reference.

    Parameters
    ----------
    track
        What is known of the patient, at `at` or before it. For a past version of a twin: the track of that version.
    minutes
        How far to look; rounded up to the model's spacing.
    doses
        What is on record and later than the track, and holds in each branch unless its plan replaces it.
    utility
        What is better; by default the model's usual one, if there is one.
    grounds, assumptions
        What the track stands on, to be told with the result.
    """
    ways = _ways(model, track, plans, at, minutes, tuple(doses))
    led = (_LED,) if any(plan.therapy for plan in plans) else ()
    told = (*assumptions, _NOTHING, _BARE, _CHANCE, *led)
    return _compared(model, track, plans, ways, utility or usual_utility(model), grounds, told)


def counterfactual(
    model: DynamicModel,
    track: Track,
    series: Series,
    plan: Plan,
    *,
    minutes: int,
    utility: Utility | None = None,
    grounds: tuple[Input, ...] = (),
    assumptions: tuple[str, ...] = (),
) -> Comparison:
    """Tell what would have happened from a past moment on, had `plan` been done instead of what it replaces.

    `track` is what was known at the plan's start: it has used nothing later. `series` is all that is on record; its
    doses after the start are held, but for the inputs that the plan replaces. What was measured then stands beside the
    two simulated courses, with how near the factual one came to it; and, as `hindsight`, both courses in its light.
    """
    plans = (Plan("as it was", plan.start), plan)
    ways = list(_ways(model, track, plans, plan.start, minutes, series.doses))
    found = _compared(
        model, track, plans, ways, utility or usual_utility(model), grounds, (*assumptions, _REST, _BARE, _CHANCE)
    )
    start = found.at
    end = start + timedelta(minutes=found.minutes)
    measured = tuple(reading for reading in series.readings if start < reading.when <= end)
    return msgspec.structs.replace(
        found,
        kind="counterfactual",
        measured=measured,
        met=tuple(met for course in found.branches[0].courses if (met := _met(course, start, measured))),
        hindsight=tuple(_hindsight(model, (ways[0][0], ways[1][0]), start, measured, track.seed)),
    )


def _ways(
    model: DynamicModel, track: Track, plans: Sequence[Plan], at: datetime, minutes: int, doses: tuple[Dose, ...]
) -> Iterator[Way]:
    """Follow each plan, when its turn comes."""
    start, every = floor(at), model.every_minutes
    span = -(-minutes // every) * every
    _check(model, track, plans, start, span)
    state = ensemble_at(model, track, doses, start)
    recorded = (*track.running, *(dose for dose in doses if dose not in track.running))
    free = [
        inputs_under(model, plan, recorded, start, span, resting=track.resting)
        for plan in plans
        if plan.therapy is None
    ]
    followed = follow_each(model, state, free, start, every, track.seed)
    return (
        (next(followed), None)
        if plan.therapy is None
        else _led(model, track, plan, plan.therapy, state, recorded, start, span)
        for plan in plans
    )


def _led(
    model: DynamicModel,
    track: Track,
    plan: Plan,
    therapy: Therapy,
    state: Array,
    recorded: tuple[Dose, ...],
    start: datetime,
    span: int,
) -> Way:
    """Follow a plan under its therapy: what is seen, and what the therapy gave."""
    instead = msgspec.structs.replace(plan, replaces=tuple({*plan.replaces, BASAL, BOLUS}))
    laid = inputs_under(model, instead, recorded, start, span, resting=track.resting)
    meals = [dose for dose in recorded if MEAL not in plan.replaces or dose.when < plan.start]
    return follow_led(model, state, laid, start, track.seed, therapy, [*meals, *plan.doses])


def _compared(
    model: DynamicModel,
    track: Track,
    plans: Sequence[Plan],
    ways: Iterable[Way],
    utility: Utility | None,
    grounds: tuple[Input, ...],
    assumptions: tuple[str, ...],
) -> Comparison:
    """Sum up what came of each plan; all plans begin at the same moment."""
    branches = branches_of(model, plans, ways, measures_of(model), utility)
    told = tuple(said for channel in model.channels for said in _ends(channel, branches))
    ranked = sorted((b for b in branches if b.worth), key=lambda b: b.worth.value if b.worth else 0.0, reverse=True)
    return Comparison(
        kind="what-if",
        model=model.name,
        title=model.title,
        version=model.version,
        settings=model.settings,
        at=floor(plans[0].start),
        minutes=round(branches[0].courses[0].minutes[-1]),
        branches=branches,
        utility=utility,
        ranking=tuple(branch.plan.title for branch in ranked),
        inputs=grounds,
        assumptions=(*assumptions, *told),
        limits=model.card.limits,
        citation=model.citation,
        seed=track.seed,
        members=track.members,
    )


def _ends(channel: Channel, branches: Iterable[Branch]) -> tuple[str, ...]:
    """Say whether a branch comes to the end of what the model tells of a channel."""
    courses = [course for branch in branches for course in branch.courses if course.name == channel.name]
    return said_of_ends(channel, min(min(each.low) for each in courses), max(max(each.high) for each in courses))


def _check(model: DynamicModel, track: Track, plans: Sequence[Plan], start: datetime, span: int) -> None:
    """Refuse what cannot be compared."""
    if not 0 < span <= LONGEST:
        raise Misuse(f"A plan is followed for 1 to {LONGEST} minutes.", hint="Choose another number of minutes.")
    if start < track.at:
        raise Misuse(
            "The calibration knows more than was known at the moment from which to look.",
            hint="Take the calibration as it was then.",
        )
    titles = [plan.title for plan in plans]
    if not titles or len(set(titles)) < len(titles):
        raise Misuse("Plans that are compared need titles that differ.", hint="Give each plan a title of its own.")
    for plan in plans:
        check_plan(model, plan)
        if plan.therapy:
            check_therapy(model, plan.therapy, plan.doses)
        if floor(plan.start) != start:
            raise Misuse("A plan begins at another moment than that from which to look.", hint="Correct its start.")


def _hindsight(
    model: DynamicModel, ways: tuple[Array, Array], start: datetime, measured: Sequence[Reading], seed: int
) -> Iterator[Hindsight]:
    """Smooth both courses of each channel that was measured."""
    factual, other = ways
    minutes = minutes_of(model, factual)
    for column, channel in enumerate(model.channels):
        readings = [reading for reading in measured if reading.channel in channel.names]
        if readings:
            pair = smooth(factual[:, :, column], other[:, :, column], np.array(minutes), start, readings, seed)
            seen = np.stack([*pair, pair[1] - pair[0]])
            yield Hindsight(*(course_of(channel, minutes, np.sort(each, axis=1)) for each in seen))


def _met(course: Course, start: datetime, measured: Sequence[Reading]) -> Met | None:
    """Compare a course with the readings of its channel that are numbers."""
    readings = [r for r in measured if r.channel == course.name and not r.edge]
    if not readings:
        return None
    when = np.array([(r.when - start).total_seconds() / 60.0 for r in readings])
    value, sd = np.array([r.value for r in readings]), np.array([r.sd for r in readings])
    median, low, high = (np.interp(when, course.minutes, each) for each in (course.median, course.low, course.high))
    spread = 1.645 * np.hypot((high - low) / (2 * 1.645), sd)  # half of the middle 90 %, with the device's error
    off = value - median
    return Met(course.name, float(np.sqrt(np.mean(off**2))), float(np.mean(np.abs(off) <= spread)), len(readings))

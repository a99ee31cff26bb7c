"""What a model that moves in time keeps: bounds, members on their own, courses that can be cut and repeated."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np

from security.errors import Diverged, Fault, Misuse
from twin_engine.checks.course import FULL, LIGHT, MEMBERS, Laid, lay, people
from twin_engine.checks.rule import Broken
from twin_engine.checks.time_step import halve_steps
from twin_engine.dynamic import DynamicModel, State
from twin_engine.model import Array
from twin_engine.plan import Plan, check_plan
from twin_engine.series import Dose

__all__ = ["check_motion", "leaves"]

SAME = 1e-9  # relative: what rounding alone may change
DRAWN = 1000  # members whose parameters are looked at
FEW = 1  # people, where each start is a calibration
FEWER = 17  # members of a course of such a model: one more than a block of 16
NOON = datetime(2024, 6, 15, 12, tzinfo=UTC)


def check_motion(model: DynamicModel) -> Broken:
    """Check what a model starts with, how it moves, and what plans it refuses."""
    yield from (tuple(_starts(model)) or tuple(_moves(model)))
    yield from _plans(model)


def _starts(model: DynamicModel) -> Broken:
    """Check the ensemble at rest: its shape, its states in bounds, its parameters in bounds."""
    width = len(model.states)
    for inputs in people(model)[: None if model.follows else FEW]:
        state = model.start(inputs, DRAWN if model.follows else model.members, np.random.default_rng(1))
        if state.shape[1:] != (model.width,):
            yield "shape", f"start() gives {state.shape}, not (members, states + fitted)."
            return
        if model.measure(state).shape != (len(state), len(model.channels)):
            yield "shape", f"measure() gives {model.measure(state).shape}, not (members, channels)."
            return
        for said in _outside(model, state).values():
            yield "state-bounds", f"At rest, with {inputs}: {said}"
            return
        fitted = model.natural(state[:, width:])
        bounds = np.array([parameter.bounds for parameter in model.fitted]).reshape(-1, 2).T
        if not ((fitted >= bounds[0]) & (fitted <= bounds[1])).all():
            yield "parameter-bounds", "Drawn parameters are outside their bounds."
            return


def _moves(model: DynamicModel) -> Broken:
    """Check one course under a light plan from all sides, and that a full one is followed or refused."""
    laid = lay(model, LIGHT, MEMBERS if model.follows else FEWER)
    state, plan = laid.state.copy(), laid.plan.copy()
    try:
        after, seen = model.trace(state, plan, laid.every)
    except Fault as fault:
        yield "finite", f"A light plan is not followed: {fault.message}"
        return
    points = len(laid.plan) // laid.every
    if after.shape != state.shape or seen.shape != (points, len(state), len(model.channels)):
        yield (
            "shape",
            f"trace() gives {after.shape} and {seen.shape}, not the state's shape and (points, members, channels).",
        )
        return
    if not (np.isfinite(after).all() and np.isfinite(seen).all()):
        yield "finite", "A light plan gives numbers that are none."
        return
    if not (np.array_equal(state, laid.state) and np.array_equal(plan, laid.plan)):
        yield "untouched", "trace() has changed the state or the plan that it was given."
        return
    again = model.trace(laid.state, laid.plan, laid.every)
    if not (np.array_equal(after, again[0]) and np.array_equal(seen, again[1])):
        yield "seed", "trace() gives other numbers for the same state and plan."
        return
    yield from _alone(model, laid, after)
    yield from _split(model, laid, after, seen)
    yield from _kept(model, laid, after, seen)
    yield from _anchors(model, after)
    yield from _steps(model)
    yield from _full(model)


def _alone(model: DynamicModel, laid: Laid, after: Array) -> Broken:
    for member in (0, len(after) - 1):
        alone = model.trace(laid.state[member : member + 1], laid.plan, laid.every)[0]
        if not _same(alone[0], after[member]):
            yield "members", "trace() takes a member another way alone than in company."
            return


def _split(model: DynamicModel, laid: Laid, after: Array, seen: Array) -> Broken:
    first, before = model.trace(laid.state, laid.plan[: laid.half], laid.every)
    second, behind = model.trace(first, laid.plan[laid.half :], laid.every)
    if not (_same(second, after) and _same(np.concatenate([before, behind]), seen)):
        yield "split", f"A course that is cut at minute {laid.half} goes on another way."


def _kept(model: DynamicModel, laid: Laid, after: Array, seen: Array) -> Broken:
    width = len(model.states)
    if not np.array_equal(laid.state[:, width:], after[:, width:]):
        yield "parameter-bounds", "trace() moves the parameters."
    if not _same(seen[-1], model.measure(after)):
        yield "measure", "What trace() observes last is not what measure() tells of its end."
    state = laid.state
    for minute in range(0, len(laid.plan), laid.every):
        state = model.trace(state, laid.plan[minute : minute + laid.every], laid.every)[0]
        for said in _outside(model, state).values():
            yield "state-bounds", f"Under a light plan, at minute {minute + laid.every}: {said}"
            return


def _anchors(model: DynamicModel, state: Array) -> Broken:
    kept = state.copy()
    for column, channel in enumerate(model.channels):
        low, high = channel.bounds
        value = low + 0.3 * (high - low)
        moved = model.anchor(state, column, value)
        if moved.shape != state.shape:
            yield "shape", f"anchor() gives {moved.shape}, not the shape of the state."
            return
        if not np.array_equal(state, kept):
            yield "untouched", "anchor() has changed the state that it was given."
            return
        was, now = (np.abs(model.measure(one)[:, column] - value) for one in (state, moved))
        if not (now <= np.maximum(0.5 * was, channel.sd)).all():
            yield "anchor", f"anchor() does not bring {channel.name} to a reading, nor half of the way."


def _plans(model: DynamicModel) -> Broken:
    """Check that each bound of a plan input is taken, and that what is just outside is refused."""
    for given in model.plan:
        low, high = given.bounds
        margin, minutes = (high - low) / 2000.0, 30.0 if given.group == "exercise" else 0.0
        for amount, inside in ((low, True), (high, True), (low - margin, False), (high + margin, False)):
            try:
                check_plan(model, Plan("check", NOON, (Dose(NOON, given.name, amount, minutes),)))
                taken = True
            except Misuse:
                taken = False
            if taken != inside:
                said = "refuses" if inside else "takes"
                yield "plan-refusal", f"A plan with {amount:g} {given.unit} of {given.name}: the model {said} it."


def leaves(model: DynamicModel) -> tuple[str, ...]:
    """Say which states leave their bounds under a plan at its upper bounds, or why it is not followed."""
    laid = lay(model, FULL)
    state, told = laid.state, dict[str, str]()
    for minute in range(0, len(laid.plan), laid.every):
        try:
            state = model.trace(state, laid.plan[minute : minute + laid.every], laid.every)[0]
        except Fault as fault:
            return (*told.values(), fault.message)
        for name, said in _outside(model, state).items():
            told.setdefault(name, f"At minute {minute + laid.every}: {said}")
    return tuple(told.values())


def _steps(model: DynamicModel) -> Broken:
    try:
        changes = halve_steps(model, whole=False)
    except Fault as fault:
        yield "time-step", f"A light plan is not followed with shorter steps: {fault.message}"
        return
    for change in changes:
        if not change.fine:
            yield "time-step", str(change)


def _full(model: DynamicModel) -> Broken:
    """Check that a plan at its upper bounds is followed, or stopped where a number is lost."""
    laid = lay(model, FULL)
    try:
        after, seen = model.trace(laid.state, laid.plan, laid.every)
    except Diverged:
        return
    except Misuse as misuse:
        yield "plan-refusal", f"trace() refuses a plan at the model's own bounds: {misuse.message}"
        return
    if not (np.isfinite(after).all() and np.isfinite(seen).all()):
        yield "finite", "A plan at its upper bounds gives numbers that are none, without a word."


def _outside(model: DynamicModel, state: Array) -> dict[str, str]:
    """Say of each state that some member has outside its bounds how far."""
    found = {}
    for column, known in enumerate(model.states):
        low, high = known.bounds
        least, most = float(state[:, column].min()), float(state[:, column].max())
        slack = SAME * max(abs(bound) for bound in known.bounds if math.isfinite(bound)) if _ends(known) else 0.0
        if not (low - slack <= least and most <= high + slack):
            worst = most if low - slack <= least else least
            found[known.name] = f"{known.name} is {worst:.4g} {known.unit}, outside {low:g} to {high:g}."
    return found


def _ends(state: State) -> bool:
    return any(map(math.isfinite, state.bounds))


def _same(one: Array, other: Array) -> bool:
    """Say whether numbers agree but for rounding, of which zero may have as much as the largest."""
    return bool(np.allclose(one, other, rtol=SAME, atol=1e-3 * SAME * float(np.abs(other).max(initial=0.0))))

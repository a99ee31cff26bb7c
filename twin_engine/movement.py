"""Why a number moved between two profiles of one patient: which inputs changed, and how much of it each one explains.

The inputs are swapped from before to after, and the model is asked at each step. What an input explains is its Shapley
value: its effect on the result, averaged over all orders in which the changed inputs may be swapped (Shapley LS. A
value for n-person games. Contributions to the Theory of Games II, 1953: 307-317). The shares add up to the movement
exactly. An equation is not a cause: a share says what the model makes of a changed input, not what that does to the
patient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from math import factorial
from typing import Literal

import msgspec
import numpy as np

from twin_engine.answer import Found
from twin_engine.model import Array, Need, TwinModel, Yield
from twin_engine.profile import Profile
from twin_engine.run import Input, Missing, Output, Run, ask, simulate

__all__ = ["MOST_EXACT", "Change", "Movement", "Moves", "Share", "explain", "one_at_a_time", "shapley"]

MOST_EXACT = 8  # changed inputs of which all 2^n combinations are asked
FEW_EXACT = 2  # the same of a model that answers with an ensemble, which takes seconds

Cause = Literal["facts", "time", "model"]
Value = Callable[[frozenset[str]], Fraction]


class Change(msgspec.Struct, frozen=True):
    """One input before and after; `None` where it was not known. "time": it changed though its facts did not."""

    name: str
    title: str
    cause: Cause
    before: Input | None
    after: Input | None
    moved: bool  # another value, not only another age or source


class Share(msgspec.Struct, frozen=True):
    """How much of a movement one changed input explains, in the unit of the result. "model": another version of it."""

    name: str
    title: str
    cause: Cause
    amount: float


class Movement(msgspec.Struct, frozen=True):
    """One result before and after; `None` where it was not computed, and `say` has the reason.

    `method` is "exact" (Shapley values), "one at a time" (in the order of the shares; for many changed inputs),
    "unmoved", or "" where it cannot be told apart.
    """

    name: str
    title: str
    kind: Literal["observation", "risk"]
    unit: str
    decimals: int
    before: float | None
    after: float | None
    method: Literal["exact", "one at a time", "unmoved", ""]
    shares: tuple[Share, ...]
    say: str = ""


class Moves(msgspec.Struct, frozen=True):
    """What became of all results of one model, and of all its inputs."""

    model: str
    title: str
    version: str
    version_before: str
    settings: dict[str, str]
    settings_before: dict[str, str]
    changes: tuple[Change, ...]
    results: tuple[Movement, ...]
    before: Run | Missing
    after: Run | Missing


def explain(model: TwinModel, before: Profile, after: Profile, kept: Run | None = None) -> Moves:
    """Say what moved between two profiles, and why.

    `kept` is a run of an earlier version or of other settings of the model, which then takes the place of what the
    model would say today about `before`; the share of the model is what it says today about the kept inputs, less what
    was said then.
    """
    then: Run | Missing = kept or simulate(model, before)
    now = simulate(model, after)
    old, new = _inputs(model, before), _inputs(model, after)
    if kept is not None:
        asked = {need.name for need in model.needs}
        old = {each.name: each for each in kept.inputs if each.name in asked}
    changes = tuple(_changes(model, before, after, old, new))
    swaps = _Swaps(model, old, new)
    return Moves(
        model=model.name,
        title=model.title,
        version=model.version,
        version_before=then.version,
        settings=model.settings,
        settings_before=then.settings if isinstance(then, Run) else model.settings,
        changes=changes,
        results=tuple(
            _movement(each, then, now, changes, swaps, other_model=kept is not None) for each in model.yields
        ),
        before=then,
        after=now,
    )


def shapley(names: Sequence[str], value: Value) -> dict[str, Fraction]:
    """Share out what changes when all names are swapped: exact, of 2^n values. The shares add up to it exactly."""
    count = len(names)
    shares = dict.fromkeys(names, Fraction(0))
    for size in range(count):
        weight = Fraction(factorial(size) * factorial(count - size - 1), factorial(count))
        for chosen in combinations(names, size):
            base = frozenset(chosen)
            for name in names:
                if name not in base:
                    shares[name] += weight * (value(base | {name}) - value(base))
    return shares


def one_at_a_time(names: Sequence[str], value: Value) -> dict[str, Fraction]:
    """Share out what changes when the names are swapped one after the other, in their order; adds up exactly."""
    steps = [value(frozenset(names[:count])) for count in range(len(names) + 1)]
    return {name: later - earlier for name, earlier, later in zip(names, steps[:-1], steps[1:], strict=True)}


class _Swaps:
    """Answers of a model to inputs of which some are from before and the others from after; each is asked once."""

    def __init__(self, model: TwinModel, before: Mapping[str, Input], after: Mapping[str, Input]) -> None:
        self._model, self._before, self._after = model, before, after
        self._dated = frozenset(need.name for need in model.needs if need.dated)
        self._told: dict[frozenset[str], Array] = {}

    @property
    def is_quick(self) -> bool:
        """Say whether one member is the whole answer."""
        return self._model.members == 1

    def value(self, column: int, swapped: frozenset[str]) -> float:
        """Return one yield where the swapped inputs are from after."""
        if swapped not in self._told:
            inputs = [each for name, each in self._before.items() if name not in swapped]
            inputs += [each for name, each in self._after.items() if name in swapped]
            told = {each.name: each.value for each in inputs}
            told |= {f"{each.name}-days": float(each.age_days or 0) for each in inputs if each.name in self._dated}
            state = self._model.start(told, self._model.members, np.random.default_rng(0))
            with np.errstate(all="ignore"):  # a mixture may lie where the model does not hold: then it is no number
                self._told[swapped] = np.median(self._model.observe(state), axis=0)
        return float(self._told[swapped][column])

    def column(self, wanted: Yield) -> int:
        """Say where a yield stands."""
        return self._model.yields.index(wanted)


def _inputs(model: TwinModel, profile: Profile) -> dict[str, Input]:
    found, _ = ask(model, profile)
    return {need.name: _input(need, found[need.name]) for need in model.needs if need.name in found}


def _input(need: Need, answer: Found) -> Input:
    when = str(answer.when) if answer.when else ""
    return Input(
        name=need.name,
        title=need.title,
        value=answer.value,
        said=answer.said,
        unit=answer.unit,
        basis=answer.basis,
        when=when,
        age_days=answer.age_days,
        facts=answer.facts,
    )


def _changes(
    model: TwinModel, before: Profile, after: Profile, old: Mapping[str, Input], new: Mapping[str, Input]
) -> list[Change]:
    """List the inputs that are not the same, each with its cause."""
    # What the facts of before would say at the time of after: what is the same there was moved by time alone.
    later = Profile(before.facts, after.at, before.closed, before.assume_absent)
    aged = _inputs(model, later)
    changes = []
    for need in model.needs:
        one, other = old.get(need.name), new.get(need.name)
        if one is None and other is None:
            continue
        moved = one is None or other is None or one.value != other.value
        if need.dated and one is not None and other is not None:
            moved = moved or one.age_days != other.age_days
        if not moved and one is not None and other is not None and _ground(one) == _ground(other):
            continue
        middle = aged.get(need.name)
        by_time = (middle is None) == (other is None) and (
            middle is None or other is None or (middle.value, _ground(middle)) == (other.value, _ground(other))
        )
        changes.append(Change(need.name, need.title, "time" if by_time else "facts", one, other, moved))
    return changes


def _ground(each: Input) -> tuple[object, ...]:
    """Tell what an answer rests on, but for its age and for the version of the resource and of the mapping."""
    facts = tuple((f.origin.source, f.origin.resource, f.origin.path, f.value, f.when) for f in each.facts)
    return each.said, each.unit, each.basis, each.when, facts


def _movement(
    wanted: Yield,
    then: Run | Missing,
    now: Run | Missing,
    changes: Sequence[Change],
    swaps: _Swaps,
    *,
    other_model: bool,
) -> Movement:
    one, other = _output(then, wanted), _output(now, wanted)

    def told(
        method: Literal["exact", "one at a time", "unmoved", ""], shares: tuple[Share, ...] = (), say: str = ""
    ) -> Movement:
        return Movement(
            name=wanted.name,
            title=wanted.title,
            kind=wanted.kind,
            unit=wanted.unit,
            decimals=wanted.decimals,
            before=one.value if one else None,
            after=other.value if other else None,
            method=method,
            shares=shares,
            say=say,
        )

    if one is None or other is None:
        return told("", say=_why_not(wanted, then if one is None else now))
    column = swaps.column(wanted)
    all_moved = {change.name: change for change in changes if change.moved}
    moved = {name: change for name, change in all_moved.items() if name in wanted.needs}
    if swaps.value(column, frozenset(moved)) != other.value:  # an input that it can do without counts too
        moved = all_moved
    numbers = [swaps.value(column, frozenset(chosen)) for chosen in ((), moved)]
    if not np.isfinite(numbers).all():  # inputs that an earlier version of the model did not ask for
        return told("", say="The kept run does not have all inputs that the model asks for now.")
    if not moved and not other_model and one.value == other.value:
        return told("unmoved")

    def value(chosen: frozenset[str]) -> Fraction:
        return Fraction(swaps.value(column, chosen))

    names = tuple(moved)
    few = len(names) <= (MOST_EXACT if swaps.is_quick else FEW_EXACT)
    try:
        parts = shapley(names, value) if few else one_at_a_time(names, value)
    except (ValueError, OverflowError):  # Fraction refuses what is no number
        return told("", say="A mixture of the inputs of before and after is where the model does not hold.")
    shares = [Share(name, moved[name].title, moved[name].cause, float(amount)) for name, amount in parts.items()]
    model_share = Fraction(numbers[0]) - Fraction(one.value)
    if other_model:
        shares.append(Share("model", "Another version or other settings of the model", "model", float(model_share)))
    return told("exact" if few else "one at a time", tuple(shares))


def _output(result: Run | Missing, wanted: Yield) -> Output | None:
    if isinstance(result, Missing):
        return None
    return next((output for output in result.outputs if output.name == wanted.name), None)


def _why_not(wanted: Yield, result: Run | Missing) -> str:
    if reason := result.not_computed.get(wanted.name):
        return reason
    return " ".join(result.say) if isinstance(result, Missing) else "The model did not give this result."

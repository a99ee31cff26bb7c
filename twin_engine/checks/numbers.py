"""What every model computes: shapes, the same bits for a seed, finite numbers, members on their own, refusals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin_engine.answer import Found
from twin_engine.checks.example import corners, example_profile, middle, outside
from twin_engine.checks.rule import Broken
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array, TwinModel
from twin_engine.run import Run, simulate

__all__ = ["check_numbers", "check_refusals", "holds"]

MEMBERS = 3
HOUR = 1.0 / 24.0


def check_numbers(model: TwinModel) -> Broken:
    """Check what a model starts with and what is observed, at the corners of the stated ranges."""
    for inputs in corners(model):
        observed = _observe(model, inputs, seed=1)
        if observed.shape != (MEMBERS, len(model.yields)):
            yield "shape", f"observe() gives {observed.shape}, not (members, yields)."
            return
        if not np.array_equal(observed, _observe(model, inputs, seed=1), equal_nan=True):
            yield "seed", "The same seed gives other bits."
            return
        derived = {**inputs, **model.derive(inputs)}
        for column, wanted in enumerate(model.yields):
            limits = [limit for limit in model.holds_for if not limit.yields or wanted.name in limit.yields]
            if unknown := [limit.name for limit in limits if limit.name not in derived]:
                yield "ranges", f"holds_for names {unknown[0]}, which is neither a need nor derived."
                return
            if not all(limit.holds(derived[limit.name]) for limit in limits):
                continue
            values = observed[:, column]
            if not np.isfinite(values).all():
                yield "finite", f"{wanted.name} is not finite inside the stated range: {inputs}."
                return
            if wanted.kind == "risk" and not ((values >= 0.0) & (values <= 1.0)).all():
                yield "probability", f"{wanted.name} is no probability inside the stated range: {inputs}."
                return
    yield from _members(model)


def check_refusals(model: TwinModel) -> Broken:
    """Check that the stated ranges are kept where facts come in: computed inside, refused just outside."""
    inside = simulate(model, example_profile(model))
    if not isinstance(inside, Run):
        yield "refusal", f"No output is computed from the middle of the stated ranges: {' '.join(inside.say)}"
        return
    for need in model.needs:
        for value in outside(need):
            profile = example_profile(model, **{need.name.replace("-", "_"): value})
            if isinstance(profile.find(need), Found):
                yield "refusal", f"The need {need.name} takes {value:g}, which is outside its bounds."


def holds(model: TwinModel, inputs: Mapping[str, float]) -> bool:
    """Say whether inputs are inside all that `holds_for` limits, as far as they tell it."""
    known = {**inputs, **model.derive(inputs)}
    return all(limit.holds(known[limit.name]) for limit in model.holds_for if limit.name in known)


def _members(model: TwinModel) -> Broken:
    """Check that each member is on its own, and that states handed in are not written to."""
    inputs = {need.name: middle(need) for need in model.needs}
    state = model.start(inputs, MEMBERS, np.random.default_rng(1))
    if state.ndim != 2 or len(state) != MEMBERS:
        yield "shape", f"start() gives {state.shape}, not (members, states)."
        return
    kept = state.copy()
    together = model.observe(state)
    alone = np.vstack([model.observe(state[i : i + 1]) for i in range(MEMBERS)])
    if not np.allclose(together, alone, rtol=1e-12, atol=0.0, equal_nan=True):
        yield "members", "observe() mixes the members of the ensemble."
    days = (
        HOUR if isinstance(model, DynamicModel) else 1.0
    )  # by the minute a day is long, and `trace` is checked anyway
    later = model.step(state, {}, days, np.random.default_rng(2))
    if later.shape != kept.shape:
        yield "shape", f"step() gives {later.shape}, not the shape of the state."
    elif not np.array_equal(later, model.step(kept.copy(), {}, days, np.random.default_rng(2)), equal_nan=True):
        yield "seed", "step() gives other bits with the same seed."
    if not np.array_equal(state, kept, equal_nan=True):
        yield "untouched", "A state that was handed in has changed."


def _observe(model: TwinModel, inputs: Mapping[str, float], seed: int) -> Array:
    return model.observe(model.start(inputs, MEMBERS, np.random.default_rng(seed)))

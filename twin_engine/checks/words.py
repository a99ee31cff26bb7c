"""What every model has to say of itself: names, units, sources, assumptions, evidence, and ranges that can be."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields

from twin_engine.checks.rule import Broken
from twin_engine.checks.ucum import is_ucum
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Need, Parameter, Prior, TwinModel, Yield

__all__ = ["check_words"]

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
OUTSIDE = 0.05  # policy: the share of a prior that may lie outside its bounds, where all of it is moved to the edge


def check_words(model: TwinModel) -> Broken:
    """Check what stands in the class, before anything is computed."""
    for text in ("name", "version", "title", "citation", "population", "card", "needs", "yields"):
        if not getattr(model, text, None):
            yield "identity", f"The model has no {text}."
            return
    if "assume" not in (type(model).__doc__ or "").lower():
        yield "assumptions", "The docstring does not say what is assumed."
    for field in fields(model.card):
        if not getattr(model.card, field.name).strip():
            yield "card", f"The card says nothing about {field.name}."
    yield from _names(model)
    for what, unit in _units(model):
        if not is_ucum(unit):
            yield "units", f"The unit of {what} is not UCUM: {unit!r}."
    for need in model.needs:
        yield from _need(need)
    asked = [need.name for need in model.needs if not need.optional]
    for need in model.needs:
        before = [each.name for each in model.needs[: model.needs.index(need)]]
        if need.at and need.at not in before:
            yield "needs", f"The need {need.name} is asked at {need.at}, which does not stand before it."
    for wanted in model.yields:
        yield from _yield(wanted, asked)
    for parameter in model.parameters:
        yield from _parameter(parameter)
    if model.valid_at and model.valid_at not in asked:
        yield "valid-at", f"The results are valid at {model.valid_at}, which the model does not ask."


def _names(model: TwinModel) -> Broken:
    if not KEBAB.fullmatch(model.name):
        yield "names", "The name is not lower-case words joined by hyphens."
    needs, yields = [need.name for need in model.needs], [wanted.name for wanted in model.yields]
    yield from _unique([*needs, *yields, *(parameter.name for parameter in model.parameters)])
    if isinstance(model, DynamicModel):
        # A need may ask for the rate of a plan input at rest, and a channel stands for a yield: under the same name.
        yield from _unique([*(state.name for state in model.states), *(parameter.name for parameter in model.fitted)])
        yield from _unique([given.name for given in model.plan])
        yield from _unique([name for channel in model.channels for name in channel.names])


def _unique(names: list[str]) -> Broken:
    for name in dict.fromkeys(names):
        if not KEBAB.fullmatch(name):
            yield "names", f'The name "{name}" is not lower-case words joined by hyphens.'
        if names.count(name) > 1:
            yield "names", f'The name "{name}" is used twice.'


def _units(model: TwinModel) -> Iterator[tuple[str, str]]:
    yield from ((need.name, need.unit) for need in model.needs)
    yield from ((parameter.name, parameter.unit) for parameter in model.parameters)
    yield from ((wanted.name, wanted.unit) for wanted in model.yields)
    yield from ((limit.name, limit.unit) for limit in model.holds_for)
    if isinstance(model, DynamicModel):
        yield from ((state.name, state.unit) for state in model.states)
        yield from ((given.name, given.unit) for given in model.plan)
        yield from ((channel.name, channel.unit) for channel in model.channels)


def _need(need: Need) -> Broken:
    low, high = need.bounds
    if not low <= high or not need.why:
        yield "needs", f"The need {need.name} has no bounds, or does not say why."
    if need.max_age_days is not None and not need.age_why:
        yield "citations", f"The need {need.name} does not say who limits the age of its facts."
    if need.imputed is not None:
        if not need.imputed_from:
            yield "citations", f"The population that stands in for {need.name} has no citation."
        if not (need.imputed.sd > 0.0 and low <= need.imputed.centre <= high):
            yield (
                "needs",
                f"The population that stands in for {need.name} has no width, or its centre is out of bounds.",
            )


def _yield(wanted: Yield, asked: list[str]) -> Broken:
    if unknown := set(wanted.needs) - set(asked):  # optional ones are no condition
        yield "yields", f"The yield {wanted.name} needs what the model does not ask: {', '.join(sorted(unknown))}."
    if wanted.kind == "risk" and (wanted.unit != "1" or not wanted.horizon_years):
        yield "yields", f"The risk {wanted.name} has another unit than 1, or no horizon."
    if not wanted.title:
        yield "yields", f"The yield {wanted.name} has no title."
    if not wanted.reference:
        yield "citations", f"The yield {wanted.name} has no reference."


def _parameter(parameter: Parameter) -> Broken:
    low, high = parameter.bounds
    if not low <= parameter.value <= high:
        yield "parameters", f"The parameter {parameter.name} is outside its bounds."
        return
    if not parameter.citation:
        yield "citations", f"The parameter {parameter.name} has no citation."
    if parameter.prior is not None:
        yield from _prior(parameter, parameter.prior)


def _prior(parameter: Parameter, prior: Prior) -> Broken:
    low, high = parameter.bounds
    told = f"The prior of {parameter.name}"
    least = {"linear": -math.inf, "log": math.ulp(0.0), "sqrt": 0.0}[prior.scale]
    if not (0.0 < prior.sd < math.inf and 0.0 <= prior.drift < math.inf):
        yield "priors", f"{told} has no width above zero, or a drift below zero."
    elif not least <= low <= prior.centre <= high:
        yield "priors", f"{told} has its centre outside the bounds, or bounds that its scale does not have."
    else:
        share = 1.0 - _below(prior, high) + _below(prior, low)
        if share > OUTSIDE:
            yield "priors", f"{told} lies outside the bounds with {share:.0%}, which is all moved to the edge."


def _below(prior: Prior, value: float) -> float:
    """Return the share of a prior below a value in natural units."""
    if math.isinf(value):
        return 1.0 if value > 0.0 else 0.0
    scaled = {"linear": lambda v: v, "log": math.log, "sqrt": math.sqrt}[prior.scale](value)
    return 0.5 * (1.0 + math.erf((scaled - prior.mean) / prior.sd / math.sqrt(2.0)))

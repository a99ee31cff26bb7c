"""What a model that moves in time says besides: its states, what it answers to, and what is measured of it."""

from __future__ import annotations

import math
from dataclasses import fields

from twin_engine.checks.rule import Broken
from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State

__all__ = ["check_moving_words"]

_KINDS = {  # of each group: a meal is no setting, and nobody exercises in an instant
    "dose": ("dose", "rate"),
    "meal": ("dose",),
    "procedure": ("change", "rate"),
    "exercise": ("rate",),
    "fluid": ("dose", "rate"),
    "ventilation": ("rate",),
}


def check_moving_words(model: DynamicModel) -> Broken:
    """Check the states, plan inputs, channels and the clock of a model as they are written."""
    for text in ("states", "channels"):
        if not getattr(model, text, None):
            yield "identity", f"The model has no {text}."
            return
    for state in model.states:
        yield from _state(state)
    for given in model.plan:
        yield from _given(given)
    for channel in model.channels:
        yield from _channel(channel, model)
    yield from _clock(model)


def _state(state: State) -> Broken:
    low, high = state.bounds
    if not (state.title and low < high and 0.0 <= state.noise < math.inf):
        yield "states", f"The state {state.name} has no title, no bounds, or a noise that cannot be."


def _given(given: PlanInput) -> Broken:
    low, high = given.bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        yield "plan", f"The plan input {given.name} has no finite bounds, so that nothing would be refused."
    elif not given.why or not given.title:
        yield "plan", f"The plan input {given.name} has no title, or does not say why it is bounded."
    elif given.kind not in _KINDS[given.group]:
        fit = " or ".join(_KINDS[given.group])
        yield "plan", f"The plan input {given.name} is of the group {given.group}, which is of kind {fit}."
    elif given.kind == "change" and low <= 0.0:
        yield "plan", f"A change by {given.name} may be 0 or less, which cannot be told from none."
    elif given.kind != "change" and not low <= given.resting <= high:
        yield "plan", f"What the plan input {given.name} is at rest is outside its bounds."
    elif given.kind == "dose" and low < 0.0:
        yield "plan", f"A dose of {given.name} may be below zero."
    if not 0.0 <= given.delay < math.inf or any(minutes <= 0.0 for _, minutes in given.depots):
        yield "plan", f"The plan input {given.name} has a delay or a depot below zero."
    if (given.delay > 0.0 or given.depots) and not given.citation:
        yield "citations", f"The delay or the depots of {given.name} have no citation."


def _channel(channel: Channel, model: DynamicModel) -> Broken:
    low, high = channel.bounds
    if not (0.0 < channel.sd < math.inf and low < high and channel.per_minute > 0.0):
        yield "channels", f"The channel {channel.name} has no error above zero, no bounds, or no fastest change."
    least, most = channel.beyond or channel.bounds
    if not (least <= low and high <= most):
        yield "channels", f"What other devices tell of {channel.name} lies inside what this one does."
    if not any((wanted.name, wanted.unit) == (channel.name, channel.unit) for wanted in model.yields):
        yield "channels", f"The channel {channel.name} stands for no yield of its name in {channel.unit}."
    if not channel.citation:
        yield "citations", f"The channel {channel.name} has no citation for its error."


def _clock(model: DynamicModel) -> Broken:
    if "substeps" not in {field.name for field in fields(model) if field.init} or model.substeps < 1:
        yield "clock", "The steps of a minute cannot be divided: `substeps` is no setting, or below 1."
    if not 1 <= model.every_minutes <= model.horizon_minutes:
        yield "clock", "The spacing of forecasts is below a minute, or longer than how far they reach."

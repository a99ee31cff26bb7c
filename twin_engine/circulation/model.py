"""The circulation under the contract of models: personal, and moved by drugs, fluids, devices and a new valve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twin_engine.circulation.body import INDEX, adult, scaled
from twin_engine.circulation.course import COLUMNS, DRUGS, PLACE, Given, blank, circulation_of, minute, settled
from twin_engine.circulation.heart import TOLD, at_rest
from twin_engine.circulation.kernel import STATES
from twin_engine.circulation.words import CARD, CHANNELS, CITATION, FITTED, NEEDS, PLAN, STATE_WORDS, SYMBOLS, YIELDS
from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Yield
from twin_engine.refusal import refuse_diverged, refuse_outside

__all__ = ["Circulation"]

_TOLD = slice(PLACE["heart-rate"], PLACE["heart-rate"] + len(TOLD))
_HUEFNER, _DISSOLVED, _TENSION = 1.34, 0.003, 90.0  # mL/g; mL/dL/mmHg; mmHg, where arterial oxygen is not known
_OBSERVED = tuple(wanted.name for wanted in YIELDS)


@dataclass(frozen=True)
class Circulation(DynamicModel):
    """Heart, vessels and reflexes of one person as a closed loop of eight volumes.

    It assumes that a person at rest is where their reflexes want them; that all of the left ventricle contracts alike;
    that the rhythm is regular; and that drugs add up. Parameters are those of a body of 1.9 m2, and scale with its
    surface. What is settled is not run again (`twin_engine.circulation.course`).
    """

    name: ClassVar[str] = "circulation"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Heart and circulation"
    citation: ClassVar[str] = CITATION
    population: ClassVar[str] = (
        "Adults. Drugs were held against published groups with chronic heart failure, norepinephrine against shock."
    )
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    states: ClassVar[tuple[State, ...]] = STATE_WORDS
    parameters: ClassVar[tuple[Parameter, ...]] = FITTED
    plan: ClassVar[tuple[PlanInput, ...]] = PLAN
    channels: ClassVar[tuple[Channel, ...]] = CHANNELS
    yields: ClassVar[tuple[Yield, ...]] = YIELDS
    card: ClassVar[Card] = CARD
    horizon_minutes: ClassVar[int] = 60

    substeps: int = 30_000  # of a minute: two milliseconds

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the states at rest, under the drugs and settings that `inputs` tell."""
        row = np.array([inputs.get(each.name, each.resting) for each in self.plan])
        given = _given(row)
        state = blank(len(parameters), inputs, given)
        fitted = dict(zip(SYMBOLS, parameters.T, strict=True))
        made = circulation_of(state, fitted, given)
        heart, made, beats = at_rest(made, step=60.0 / self.substeps)
        state[:, :STATES], state[:, _TOLD] = heart, beats
        state[:, PLACE["set-pressure"]] = made[:, INDEX["MAP_set"]]
        state[:, PLACE["set-filling"]] = made[:, INDEX["RAP_set"]]
        return settled(state, fitted, given)

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble. Raises `Misuse` on a plan outside the bounds, `Diverged` on what is no number."""
        refuse_outside(self, plan)
        width = len(COLUMNS)
        moved = np.array(state[:, :width])
        fitted = dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True))
        seen = []
        for place, row in enumerate(plan):
            minute(moved, fitted, _given(row), 60.0 / self.substeps)
            if (place + 1) % every == 0:
                seen.append(self._told(moved, fitted))
        after = np.concatenate([moved, state[:, width:]], axis=1)
        observed = np.stack(seen) if seen else np.empty((0, len(state), len(self.channels)))
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        return after, observed

    def measure(self, state: Array) -> Array:
        """Return what the channels would tell, (members, channels)."""
        return self._told(state, dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True)))

    def _told(self, state: Array, fitted: Mapping[str, Array]) -> Array:
        columns = [
            _valve(state, fitted) if each.name == "aortic-valve-area" else state[:, PLACE[each.name]]
            for each in self.channels
        ]
        return np.stack(columns, axis=1)

    def observe(self, state: Array) -> Array:
        """Return the yields; oxygen delivery is NaN where haemoglobin is not known."""
        surface, haemoglobin = state[:, PLACE["surface"]], state[:, PLACE["haemoglobin"]]
        output = state[:, PLACE["cardiac-output"]]
        content = _HUEFNER * haemoglobin * state[:, PLACE["saturation"]] / 100.0 + _DISSOLVED * _TENSION
        derived = {
            "cardiac-index": output / surface,
            "oxygen-delivery": np.where(haemoglobin > 0.0, 10.0 * output * content, np.nan),
            "aortic-valve-area": _valve(state, dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True))),
        }
        return np.stack([derived[name] if name in derived else state[:, PLACE[name]] for name in _OBSERVED], axis=1)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move what one channel tells to a value; where it is heart rate, the resting rate by as much."""
        moved = state.copy()
        name = self.channels[channel].name
        if name == "aortic-valve-area":
            moved[:, PLACE["valve-area"]] = value
            return moved
        at = PLACE[name]
        if name == "heart-rate":
            low, high = self.parameters[0].bounds
            rate = self.parameters_of(state)[:, 0] * value / np.maximum(moved[:, at], 1.0)
            moved[:, len(self.states)] = np.log(np.clip(rate, low, high))
        moved[:, at] = value
        return moved


def _valve(state: Array, fitted: Mapping[str, Array]) -> Array:
    """Return the effective orifice of the aortic valve, cm2: of the new one, or the person's own."""
    base = np.tile(adult(), (len(state), 1))
    base[:, INDEX["A_av"]] = fitted["A_av"]
    own = scaled(base, state[:, PLACE["surface"]])[:, INDEX["A_av"]]
    new = state[:, PLACE["valve-area"]]
    return np.where(new > 0.0, new, own)


def _given(row: Array) -> Given:
    """Read a row of the plan."""
    told = dict(zip((each.name for each in PLAN), row, strict=True))
    return Given(
        doses=np.array([told[drug.name] for drug in DRUGS]),
        levels=np.array([told["pump-speed"], told["balloon"], told["pacing"], told["airway-pressure"]]),
        blood=float(told["bleeding"]),
        crystalloid=float(told["crystalloid"]),
        valve=float(told["aortic-valve"]),
    )

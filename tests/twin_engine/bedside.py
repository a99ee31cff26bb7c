"""A small model for tests that answers to all six groups of a plan, by physics that a textbook has.

Water is a balance; carbon dioxide follows alveolar ventilation; oxygen the alveolar gas equation; the gradient over a
valve is Bernoulli's; the pulse is the heart's own, or a pacemaker's where that is faster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from twin_engine.dynamic import Channel, DynamicModel, Group, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Prior, Yield
from twin_engine.refusal import refuse_diverged, refuse_outside
from twin_engine.runge_kutta import march

BOOK = "Textbook physiology."
NARROW = 0.8  # cm2, before an operation
STROKE = 70.0 / 0.33  # cm3/s of blood through the valve while it is open
DEAD_SPACE, STORE, OWN_PULSE = 150.0, 50.0, 60.0  # mL; mL of carbon dioxide for each mm[Hg]; /min
DRIP, DRUG = 60.0, 0.02  # mL/h of urine at rest, mL/min for each mg of a diuretic
SETTLES = 2.0  # min, for gases and pulse
CHANNELS = (
    Channel("oxygen", "Oxygen in arteries", "mm[Hg]", 5.0, (20.0, 700.0), 200.0, BOOK),
    Channel("carbon-dioxide", "Carbon dioxide in arteries", "mm[Hg]", 3.0, (10.0, 200.0), 50.0, BOOK),
    Channel("gradient", "Pressure gradient over the aortic valve", "mm[Hg]", 2.0, (1.0, 100.0), 500.0, BOOK),
    Channel("pulse", "Heart rate", "/min", 2.0, (20.0, 200.0), 100.0, BOOK),
    Channel("water", "Water in the body", "L", 0.2, (10.0, 80.0), 1.0, BOOK),
)


def given(
    name: str,
    title: str,
    unit: str,
    kind: Literal["dose", "rate", "change"],
    low: float,
    high: float,
    group: Group,
    rest: float = 0.0,
) -> PlanInput:
    return PlanInput(name, title, unit, kind, (low, high), "Policy.", resting=rest, group=group)


def gradient_of(area: Array | float) -> Array:
    """Return 4 v^2, mm[Hg], for an effective orifice area in cm2."""
    return np.asarray(4.0 * np.square(STROKE / np.asarray(area) / 100.0))


def oxygen_of(fio2: Array | float, peep: Array | float, carbon: Array | float) -> Array:
    """Return what the alveolar gas equation says, less 10 mm[Hg]; `fio2` in %, `peep` in cm[H2O]."""
    return np.maximum(
        np.asarray(fio2) / 100.0 * (760.0 + np.asarray(peep) / 1.36 - 47.0) - np.asarray(carbon) / 0.8 - 10.0, 0.0
    )


@dataclass(frozen=True)
class Bedside(DynamicModel):
    """Water, gases, a valve and a pulse. Assumes that they know nothing of each other."""

    name = "bedside"
    version = "1"
    title = "A patient at the bedside"
    citation = BOOK
    population = "Anybody."
    needs = (Need("body-weight", "Body weight", "kg", "measurement", (40.0, 120.0), "Policy."),)
    yields = tuple(Yield(c.name, c.title, "observation", c.unit, ("body-weight",), 1, BOOK) for c in CHANNELS)
    card = Card("Tests.", "By hand.", "Not assessed.", "Not assessed.", "Not for patients.")
    states: ClassVar[tuple[State, ...]] = (
        State("oxygen-pressure", "Oxygen in arteries", "mm[Hg]", (0.0, 800.0)),
        State("carbon-pressure", "Carbon dioxide in arteries", "mm[Hg]", (5.0, 400.0)),
        State("valve-area", "Effective orifice area", "cm2", (0.1, 5.0)),
        State("heart-rate", "Heart rate", "/min", (20.0, 220.0)),
        State("body-water", "Water in the body", "L", (5.0, 100.0), noise=0.01),
        State("diuretic-left", "Diuretic in the body", "mg", (0.0, 1000.0)),
    )
    parameters = (Parameter("metabolism", "mL/min", 200.0, (100.0, 400.0), BOOK, Prior("log", 200.0, 0.05, 0.001)),)
    plan: ClassVar[tuple[PlanInput, ...]] = (
        given("furosemide", "Furosemide", "mg", "dose", 0.0, 200.0, "dose"),
        given("drink", "Drink with a meal", "mL", "dose", 0.0, 1000.0, "meal"),
        given(
            "aortic-valve-replacement", "Valve replaced, with its orifice area", "cm2", "change", 1.0, 3.0, "procedure"
        ),
        given("pacing", "Pacemaker; 0 is off", "/min", "rate", 0.0, 140.0, "procedure"),
        given("effort", "Effort on a bicycle", "W", "rate", 0.0, 150.0, "exercise"),
        given("crystalloid", "Crystalloid", "mL", "dose", 0.0, 2000.0, "fluid"),
        given("infusion", "Infusion", "mL/h", "rate", 0.0, 1000.0, "fluid", DRIP),
        given("fio2", "Oxygen inhaled", "%", "rate", 21.0, 100.0, "ventilation", 21.0),
        given("peep", "Pressure at the end of a breath", "cm[H2O]", "rate", 0.0, 20.0, "ventilation"),
        given("tidal-volume", "Tidal volume", "mL", "rate", 300.0, 800.0, "ventilation", 500.0),
        given("breaths", "Breaths", "/min", "rate", 8.0, 40.0, "ventilation", 14.0),
    )
    channels: ClassVar[tuple[Channel, ...]] = CHANNELS

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        now = {each.name: inputs.get(each.name, each.resting) for each in self.plan}
        air = (now["tidal-volume"] - DEAD_SPACE) * now["breaths"] / 863.0  # mL/min of gas for each mm[Hg]
        carbon = (parameters[:, 0] + 10.0 * now["effort"]) / air
        states = np.empty((len(parameters), len(self.states)))
        states[:, 0], states[:, 1] = oxygen_of(now["fio2"], now["peep"], carbon), carbon
        states[:, 2:] = NARROW, max(OWN_PULSE, now["pacing"]), 0.6 * inputs["body-weight"], 0.0
        return states

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        refuse_outside(self, plan)
        made, width = self.parameters_of(state)[:, 0], len(self.states)

        def begin(x: Array, row: Array) -> Array:
            if row[2] > 0.0:
                x[2] = row[2]
            return x

        def slopes(x: Array, row: Array) -> Array:
            drug, drink, _, pacing, effort, bag, drip, fio2, peep, tidal, breaths = row
            out = np.zeros_like(x)
            out[0] = (oxygen_of(fio2, peep, x[1]) - x[0]) / SETTLES
            out[1] = (made + 10.0 * effort - (tidal - DEAD_SPACE) * breaths / 863.0 * x[1]) / STORE
            out[3] = (max(OWN_PULSE, pacing) - x[3]) / SETTLES
            out[4] = (drink + bag + (drip - DRIP) / 60.0 - DRUG * x[5]) / 1000.0
            out[5] = drug - math.log(2.0) / 90.0 * x[5]
            return out

        after, seen = march(slopes, state[:, :width], plan, every, self.substeps, self.measure, begin)
        refuse_diverged(self.name, after, seen, every, detail=(state, plan))
        return self.join(after, state[:, width:]), seen

    def measure(self, state: Array) -> Array:
        return np.stack([state[:, 0], state[:, 1], gradient_of(state[:, 2]), state[:, 3], state[:, 4]], axis=1)

    def observe(self, state: Array) -> Array:
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        moved = state.copy()
        moved[:, channel] = STROKE / 100.0 * math.sqrt(4.0 / value) if channel == 2 else value
        return moved

"""Glucose and insulin that swing against each other over two hours: a body that makes its own insulin, fed or infused.

The model that is used where glucose is measured a few times a day, in type 2 diabetes and in intensive care.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Yield
from twin_engine.physiology.glucose_terms import CARBOHYDRATE, METER, body_weight, glucose_yields
from twin_engine.refusal import refuse_diverged, refuse_outside
from twin_engine.runge_kutta import march

__all__ = ["INFUSION", "Ultradian"]

STURIS = (
    "Sturis J, Polonsky KS, Mosekilde E, Van Cauter E. Computer model for mechanisms underlying ultradian oscillations "
    "of insulin and glucose. Am J Physiol 1991;260:E801-E809"
)
ALBERS = (
    "Albers DJ, Levine M, Gluckman B, Ginsberg H, Hripcsak G, Mamykina L. Personalized glucose forecasting for type 2 "
    "diabetes using data assimilation. PLoS Comput Biol 2017;13:e1005232"
)

# Numbers of Sturis 1991, for one person, in its symbols.
VP, VI, VG = 3.0, 11.0, 10.0  # L
E = 0.2  # L/min
TP, TI, TD = 6.0, 100.0, 36.0  # min
RM, A1, C1 = 209.0, 6.67, 300.0  # m[iU]/min, 1, mg/L
C2, C3 = 144.0, 100.0  # mg/L
C4, C5 = 80.0, 26.0  # m[iU]/L
UB, U0, UM, RG = 72.0, 4.0, 94.0, 180.0  # mg/min
ALPHA, BETA = 7.5, 1.77  # 1
# Some texts write 1/Vi - 1/(E ti); it is a sum in the authors' program (../shared/spec/glucose_onco.md, section 1.6).
KAPPA = (1.0 / VI + 1.0 / (E * TI)) / C4  # /m[iU]
ABSORPTION = 0.5 / 60.0  # /min: of what was eaten, Albers 2017
PER_MG = 0.1 / VG  # mg/dL in one mg

INFUSION = PlanInput(
    name="glucose-infusion",
    title="Glucose given into a vein or by tube without a pause",
    unit="mg/min",
    kind="rate",
    bounds=(0.0, 400.0),
    why="Policy: about 5 mg/kg/min, the most that parenteral nutrition gives.",
)


def _parameter(name: str, title: str, unit: str, value: float, citation: str = STURIS) -> Parameter:
    return Parameter(name, unit, value, (value, value), citation, title=title)


@dataclass(frozen=True)
class Ultradian(DynamicModel):
    """Glucose of a person who makes their own insulin, under meals and infused glucose: six states and the gut.

    It assumes the published person's volumes and parameters, whatever the patient's are; weight only says for whom that
    is far from true. All carbohydrate is taken to appear, half of it within 83 minutes. Between about 100 and 270
    mg/min of infused glucose the rest is no rest: a body that is moved from it swings for good, with a period of about
    two hours. We know no published spread of the parameters between people: none has a prior, so none is fitted.
    """

    name: ClassVar[str] = "ultradian"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Glucose with own insulin, slow swings"
    citation: ClassVar[str] = f"{STURIS}. {ALBERS}."
    population: ClassVar[str] = "Adults who make insulin, healthy or with type 2 diabetes; parameters of one person."
    needs: ClassVar[tuple[Need, ...]] = (
        body_weight(50.0, 110.0, "Policy: the volumes are those of a person of about 70 kg; weight does not enter."),
    )
    states: ClassVar[tuple[State, ...]] = (
        State("plasma-insulin", "Insulin in plasma", "m[iU]", (0.0, 1e5)),
        State("remote-insulin", "Insulin between the cells", "m[iU]", (0.0, 1e5)),
        State("plasma-glucose", "Glucose in plasma and between the cells", "mg", (0.0, 1e6)),
        State("delay", "Delay of insulin action on the liver, first", "m[iU]", (0.0, 1e5)),
        State("delay-two", "Delay of insulin action on the liver, second", "m[iU]", (0.0, 1e5)),
        State("delay-three", "Delay of insulin action on the liver, third", "m[iU]", (0.0, 1e5)),
        State("gut", "Carbohydrate in the gut", "mg", (0.0, 1e6)),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _parameter("exchange", "Exchange of insulin between plasma and cells E", "L/min", E),
        _parameter("plasma-volume", "Volume of insulin in plasma Vp", "L", VP),
        _parameter("remote-volume", "Volume of insulin between the cells Vi", "L", VI),
        _parameter("glucose-volume", "Volume of glucose Vg", "L", VG),
        _parameter("plasma-insulin-time", "Time in which insulin in plasma is cleared tp", "min", TP),
        _parameter("remote-insulin-time", "Time in which insulin between the cells is cleared ti", "min", TI),
        _parameter("liver-delay", "Delay of insulin action on the liver td", "min", TD),
        _parameter("greatest-secretion", "Greatest secretion of insulin Rm", "m[iU]/min", RM),
        _parameter("secretion-shift", "Where secretion answers to glucose a1", "1", A1),
        _parameter("secretion-scale", "How steeply secretion answers to glucose C1", "mg/L", C1),
        _parameter("greatest-production", "Greatest production of glucose by the liver Rg", "mg/min", RG),
        _parameter("gut-rate", "Absorption of carbohydrate from the gut k", "/min", ABSORPTION, ALBERS),
    )
    plan: ClassVar[tuple[PlanInput, ...]] = (CARBOHYDRATE, INFUSION)
    channels: ClassVar[tuple[Channel, ...]] = (METER,)
    yields: ClassVar[tuple[Yield, ...]] = glucose_yields(STURIS, "body-weight", interstitial=False)
    card: ClassVar[Card] = Card(
        context_of_use=(
            "Shows the slow swings of glucose and insulin under steady feeding, and a meal with few measurements. "
            "A virtual person beside the meal model, not a forecast of the patient."
        ),
        verification="The course of a day under 216 mg/min agrees with a second implementation to 1e-4 mg/dL.",
        validation=(
            "The swings were published beside those of healthy people under infused glucose (Sturis 1991); with fitted "
            "parameters the model followed the meters of people with type 2 diabetes (Albers 2017). None here."
        ),
        uncertainty="None is given: one published person has one course.",
        limits="No insulin from outside, no drugs, exercise or illness. Not for type 1 diabetes, nor for treatment.",
    )

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the state that an infusion keeps (none: fasting), with an empty gut.

        Insulin in plasma tells all: the more there is, the more glucose there has to be and is used, and the less is
        made. So halving finds where as much comes as goes.
        """
        infused = inputs.get(INFUSION.name, INFUSION.resting)
        shared = 1.0 / (1.0 / VI + 1.0 / (E * TI)) / VP  # insulin between the cells, of that in plasma
        cleared = shared / TI + 1.0 / TP
        low, high = 0.0, RM / cleared
        for _ in range(80):
            insulin = (low + high) / 2.0
            glucose = VG * C1 * (A1 - math.log(RM / (insulin * cleared) - 1.0))
            now = np.array([insulin, shared * insulin, max(glucose, 0.0), insulin, insulin, insulin, 0.0])
            gains = _slopes(now[:, None], np.array([0.0, infused]))[2, 0] > 0.0
            low, high = (insulin, high) if gains else (low, insulin)
        return np.tile(now, (len(parameters), 1))

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble; glucose in plasma is observed. Raises `Misuse` on a plan outside the bounds."""
        refuse_outside(self, plan)
        after, observed = march(_slopes, state, plan, every, self.substeps, self.measure)
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        return after, observed

    def measure(self, state: Array) -> Array:
        """Return glucose in plasma, mg/dL."""
        return np.asarray(state[:, 2:3] * PER_MG)

    def observe(self, state: Array) -> Array:
        """Return the same, as yields."""
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move glucose to a reading; of insulin a reading of glucose says nothing."""
        moved = state.copy()
        moved[:, 2] = value / PER_MG
        return moved


def _slopes(x: Array, row: Array) -> Array:
    plasma, remote, glucose, first, second, third, gut = x
    swap = E * (plasma / VP - remote / VI)
    with np.errstate(divide="ignore"):  # without insulin its part is U0, and so it comes out
        by_insulin = U0 + (UM - U0) / (1.0 + (KAPPA * np.maximum(remote, 0.0)) ** -BETA)
    out = np.empty_like(x)
    out[0] = RM / (1.0 + np.exp(A1 - glucose / (VG * C1))) - swap - plasma / TP
    out[1] = swap - remote / TI
    made = RG / (1.0 + np.exp(ALPHA * (third / (C5 * VP) - 1.0)))
    used = UB * (1.0 - np.exp(-glucose / (C2 * VG))) + glucose / (C3 * VG) * by_insulin
    out[2] = made + ABSORPTION * gut + row[1] - used
    out[3] = 3.0 / TD * (plasma - first)
    out[4] = 3.0 / TD * (first - second)
    out[5] = 3.0 / TD * (second - third)
    out[6] = row[0] * 1000.0 - ABSORPTION * gut
    return out

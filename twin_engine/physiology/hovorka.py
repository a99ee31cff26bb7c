"""The Cambridge model of glucose in type 1 diabetes: a second opinion beside the virtual patient of Padova."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from security.errors import Diverged
from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Range, Yield
from twin_engine.physiology.glucose_terms import (
    BASAL,
    BASAL_AT_REST,
    BOLUS,
    CARBOHYDRATE,
    METER,
    body_weight,
    glucose_yields,
)
from twin_engine.refusal import refuse_diverged, refuse_outside
from twin_engine.runge_kutta import march

__all__ = ["Hovorka"]

HOVORKA = (
    "Hovorka R, Canonico V, Chassin LJ, et al. Nonlinear model predictive control of glucose concentration in subjects "
    "with type 1 diabetes. Physiol Meas 2004;25:905-920"
)
MOLE = 180.16  # g/mol of glucose
PER_MMOL = MOLE / 10.0  # mg/dL in one mmol/L

# Numbers of Hovorka 2004, for one person; per kg where the unit says so.
K12, KA1, KA2, KA3, KE = 0.066, 0.006, 0.06, 0.03, 0.138  # /min
VI, VG, AG = 0.12, 0.16, 0.8  # L/kg, L/kg, share that appears
TMAX_G, TMAX_I = 40.0, 55.0  # min
SIT, SID, SIE = 51.2e-4, 8.2e-4, 520e-4  # L/min/m[iU], L/min/m[iU], L/m[iU]
EGP0, F01 = 0.0161, 0.0097  # mmol/kg/min
FULL, RENAL = 4.5, 9.0  # mmol/L: below the brain gets less, above the kidneys excrete
RENAL_RATE = 0.003  # /min
_MOST = 400.0  # mmol/kg: no one's glucose


def _parameter(name: str, title: str, unit: str, value: float) -> Parameter:
    return Parameter(name, unit, value, (value, value), HOVORKA, title=title)


@dataclass(frozen=True)
class Hovorka(DynamicModel):
    """Glucose of a person with type 1 diabetes under meals and insulin, ten states, as published in 2004.

    It assumes the published person's parameters, whatever the patient's are; only weight and basal rate are theirs. As
    published, the liver's production becomes an uptake under much insulin, and goes on when no glucose is left (5 units
    without a meal are enough): there the run stops. Some programs write the excretion by the kidneys without the volume
    of glucose; here it stands as in the paper.
    """

    name: ClassVar[str] = "hovorka"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Glucose in type 1 diabetes, Cambridge model"
    citation: ClassVar[str] = f"{HOVORKA}."
    population: ClassVar[str] = "Adults with type 1 diabetes; parameters of one typical person."
    needs: ClassVar[tuple[Need, ...]] = (
        body_weight(40.0, 120.0, "Policy: the model was made from adults of about 75 kg."),
        BASAL_AT_REST,
    )
    states: ClassVar[tuple[State, ...]] = (
        State("plasma-glucose", "Glucose in plasma", "mmol", (0.0, 1e4)),
        State("tissue-glucose", "Glucose in tissue", "mmol", (0.0, 1e4)),
        State("insulin-depot", "Insulin under the skin, first", "m[iU]", (0.0, 1e6)),
        State("insulin-depot-two", "Insulin under the skin, second", "m[iU]", (0.0, 1e6)),
        State("plasma-insulin", "Insulin in plasma", "m[iU]/L", (0.0, 1e5)),
        State("transport", "Insulin action on transport", "/min", (0.0, 100.0)),
        State("disposal", "Insulin action on disposal", "/min", (0.0, 100.0)),
        State("liver", "Insulin action on production", "1", (0.0, 1e4)),
        State("gut", "Glucose in the gut, first", "mmol", (0.0, 1e5)),
        State("gut-two", "Glucose in the gut, second", "mmol", (0.0, 1e5)),
        State("weight", "Body weight", "kg", (15.0, 300.0)),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _parameter("transfer", "Glucose from tissue to plasma", "/min", K12),
        _parameter("insulin-elimination", "Elimination of insulin", "/min", KE),
        _parameter("insulin-volume", "Volume of insulin", "L/kg", VI),
        _parameter("glucose-volume", "Volume of glucose", "L/kg", VG),
        _parameter("meal-share", "Share of the carbohydrate that appears", "1", AG),
        _parameter("meal-time", "Time to the peak of absorption from the gut", "min", TMAX_G),
        _parameter("insulin-time", "Time to the peak of absorption of insulin", "min", TMAX_I),
        _parameter("sensitivity-transport", "Insulin sensitivity of transport", "L/min/m[iU]", SIT),
        _parameter("sensitivity-disposal", "Insulin sensitivity of disposal", "L/min/m[iU]", SID),
        _parameter("sensitivity-liver", "Insulin sensitivity of production", "L/m[iU]", SIE),
        _parameter("production", "Production of glucose without insulin", "mmol/kg/min", EGP0),
        _parameter("brain", "Use of glucose without insulin", "mmol/kg/min", F01),
    )
    plan: ClassVar[tuple[PlanInput, ...]] = (CARBOHYDRATE, BOLUS, BASAL)
    channels: ClassVar[tuple[Channel, ...]] = (METER,)
    yields: ClassVar[tuple[Yield, ...]] = glucose_yields(HOVORKA, "body-weight", BASAL.name, interstitial=False)
    holds_for: ClassVar[tuple[Range, ...]] = (
        Range(
            name="glucose-at-rest",
            title="Glucose at rest under the basal rate",
            unit="mg/dL",
            low=60.0,
            high=400.0,
            why="Outside, the basal rate is none that the published person lives on.",
        ),
    )
    card: ClassVar[Card] = Card(
        context_of_use="A second model to try a plan on, beside the virtual patient and the personal twin.",
        verification=(
            "Courses after a meal with 5 units agree with LoopInsighT1 to four decimals of mg/dL, as does the steady "
            "state."
        ),
        validation="Published with 15 clinical experiments (Hovorka 2004). Nothing was validated here.",
        uncertainty="None is given: one published person has one course.",
        limits=(
            "No exercise, glucagon or illness; values below 40 mg/dL have no meaning, and a plan that takes glucose "
            "below zero is stopped. Not for dosing."
        ),
    )

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Compute the glucose that the basal rate keeps."""
        if not {"body-weight", BASAL.name} <= inputs.keys():
            return {}
        return {"glucose-at-rest": float(self.measure(self.rest(inputs, np.empty((1, 0))))[0, 0])}

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the steady state under the basal rate; 0 where the rate is so high that no glucose is at rest."""
        weight, rate = inputs["body-weight"], inputs.get(BASAL.name, BASAL.resting)
        flow = rate * 1000.0 / 60.0
        insulin = flow / (VI * weight * KE)
        x1, x2, x3 = SIT * insulin, SID * insulin, SIE * insulin
        low, high = 0.0, _MOST * weight
        for _ in range(80):
            q1 = (low + high) / 2.0
            lost = _without_insulin(q1, weight) + x1 * q1 * x2 / (K12 + x2)
            low, high = (q1, high) if EGP0 * weight * (1.0 - x3) > lost else (low, q1)
        q1 = (low + high) / 2.0 if low > 0.0 else 0.0
        depot = flow * TMAX_I
        state = np.array([q1, x1 * q1 / (K12 + x2), depot, depot, insulin, x1, x2, x3, 0.0, 0.0, weight])
        return np.tile(state, (len(parameters), 1))

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble; glucose in plasma is observed.

        Raises `Misuse` on a plan outside the bounds, and `Diverged` where a state is no number or glucose is below
        zero.
        """
        refuse_outside(self, plan)
        after, observed = march(_slopes, state, plan, every, self.substeps, self.measure)
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        _refuse_negative(self.name, observed[:, :, 0], every, detail=(state, plan))
        return after, observed

    def measure(self, state: Array) -> Array:
        """Return glucose in plasma, mg/dL."""
        return np.asarray(state[:, :1] / (VG * state[:, 10:11]) * PER_MMOL)

    def observe(self, state: Array) -> Array:
        """Return the same, as yields."""
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move glucose to a reading: in plasma to it, in tissue to what stands in balance."""
        moved = state.copy()
        moved[:, 0] = value / PER_MMOL * VG * moved[:, 10]
        moved[:, 1] = moved[:, 5] * moved[:, 0] / (K12 + moved[:, 6])
        return moved


def _refuse_negative(name: str, seen: Array, every: int, detail: object) -> None:
    """Stop where more glucose was taken up than there was; `seen` is (points, members)."""
    below = np.argwhere(seen < 0.0)
    if len(below):
        point, member = (int(place) for place in below[0])
        raise Diverged(
            f"The model {name} gave a glucose below zero (member {member} of {seen.shape[1]}, minute "
            f"{(point + 1) * every}).",
            hint="The published equations do not hold under so much insulin: plan less of it, or more carbohydrate.",
            detail=detail,
        )


def _without_insulin(q1: Array | float, weight: Array | float) -> Array:
    """Return what brain and kidneys take, mmol/min."""
    volume = VG * np.asarray(weight)
    level = q1 / volume
    return np.asarray(
        F01 * weight * np.minimum(level / FULL, 1.0) + RENAL_RATE * np.maximum(level - RENAL, 0.0) * volume
    )


def _slopes(x: Array, row: Array) -> Array:
    q1, q2, s1, s2, insulin, x1, x2, x3, d1, d2, weight = x
    eaten = row[0] * 1000.0 / MOLE
    given = (row[1] + row[2] / 60.0) * 1000.0
    out = np.empty_like(x)
    out[0] = -_without_insulin(q1, weight) - x1 * q1 + K12 * q2 + d2 / TMAX_G + EGP0 * weight * (1.0 - x3)
    out[1] = x1 * q1 - (K12 + x2) * q2
    out[2] = given - s1 / TMAX_I
    out[3] = (s1 - s2) / TMAX_I
    out[4] = s2 / (TMAX_I * VI * weight) - KE * insulin
    out[5] = KA1 * (SIT * insulin - x1)
    out[6] = KA2 * (SID * insulin - x2)
    out[7] = KA3 * (SIE * insulin - x3)
    out[8] = AG * eaten - d1 / TMAX_G
    out[9] = (d1 - d2) / TMAX_G
    out[10] = 0.0
    return out

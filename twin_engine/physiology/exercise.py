"""Glucose of one person under meals, insulin and exercise: the minimal model with what muscles take besides.

Where nobody exercises it is the minimal model, to the bit. It stands beside that one, and is calibrated where it is
named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from twin_engine.dynamic import DynamicModel, PlanInput, State
from twin_engine.kernel import kernel
from twin_engine.model import Array, Card, Parameter
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.physiology.minimal_glucose_kernel import ACTION, ALPHA, GLUCOSE, KD, KE, KGRI, R1, R2, VG, VI
from twin_engine.refusal import refuse_diverged

__all__ = ["EXERCISE", "GlucoseExercise"]

DEICHMANN = (
    "Deichmann J, Bachmann S, Burckhardt MA, Szinnai G, Kaltenbach HM. Simulation-based evaluation of treatment "
    "adjustment to exercise in type 1 diabetes. Front Endocrinol 2021;12:723812 (numbers as in LoopInsighT1 2.1.0, "
    "Deichmann2021)"
)
BRETON = (
    "Breton MD. Physical activity: the major unaccounted impediment to closed loop control. J Diabetes Sci Technol "
    "2008;2:169-174"
)
DALLA_MAN = (
    "Dalla Man C, Breton MD, Cobelli C. Physical activity into the meal glucose-insulin model of type 1 diabetes: in "
    "silico studies. J Diabetes Sci Technol 2009;3:56-67"
)
GARCIA = (
    "Garcia-Garcia F, Kumareswaran K, Hovorka R, Hernando ME. Quantifying the acute changes in glucose with exercise "
    "in type 1 diabetes: a systematic review and meta-analysis. Sports Med 2015;45:587-599"
)

# Numbers of Deichmann 2021, for one typical person; the heart beats RESERVE times a minute faster at 100 %.
TAKEN, SHARPER = 3.39e-4, 2.59e-4  # 1, both for one beat above rest
FAST, SLOW = 5.0, 600.0  # min
RESTING, RESERVE = 80.0, 120.0  # /min
STARTS = 0.1 * RESTING  # /min above rest, at which sensitivity begins to rise: steeply, by the fourth power
# Dalla Man 2009 lets the sum of beats begin anew when Z is back at rest; where that is, is LoopInsighT1's reading.
GONE = 0.05

LEAST, MOST = GLUCOSE
WEAKEST, STRONGEST = ACTION
LOWEST, HIGHEST = 60.0, 200.0  # mg/dL, between which insulin acts more in hypoglycaemia, as in the minimal model
SETTLED, GIVEN = len(MinimalGlucose.states), len(MinimalGlucose.plan)  # its columns, before those of exercise

EXERCISE = PlanInput(
    name="exercise",
    title="Aerobic exercise",
    unit="%",
    kind="rate",
    bounds=(0.0, 60.0),
    why=(
        "In percent of the heart-rate reserve; 40 to 59 is moderate (American College of Sports Medicine). Policy: "
        "harder, adrenaline makes the liver give glucose, which is not modelled."
    ),
    group="exercise",
)


def _fixed(name: str, title: str, unit: str, value: float) -> Parameter:
    return Parameter(name, unit, value, (value, value), DEICHMANN, title=title)


@dataclass(frozen=True)
class GlucoseExercise(MinimalGlucose):
    """Glucose under carbohydrate, insulin and aerobic exercise, calibrated to one person's sensor.

    The minimal model of `glucose`, with three states more: by how much the heart beats faster (Y), the insulin
    sensitivity that exercise leaves behind for hours (Z), and the beats above rest since that began (W). Muscles take
    glucose at once, by Y; and all insulin acts more, that at rest included, by W and Z. It assumes that the exercise is
    aerobic, that the heart tells how hard it is, and that this person answers to it as the published typical one does:
    nothing of that is fitted, for we know no published spread of it between people.
    """

    name: ClassVar[str] = "glucose-exercise"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Glucose under meals, insulin and exercise"
    citation: ClassVar[str] = f"{MinimalGlucose.citation} {DEICHMANN}. {BRETON}. {DALLA_MAN}."
    population: ClassVar[str] = "People with type 1 diabetes under a glucose sensor, in moderate aerobic exercise."
    states: ClassVar[tuple[State, ...]] = (
        *MinimalGlucose.states,
        State("beats-above-rest", "Heart rate above rest, as muscles feel it", "/min", (0.0, 100.0)),
        State("sensitivity-after", "Insulin sensitivity left behind by exercise", "1", (0.0, 1.0)),
        State("beats-since", "Beats above rest since exercise began", "1", (0.0, 1e6)),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (
        *MinimalGlucose.parameters,
        _fixed("taken-by-muscle", "Glucose taken by muscles, for each beat above rest (beta)", "1", TAKEN),
        _fixed("sharper-insulin", "Rise of insulin sensitivity, for each beat above rest (alpha)", "1", SHARPER),
        _fixed("onset", "Time in which muscles feel the heart rate", "min", FAST),
        _fixed("after-effect", "Time in which sensitivity goes back", "min", SLOW),
        _fixed("resting-heart-rate", "Heart rate at rest", "/min", RESTING),
        _fixed("heart-rate-reserve", "Heart rate reserve", "/min", RESERVE),
    )
    plan: ClassVar[tuple[PlanInput, ...]] = (*MinimalGlucose.plan, EXERCISE)
    card: ClassVar[Card] = replace(
        MinimalGlucose.card,
        context_of_use=(
            "Shows a person with type 1 diabetes, and those who care for them, how an hour of exercise might go under "
            "other meals, doses and hours. It does not dose insulin."
        ),
        verification=(
            "Without exercise it gives the bits of `glucose`. With it, and steps of a 64th of a minute, courses agree "
            "within 0.02 mg/dL with the published equations solved by another method, on a person for whom the two "
            "models coincide; its own steps of a minute are within 1 mg/dL of that."
        ),
        validation=(
            "The exercise terms were published on another minimal model, and put on this one here. At the centre of "
            "its priors, 45 minutes at 40 to 59 % of the heart-rate reserve lower glucose by 3.4 to 4.4 mmol/L/h "
            f"against rest; trials had 4.43 (95 % interval 2.79 to 6.06; {GARCIA}). Nothing was validated on a person."
        ),
        uncertainty=(
            "The ensemble of `glucose`. How far people differ in their answer to exercise is not in it, so that "
            "intervals during and after exercise are too narrow."
        ),
        limits=(
            "Not for dosing. Not for hard, intermittent or resistance exercise, in which glucose may rise, nor for "
            "hours of it, which empty the liver. Bouts within 30 hours of each other add up, as published, so that of "
            "daily ones the later are overstated. Exercise that is not in the plan is not known. Else as `glucose`: "
            "alcohol, illness, glucagon and unlogged meals are not modelled; not for infants or insulin of one's own; "
            "glucose is told from 10 to 1000 mg/dL, and an end means this, or further."
        ),
    )
    instead_of: ClassVar[str] = MinimalGlucose.name

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble minute by minute; both channels are observed."""
        width = len(self.states)
        if not plan[:, GIVEN].any() and not state[:, SETTLED:width].any():
            after, seen = MinimalGlucose(self.substeps).trace(self._plain(state), plan[:, :GIVEN], every)
            return np.concatenate([after[:, :SETTLED], state[:, SETTLED:width], after[:, SETTLED:]], axis=1), seen
        after, seen = np.array(state[:, :width]), np.empty((len(plan) // every, len(state), 2))
        _exert(after, self.parameters_of(state), np.ascontiguousarray(plan), every, self.substeps, seen)
        refuse_diverged(self.name, after, seen, every, detail=(state, plan))
        return self.join(after, state[:, width:]), seen

    def bounded(self, state: Array) -> Array:
        """Keep the states within their bounds, those of the minimal model as it does."""
        kept = DynamicModel.bounded(self, state)
        kept[:, :SETTLED] = MinimalGlucose().bounded(self._plain(kept))[:, :SETTLED]
        return kept

    def _plain(self, state: Array) -> Array:
        """Leave out what the minimal model does not have."""
        return np.concatenate([state[:, :SETTLED], state[:, len(self.states) :]], axis=1)


@kernel()
def _exert(states: Array, fitted: Array, plan: Array, every: int, substeps: int, seen: Array) -> None:
    """Follow members one after the other: `states` are moved on in place, `seen` (points, members, 2) is filled.

    By the steps of the minimal model's kernel, with what exercise adds to the loss of glucose; Y is exact in each step.
    """
    dt = 1.0 / substeps
    blur, back = ALPHA / dt, math.exp(-dt / FAST)
    for member in range(len(states)):
        q1, q2, q3, s1, s2, ip, action, g, ig, weight, basal, y, z, w = states[member]
        si, sg, gb, kabs, ka2, share, p2 = fitted[member]
        per_kg = 1000.0 / weight  # from g and [iU] to mg/kg and m[iU]/kg
        base = basal / 60.0 * per_kg / KE
        at_rest = si / VI * base  # action of the insulin at rest, which X leaves out
        top = min(gb, HIGHEST)
        power = math.log(top) ** R2
        for minute in range(len(plan)):
            grams = plan[minute, 0] * dt * per_kg
            units = (plan[minute, 1] + plan[minute, 2] / 60.0) * dt * per_kg
            beats = plan[minute, 3] / 100.0 * RESERVE
            if z < GONE and beats == 0.0:
                w = 0.0
            for _ in range(substeps):
                q1 = (q1 + grams) / (1.0 + KGRI * dt)
                q2 = (q2 + KGRI * dt * q1) / (1.0 + KGRI * dt)
                q3 = (q3 + KGRI * dt * q2) / (1.0 + kabs * dt)
                s1 = (s1 + units) / (1.0 + KD * dt)
                s2 = (s2 + KD * dt * s1) / (1.0 + ka2 * dt)
                ip = (ip + ka2 * dt * s2) / (1.0 + KE * dt)
                action = (action + p2 * dt * si / VI * (ip - base)) / (1.0 + p2 * dt)
                action = STRONGEST if action > STRONGEST else action
                action = WEAKEST if action < WEAKEST else action
                y = beats + (y - beats) * back
                on = (y / STARTS) ** 2
                on = on * on / (1.0 + on * on)
                z = (z + dt * on) / (1.0 + dt * (on + 1.0 / SLOW))
                w += dt * beats
                away = math.log(min(max(g, LOWEST), top)) ** R2 - power
                lost = (1.0 + 10.0 * R1 * away * away) * action
                lost += TAKEN * y + SHARPER * w * z * max(action + at_rest, 0.0)
                g = (g + dt * (sg * gb + 0.9 * share * kabs / VG * q3)) / (1.0 + dt * (sg + lost))
                g = MOST if g > MOST else g
                g = LEAST if g < LEAST else g
                ig = (blur * ig + g) / (1.0 + blur)
            if (minute + 1) % every == 0:
                seen[(minute + 1) // every - 1, member, 0] = ig
                seen[(minute + 1) // every - 1, member, 1] = g
        states[member, :9] = np.array([q1, q2, q3, s1, s2, ip, action, g, ig])
        states[member, SETTLED:] = np.array([y, z, w])

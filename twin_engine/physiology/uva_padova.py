"""The virtual patient with type 1 diabetes: the UVA/Padova simulator of 2008, thirteen states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from twin_engine.dynamic import DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Range, Yield
from twin_engine.physiology.glucose_terms import (
    BASAL,
    BASAL_AT_REST,
    BOLUS,
    CARBOHYDRATE,
    METER,
    SENSOR,
    body_weight,
    glucose_yields,
)
from twin_engine.physiology.uva_padova_kernel import PARAMETERS, X4, X5, X7, X13, Schedule, follow
from twin_engine.physiology.virtual_patient import VirtualPatient, at_rest, tissue_at
from twin_engine.refusal import refuse_diverged, refuse_outside

__all__ = ["UvaPadova"]

DALLA_MAN = (
    "Dalla Man C, Rizza RA, Cobelli C. Meal simulation model of the glucose-insulin system. IEEE Trans Biomed Eng "
    "2007;54:1740-1749"
)
KOVATCHEV = (
    "Kovatchev BP, Breton M, Dalla Man C, Cobelli C. In silico preclinical trials: a proof of concept in closed-loop "
    "control of type 1 diabetes. J Diabetes Sci Technol 2009;3:44-55"
)
SUBJECTS = "mean, least and greatest of the 30 subjects of simglucose 0.2.11"

_BY_INSULIN = "mg.L/kg/min/pmol"
_TOLD = (  # title, unit, least and greatest of the published subjects
    ("Body weight", "kg", 23.734, 111.10),
    ("Insulin in plasma at rest", "pmol/L", 82.914, 138.04),
    ("Absorption from the gut", "/min", 0.021419, 1.2323),
    ("Emptying of the stomach, fastest", "/min", 0.013142, 0.068714),
    ("Emptying of the stomach, slowest", "/min", 0.0028379, 0.025281),
    ("Share of a meal at which emptying has slowed by half", "1", 0.56424, 0.98829),
    ("Share of a meal at which emptying is half recovered", "1", 0.089529, 0.33742),
    ("Volume of glucose", "dL/kg", 1.5715, 2.2382),
    ("Volume of insulin", "L/kg", 0.034438, 0.079453),
    ("Use of glucose by insulin", _BY_INSULIN, 0.016839, 0.15231),
    ("Glucose in tissue at half of the greatest use", "mg/kg", 185.88, 278.74),
    ("Glucose from plasma to tissue", "/min", 0.033578, 0.10726),
    ("Glucose from tissue to plasma", "/min", 0.049497, 0.28643),
    ("Insulin action on use of glucose", "/min", 0.016772, 0.081707),
    ("Insulin from liver to plasma", "/min", 0.10962, 0.44964),
    ("Insulin from plasma to liver", "/min", 0.12518, 0.41465),
    ("Insulin action on the liver", "/min", 0.0028159, 0.044238),
    ("Production of glucose without glucose and insulin", "mg/kg/min", 3.5621, 11.505),
    ("Effect of glucose on its production", "/min", 0.0019891, 0.023318),
    ("Effect of insulin on production of glucose", _BY_INSULIN, 0.0045499, 0.026073),
    ("Share of the carbohydrate that appears in plasma", "1", 0.9, 0.9),
    ("Excretion of glucose by the kidneys", "/min", 0.0005, 0.0005),
    ("Glucose in plasma above which the kidneys excrete it", "mg/kg", 339.0, 339.0),
    ("Use of glucose without insulin", "mg/kg/min", 1.0, 1.0),
    ("Use of glucose at resting insulin, greatest", "mg/kg/min", 2.1185, 14.202),
    ("Insulin under the skin, first depot to second", "/min", 0.0129, 0.0207),
    ("Glucose from plasma to under the skin", "/min", 0.0503, 0.1519),
    ("Insulin from the first depot to plasma", "/min", 0.0019, 0.0081),
    ("Insulin from the second depot to plasma", "/min", 0.0078, 0.0275),
)
_STATES = (  # name, title, unit, bounds
    ("stomach-solid", "Glucose in the stomach, solid", "mg", (0.0, 1e6)),
    ("stomach-liquid", "Glucose in the stomach, liquid", "mg", (0.0, 1e6)),
    ("gut", "Glucose in the gut", "mg", (0.0, 1e6)),
    ("plasma-glucose", "Glucose in plasma", "mg/kg", (-10.0, 5000.0)),
    ("tissue-glucose", "Glucose in tissue", "mg/kg", (-10.0, 5000.0)),
    ("plasma-insulin", "Insulin in plasma", "pmol/kg", (0.0, 1e5)),
    ("insulin-action", "Insulin action on use of glucose", "pmol/L", (-1e3, 1e6)),
    ("delayed-insulin", "Delayed insulin, first", "pmol/L", (0.0, 1e6)),
    ("liver-insulin-action", "Insulin action on the liver", "pmol/L", (0.0, 1e6)),
    ("liver-insulin", "Insulin in the liver", "pmol/kg", (0.0, 1e5)),
    ("insulin-depot", "Insulin under the skin, first", "pmol/kg", (0.0, 1e6)),
    ("insulin-depot-two", "Insulin under the skin, second", "pmol/kg", (0.0, 1e6)),
    ("skin-glucose", "Glucose under the skin", "mg/kg", (-10.0, 5000.0)),
    ("plate", "Carbohydrate announced and not yet eaten", "g", (0.0, 1e4)),
    ("stomach-before", "Glucose in the stomach when the meal began", "mg", (0.0, 1e6)),
    ("meal", "Eaten of this meal", "g", (0.0, 1e4)),
    ("bite", "Eaten in the last minute", "g", (0.0, 5.0)),
    ("weight", "Body weight", "kg", (15.0, 150.0)),
)
_WEIGHT = len(_STATES) - 1


def _parameters() -> tuple[Parameter, ...]:
    means = VirtualPatient().vector
    return tuple(
        Parameter(name, unit, float(mean), (low, high), f"{KOVATCHEV}; {SUBJECTS}", title=title)
        for name, mean, (title, unit, low, high) in zip(PARAMETERS, means, _TOLD, strict=True)
    )


@dataclass(frozen=True)
class UvaPadova(DynamicModel):
    """A virtual patient with type 1 diabetes, for what-ifs and as the truth that a personal twin is tested against.

    It assumes that no insulin comes from the body, that carbohydrate is eaten at 5 g a minute at most, and that a
    body's parameters stay as they are. It knows nothing of the patient but weight and basal rate: `patient` says whose
    body it is, by default the mean of the published subjects. Details are as in simglucose: what counts as one meal,
    and that a state below zero stands still.
    """

    name: ClassVar[str] = "uva-padova"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Virtual patient with type 1 diabetes"
    citation: ClassVar[str] = f"{DALLA_MAN}. {KOVATCHEV}."
    population: ClassVar[str] = "Virtual people with type 1 diabetes: children, adolescents and adults of 24 to 111 kg."
    needs: ClassVar[tuple[Need, ...]] = (
        body_weight(20.0, 120.0, "The published subjects weigh 24 to 111 kg."),
        BASAL_AT_REST,
    )
    states: ClassVar[tuple[State, ...]] = tuple(State(*told) for told in _STATES)
    parameters: ClassVar[tuple[Parameter, ...]] = _parameters()
    plan: ClassVar[tuple[PlanInput, ...]] = (CARBOHYDRATE, BOLUS, BASAL)
    channels = (SENSOR, METER)
    yields: ClassVar[tuple[Yield, ...]] = glucose_yields(DALLA_MAN, "body-weight", BASAL.name)
    holds_for: ClassVar[tuple[Range, ...]] = (
        Range(
            name="glucose-at-rest",
            title="Glucose at rest under the basal rate",
            unit="mg/dL",
            low=60.0,
            high=400.0,
            why="Outside, the basal rate is none that this virtual body lives on.",
        ),
    )
    card: ClassVar[Card] = Card(
        context_of_use=(
            "A body to try plans on, and the truth in tests of personal twins. It is a virtual person and not the "
            "patient: its numbers are never shown as theirs."
        ),
        verification=(
            "All 30 subjects of simglucose 0.2.11 agree within 0.01 mg/dL over a day of three meals with insulin "
            "(benchmarks/virtual_patients.py); the spec's values, made with 64 Runge-Kutta steps a minute, to 1e-5."
        ),
        validation=(
            "The model of 2008 was accepted by the FDA in place of animal tests of closed-loop control; the subjects "
            "reproduce the spread of glucose and insulin sensitivity of people with type 1 diabetes (Kovatchev 2009). "
            "Nothing was validated here."
        ),
        uncertainty="None is given: one virtual body has one course. Use several bodies to see how far they differ.",
        limits=(
            "No glucagon, no exercise, no dawn phenomenon, no change of insulin action in hypoglycaemia; values below "
            "40 mg/dL have no meaning. Not for dosing."
        ),
    )

    # Over the published subjects two are within 0.006 mg/dL of 16. Where a meal begins before the last has left the
    # stomach they are within 0.04, and four within 0.002.
    substeps: int = 2
    patient: VirtualPatient = VirtualPatient()  # noqa: RUF009 - frozen

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Compute the glucose that the basal rate keeps."""
        if not {"body-weight", BASAL.name} <= inputs.keys():
            return {}
        return {"glucose-at-rest": float(self.measure(self.rest(inputs, np.empty((1, 0))))[0, 0])}

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the steady state under the basal rate, with an empty stomach."""
        members, weight = len(parameters), inputs["body-weight"]
        body = replace(self.patient, weight=weight).vector[None, :]
        state = at_rest(body, np.array([inputs.get(BASAL.name, BASAL.resting)]))
        return np.repeat(np.append(state, [[weight]], axis=1), members, axis=0)

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble; sensor and plasma are observed. Raises `Misuse` on a plan outside the bounds."""
        refuse_outside(self, plan)
        bodies = np.tile(self.patient.vector, (len(state), 1))
        bodies[:, 0] = state[:, _WEIGHT]
        schedule = _shared(plan, len(state))
        after, seen = follow(bodies, state[:, :_WEIGHT], schedule, len(plan), every, self.substeps, len(self.channels))
        observed = np.ascontiguousarray(seen.swapaxes(0, 1))
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        return self.join(after, state[:, _WEIGHT:]), observed

    def measure(self, state: Array) -> Array:
        """Return glucose under the skin and in plasma, mg/dL."""
        return np.asarray(state[:, [X13, X4]] / self.patient.vg)

    def observe(self, state: Array) -> Array:
        """Return the same, as yields."""
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move glucose to a reading: in plasma and under the skin to it, in tissue to what stands in balance."""
        moved = state.copy()
        moved[:, X4] = moved[:, X13] = value * self.patient.vg
        bodies = np.tile(self.patient.vector, (len(state), 1))
        moved[:, X5] = tissue_at(bodies, moved[:, X4], moved[:, X7])
        return moved


def _shared(plan: Array, members: int) -> Schedule:
    """Make of a plan laid on minutes the list that all members share: the minutes in which something changes."""
    changes = np.append(True, np.diff(plan[:, 2]) != 0.0) if len(plan) else np.empty(0, dtype=bool)
    minutes = np.flatnonzero((plan[:, 0] > 0.0) | (plan[:, 1] > 0.0) | changes)
    given = np.ascontiguousarray(plan[minutes].T)
    return Schedule(
        np.zeros(members, dtype=np.int64), np.full(members, len(minutes)), minutes, given[0], given[1], given[2]
    )

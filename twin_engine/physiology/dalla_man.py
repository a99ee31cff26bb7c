"""Glucose and insulin after a meal in people whose body makes insulin: healthy, or with type 2 diabetes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Yield
from twin_engine.physiology.glucose_terms import CARBOHYDRATE, METER, body_weight, glucose_yields
from twin_engine.refusal import refuse_diverged, refuse_outside
from twin_engine.runge_kutta import march

__all__ = ["HEALTHY", "TYPE_2", "DallaMan", "MealBody"]

DALLA_MAN = (
    "Dalla Man C, Rizza RA, Cobelli C. Meal simulation model of the glucose-insulin system. IEEE Trans Biomed Eng "
    "2007;54:1740-1749"
)


@dataclass(frozen=True, slots=True)
class MealBody:
    """The parameters of a body, in the symbols and units of the paper (mg, kg, min, pmol, dL for glucose)."""

    vg: float
    k1: float
    k2: float
    vi: float
    m1: float
    m2: float
    m4: float
    m5: float
    m6: float
    heb: float
    kmax: float
    kmin: float
    kabs: float
    f: float
    b: float
    d: float
    kp1: float
    kp2: float
    kp3: float
    kp4: float
    ki: float
    fcns: float
    vm0: float
    vmx: float
    km0: float
    p2u: float
    k: float
    alpha: float
    beta: float
    gamma: float
    ke1: float
    ke2: float

    @property
    def secretion(self) -> float:
        """Insulin secretion at rest, pmol/kg/min: where the liver extracts `heb` of it."""
        return (self.m6 - self.heb) / self.m5

    @property
    def insulin(self) -> float:
        """Insulin in plasma at rest, pmol/kg."""
        m30 = self.heb * self.m1 / (1.0 - self.heb)
        return self.secretion / ((self.m1 + m30) * (self.m2 + self.m4) / self.m1 - self.m2)


HEALTHY = MealBody(
    *(1.88, 0.065, 0.079, 0.05, 0.190, 0.484, 0.194, 0.0304, 0.6471, 0.6),
    *(0.0558, 0.0080, 0.057, 0.90, 0.82, 0.010, 2.70, 0.0021, 0.009, 0.0618, 0.0079),
    *(1.0, 2.50, 0.047, 225.59, 0.0331, 2.30, 0.050, 0.11, 0.5, 0.0005, 339.0),
)
TYPE_2 = MealBody(
    *(1.49, 0.042, 0.071, 0.04, 0.379, 0.673, 0.269, 0.0526, 0.8118, 0.6),
    *(0.0465, 0.0076, 0.023, 0.90, 0.68, 0.09, 3.09, 0.0007, 0.005, 0.0786, 0.0066),
    *(1.0, 4.65, 0.034, 466.21, 0.0840, 0.99, 0.013, 0.05, 0.5, 0.0005, 339.0),
)
_MOST = 2e4  # mg/kg: no one's glucose
_STATES = (  # name, title, unit, bounds
    ("stomach-solid", "Glucose in the stomach, solid", "mg", (0.0, 1e6)),
    ("stomach-liquid", "Glucose in the stomach, liquid", "mg", (0.0, 1e6)),
    ("gut", "Glucose in the gut", "mg", (0.0, 1e6)),
    ("plasma-glucose", "Glucose in plasma", "mg/kg", (0.0, 5000.0)),
    ("tissue-glucose", "Glucose in tissue", "mg/kg", (0.0, 5000.0)),
    ("liver-insulin", "Insulin in the liver", "pmol/kg", (0.0, 1e5)),
    ("plasma-insulin", "Insulin in plasma", "pmol/kg", (0.0, 1e5)),
    ("delayed-insulin", "Delayed insulin, first", "pmol/L", (0.0, 1e6)),
    ("liver-insulin-action", "Insulin action on the liver", "pmol/L", (0.0, 1e6)),
    ("insulin-action", "Insulin action on use of glucose", "pmol/L", (-1e4, 1e6)),
    ("portal-insulin", "Insulin in the portal vein", "pmol/kg", (0.0, 1e5)),
    ("provision", "Insulin made new in answer to glucose", "pmol/kg/min", (-1e3, 1e4)),
    ("stomach-before", "Glucose in the stomach when the meal began", "mg", (0.0, 1e6)),
    ("meal", "Eaten of this meal", "mg", (0.0, 1e6)),
    ("bite", "Eaten in the last minute", "mg", (0.0, 1e6)),
    ("weight", "Body weight", "kg", (15.0, 300.0)),
)
BEFORE, MEAL, BITE, WEIGHT = range(12, 16)


def _parameters() -> tuple[Parameter, ...]:
    """Name those by which the two bodies differ most, each with its healthy value and both as bounds."""
    told = (
        ("production", "Production of glucose without glucose and insulin", "mg/kg/min", "kp1"),
        ("use-by-insulin", "Use of glucose by insulin", "mg.L/kg/min/pmol", "vmx"),
        ("liver-sensitivity", "Effect of insulin on production of glucose", "mg.L/kg/min/pmol", "kp3"),
        ("secretion-by-change", "Answer of insulin secretion to rising glucose", "pmol/kg/(mg/dL)", "k"),
        ("secretion-by-level", "Answer of insulin secretion to glucose", "pmol/kg/min/(mg/dL)", "beta"),
        ("secretion-delay", "Rate of the answer of insulin secretion", "/min", "alpha"),
    )
    made = []
    for name, title, unit, symbol in told:
        healthy, ill = float(getattr(HEALTHY, symbol)), float(getattr(TYPE_2, symbol))
        bounds = (min(healthy, ill), max(healthy, ill))
        made.append(Parameter(name, unit.replace("(mg/dL)", "mg.dL"), healthy, bounds, DALLA_MAN, title=title))
    return tuple(made)


@dataclass(frozen=True)
class DallaMan(DynamicModel):
    """Glucose after meals in an average body that makes its own insulin, twelve states.

    It assumes the published average body, healthy by default (`DallaMan(body=TYPE_2)`), whatever the patient's is; only
    the weight is theirs. What is eaten within minutes without a pause is one meal. It takes no insulin and no drugs.
    """

    name: ClassVar[str] = "dalla-man"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Glucose after a meal, with own insulin"
    citation: ClassVar[str] = f"{DALLA_MAN}."
    population: ClassVar[str] = "Adults, healthy (204 studied) or with type 2 diabetes (14 studied); average bodies."
    needs: ClassVar[tuple[Need, ...]] = (
        body_weight(50.0, 130.0, "Policy: the bodies were published for about 78 and 91 kg."),
    )
    states: ClassVar[tuple[State, ...]] = tuple(State(*told) for told in _STATES)
    parameters: ClassVar[tuple[Parameter, ...]] = _parameters()
    plan: ClassVar[tuple[PlanInput, ...]] = (CARBOHYDRATE,)
    channels: ClassVar[tuple[Channel, ...]] = (METER,)
    yields: ClassVar[tuple[Yield, ...]] = glucose_yields(DALLA_MAN, "body-weight", interstitial=False)
    card: ClassVar[Card] = Card(
        context_of_use="Shows how an average healthy body, or one with type 2 diabetes, answers a meal.",
        verification=(
            "In the form of BIOMD0000000379, which departs from the paper, courses agree with libroadrunner to 1e-3 "
            "mg/dL; in the paper's form with a second implementation."
        ),
        validation="Published as the average of 204 healthy people and 14 with type 2 diabetes. None here.",
        uncertainty="None is given: an average body has one course.",
        limits="No insulin from outside, no drugs, no exercise; an average, not a person. Not for treatment.",
    )

    body: MealBody = HEALTHY

    @property
    def glucose_at_rest(self) -> float:
        """Glucose in plasma of the body at rest, mg/dL."""
        return _at_rest(self.body)[0] / self.body.vg

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the body's steady state with an empty stomach."""
        p = self.body
        plasma, tissue = _at_rest(self.body)
        state = np.zeros(len(_STATES))
        state[3], state[4] = plasma, tissue
        state[5], state[6] = p.insulin * (p.m2 + p.m4) / p.m1, p.insulin
        state[7] = state[8] = p.insulin / p.vi
        state[10] = p.secretion / p.gamma
        state[WEIGHT] = inputs["body-weight"]
        return np.tile(state, (len(parameters), 1))

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble; glucose in plasma is observed. Raises `Misuse` on a plan outside the bounds."""
        refuse_outside(self, plan)
        after, observed = march(self._slopes, state, plan, every, self.substeps, self.measure, _begin)
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        return after, observed

    def measure(self, state: Array) -> Array:
        """Return glucose in plasma, mg/dL."""
        return np.asarray(state[:, 3:4] / self.body.vg)

    def observe(self, state: Array) -> Array:
        """Return the same, as yields."""
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move glucose in plasma to a reading, and in tissue by the same share."""
        moved = state.copy()
        moved[:, 4] *= value * self.body.vg / np.maximum(moved[:, 3], 1.0)
        moved[:, 3] = value * self.body.vg
        return moved

    def secreted(self, provision: Array, rise: Array) -> Array:
        """Return the insulin that goes into the portal vein, pmol/kg/min; `rise` is that of glucose, mg/dL/min."""
        return provision + self.body.secretion + self.body.k * np.maximum(rise, 0.0)

    def _slopes(self, x: Array, row: Array) -> Array:
        p = self.body
        x1, x2, x3, plasma, tissue, liver, insulin, first, second, action, portal, provision = x[:12]
        kgut = _emptying(p, x1 + x2, x[BEFORE] + x[MEAL])
        glucose = plasma / p.vg
        made = np.maximum(0.0, p.kp1 - p.kp2 * plasma - p.kp3 * second - p.kp4 * portal)
        swap = p.k1 * plasma - p.k2 * tissue
        lost = p.ke1 * np.maximum(0.0, plasma - p.ke2)
        given = p.gamma * portal
        kept = p.m6 - p.m5 * given
        level = p.insulin / p.vi
        out = np.zeros_like(x)
        out[0] = row[0] * 1000.0 - p.kmax * x1
        out[1] = p.kmax * x1 - kgut * x2
        out[2] = kgut * x2 - p.kabs * x3
        out[3] = made + p.f * p.kabs * x3 / x[WEIGHT] - p.fcns - lost - swap
        out[4] = swap - (p.vm0 + p.vmx * action) * tissue / (p.km0 + tissue)
        out[5] = -(p.m1 + kept * p.m1 / (1.0 - kept)) * liver + p.m2 * insulin + given
        out[6] = -(p.m2 + p.m4) * insulin + p.m1 * liver
        out[7] = p.ki * (insulin / p.vi - first)
        out[8] = p.ki * (first - second)
        out[9] = p.p2u * (insulin / p.vi - level - action)
        out[10] = self.secreted(provision, out[3] / p.vg) - given
        wanted = np.maximum(p.beta * (glucose - self.glucose_at_rest), -p.secretion)
        out[11] = p.alpha * (wanted - provision)
        return out


@lru_cache(maxsize=64)  # the slopes ask for it at each step
def _at_rest(p: MealBody) -> tuple[float, float]:
    """Find glucose in plasma and tissue at rest, mg/kg: as much is made as used."""
    low, high, tissue = 0.0, _MOST, 0.0
    for _ in range(80):
        plasma = (low + high) / 2.0
        linear = p.k2 * p.km0 + p.vm0 - p.k1 * plasma
        tissue = (np.sqrt(linear**2 + 4.0 * p.k1 * p.k2 * p.km0 * plasma) - linear) / (2.0 * p.k2)
        made = p.kp1 - p.kp2 * plasma - p.kp3 * p.insulin / p.vi - p.kp4 * p.secretion / p.gamma
        lost = p.fcns + p.ke1 * max(0.0, plasma - p.ke2) + p.k1 * plasma - p.k2 * tissue
        low, high = (plasma, high) if max(0.0, made) > lost else (low, plasma)
    return low, float(tissue)


def _begin(x: Array, row: Array) -> Array:
    """Count what is eaten in this minute to the meal, or begin a new one where nothing was eaten a minute ago."""
    eaten = row[0] * 1000.0
    starts = (eaten > 0.0) & (x[BITE] <= 0.0)
    x[BEFORE] = np.where(starts, x[0] + x[1], x[BEFORE])
    x[MEAL] = np.where(starts, 0.0, x[MEAL]) + eaten
    x[BITE] = eaten
    return x


def _emptying(p: MealBody, full: Array, size: Array) -> Array:
    """Return the rate at which the stomach empties: fast while full, slow in between, fast again at the end."""
    over = 1.0 / np.where(size > 0.0, size, 1.0)
    slower = np.tanh(2.5 / (1.0 - p.b) * (full * over - p.b))
    again = np.tanh(2.5 / p.d * (full * over - p.d))
    kgut = p.kmin + (p.kmax - p.kmin) / 2.0 * (slower - again + 2.0)
    return np.where(size > 0.0, kgut, p.kmax)

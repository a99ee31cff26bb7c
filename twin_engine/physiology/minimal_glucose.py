"""Glucose of one person under meals and insulin: the minimal model, small enough to be identified from their sensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State, limits_of
from twin_engine.model import Array, Card, Need, Parameter, Prior, Yield
from twin_engine.physiology.minimal_glucose_kernel import ACTION, GLUCOSE, KD, KE, SG, bound, clip, follow

__all__ = ["MinimalGlucose"]

CAPPON = (
    "Cappon G, Vettoretti M, Sparacino G, Del Favero S, Facchinetti A. ReplayBG: a digital twin-based methodology to "
    "identify a personalized model from type 1 diabetes data and simulate glucose concentrations to assess alternative "
    "therapies. IEEE Trans Biomed Eng 2023;70:3105-3115"
)
BERGMAN = (
    "Bergman RN, Ider YZ, Bowden CR, Cobelli C. Quantitative estimation of insulin sensitivity. Am J Physiol "
    "1979;236:E667-E677"
)
DALLA_MAN = (
    "Dalla Man C, Micheletto F, Lv D, Breton M, Kovatchev B, Cobelli C. The UVA/PADOVA type 1 diabetes simulator: new "
    "features. J Diabetes Sci Technol 2014;8:26-34 (action of insulin in hypoglycaemia)"
)
EDGES = (
    "Dexcom marks lower and higher ones by 39 and 401 (Nightscout, cgm-remote-monitor pull request 7207), some Libre "
    "systems tell 40 to 500 (Tidepool uploader, freeStyleLibreConstants.js) and LibreView below 2.2 mmol/L (its issue "
    "1460): what is told from 20 to 501 mg/dL, down from where Dexcom's error codes end, is taken as 40 or less, or as "
    "400 or more"
)
OURS = "population spread and drift as measured on virtual patients, docs/twins.md"
WEIGHTS = (
    "Fryar CD, et al. Anthropometric reference data for children and adults: United States, 2015-2018. Vital Health "
    "Stat 3(46), 2021"
)

_LEAST_ACTION = -0.9  # of the glucose effectiveness: with less, glucose would run away
_HOUR = 12.0**0.5  # a random walk of five minutes, told for one hour
# Of the random walks of the prototype filter in docs/twins.md: with inflation, and with what nobody logs as noise in
# the gut, parameters that walk slower forecast better (six virtual patients over ten days, 30 and 60 minutes: 13.0 and
# 19.8 mg/dL against 13.4 and 20.6).
_PACE = 0.1


def _fitted(
    name: str, title: str, unit: str, *, centre: float, sd: float, walk: float, bounds: tuple[float, float]
) -> Parameter:
    prior = Prior("log", centre, sd, drift=_PACE * walk * _HOUR)
    return Parameter(name, unit, centre, bounds, f"{CAPPON}; {OURS}", prior, title)


@dataclass(frozen=True)
class MinimalGlucose(DynamicModel):
    """Glucose under carbohydrate and insulin, calibrated to one person's sensor.

    Nine states: two of the stomach, the gut, two under the skin, insulin in plasma, its action, glucose in plasma and
    in the interstitium; weight and the insulin at rest stand beside them and do not move. Integrated by backward Euler
    as in the paper. It assumes that insulin comes from outside alone, that meals and doses are logged, and that what it
    leaves out (exercise, illness, stress) is slow enough to be followed by drifting parameters.
    """

    name: ClassVar[str] = "glucose"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Glucose under meals and insulin"
    citation: ClassVar[str] = f"{CAPPON}. {BERGMAN}."
    population: ClassVar[str] = (
        "People with type 1 diabetes under a glucose sensor; for others it is a smoother of their sensor's readings."
    )
    needs: ClassVar[tuple[Need, ...]] = (
        Need(
            name="body-weight",
            title="Body weight",
            unit="kg",
            kind="measurement",
            bounds=(15.0, 300.0),
            why="Policy: below are infants, above weights that no study of this model had.",
            max_age_days=730,
            age_why="policy",
            imputed=Prior("log", 82.0, 0.25),
            imputed_from=f"adults, both sexes: {WEIGHTS}",
        ),
    )
    states: ClassVar[tuple[State, ...]] = (
        State("stomach-solid", "Carbohydrate in the stomach, solid", "mg/kg", (0.0, 20000.0)),
        State("stomach-liquid", "Carbohydrate in the stomach, liquid", "mg/kg", (0.0, 20000.0)),
        State("gut", "Carbohydrate in the gut", "mg/kg", (0.0, 20000.0), noise=200.0),
        State("depot", "Insulin under the skin", "m[iU]/kg", (0.0, 5000.0)),
        State("depot-2", "Insulin under the skin, dissolved", "m[iU]/kg", (0.0, 5000.0)),
        State("plasma-insulin", "Insulin in plasma", "m[iU]/kg", (0.0, 500.0)),
        State("insulin-action", "Action of insulin above that at rest", "/min", ACTION),
        State("plasma-glucose", "Glucose in plasma", "mg/dL", GLUCOSE, noise=6.0),
        State("sensed-glucose", "Glucose in the interstitium", "mg/dL", GLUCOSE),
        State("weight", "Body weight", "kg", (15.0, 300.0)),
        State("resting-insulin", "Insulin at rest", "[iU]/h", (0.0, 20.0)),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _fitted(
            "insulin-sensitivity",
            "Insulin sensitivity SI",
            "L/m[iU]/min",
            centre=1.0e-3,
            sd=0.6,
            walk=0.015,
            bounds=(5e-5, 2e-2),
        ),
        _fitted(
            "glucose-effectiveness",
            "Glucose effectiveness SG",
            "/min",
            centre=0.022,
            sd=0.35,
            walk=0.004,
            bounds=(2e-3, 0.1),
        ),
        _fitted(
            "resting-glucose", "Glucose at rest Gb", "mg/dL", centre=119.0, sd=0.12, walk=0.002, bounds=(60.0, 200.0)
        ),
        _fitted(
            "absorption", "Absorption from the gut kabs", "/min", centre=0.012, sd=0.5, walk=0.02, bounds=(1e-3, 0.15)
        ),
        _fitted(
            "insulin-absorption",
            "Absorption of insulin ka2",
            "/min",
            centre=0.014,
            sd=0.3,
            walk=0.004,
            bounds=(2e-3, 0.025),
        ),
        _fitted(
            "meal-share",
            "Share of the counted carbohydrate that appears",
            "1",
            centre=1.0,
            sd=0.25,
            walk=0.02,
            bounds=(0.2, 4.0),
        ),
        _fitted(
            "action-rate", "Rate of insulin action p2", "/min", centre=0.012, sd=0.15, walk=0.003, bounds=(3e-3, 0.05)
        ),
    )
    plan: ClassVar[tuple[PlanInput, ...]] = (
        PlanInput(
            name="carbohydrate",
            title="Carbohydrate eaten",
            unit="g",
            kind="dose",
            bounds=(0.0, 300.0),
            why="Policy: more at one sitting is taken for an error of unit.",
            logged=("carbohydrate-intake",),
            group="meal",
        ),
        PlanInput(
            name="insulin-bolus",
            title="Rapid-acting insulin",
            unit="[iU]",
            kind="dose",
            bounds=(0.0, 60.0),
            why="Policy: the largest single bolus that common pumps and pens give is 25 to 60 units.",
            logged=("insulin-lispro", "insulin-aspart"),
            delay=8.0,
            citation=CAPPON,
        ),
        PlanInput(
            name="insulin-basal",
            title="Basal insulin",
            unit="[iU]/h",
            kind="rate",
            bounds=(0.0, 15.0),
            why="Policy: above the highest basal rates in use.",
            logged=("insulin-pump-basal",),
            depots=(("insulin-glargine", 1440.0),),
            delay=8.0,
            citation=(
                f"{CAPPON}; glargine as an even release over a day: Heinemann L, et al. Time-action profile of the "
                "long-acting insulin analog insulin glargine (HOE901). Diabetes Care 2000;23:644-649"
            ),
        ),
    )
    channels: ClassVar[tuple[Channel, ...]] = (
        Channel(
            name="interstitial-glucose",
            title="Glucose of the sensor",
            unit="mg/dL",
            sd=8.0,
            bounds=(40.0, 400.0),
            beyond=(20.0, 501.0),
            within=GLUCOSE,
            per_minute=8.0,
            citation=(
                "Vettoretti M, et al. Development of an error model for a factory-calibrated continuous glucose "
                "monitoring sensor with 10-day lifetime. Sensors 2019;19:5320 (sd of 8.1); 40 to 400 mg/dL is what all "
                f"sensors tell; {EDGES}; a change above 8 mg/dL in a minute is policy, twice what is seen in people"
            ),
        ),
        Channel(
            name="glucose",
            title="Glucose in blood",
            unit="mg/dL",
            sd=10.0,
            bounds=(20.0, 600.0),
            within=GLUCOSE,
            per_minute=20.0,
            citation="ISO 15197:2013: 95 % of meters within 15 mg/dL or 15 %; range as meters tell",
        ),
    )
    yields: ClassVar[tuple[Yield, ...]] = (
        Yield(
            name="interstitial-glucose",
            title="Glucose in the interstitium, as a sensor would tell it",
            kind="observation",
            unit="mg/dL",
            needs=("body-weight",),
            decimals=0,
            reference=CAPPON,
        ),
        Yield(
            name="glucose",
            title="Glucose in plasma",
            kind="observation",
            unit="mg/dL",
            needs=("body-weight",),
            decimals=0,
            reference=CAPPON,
        ),
    )
    card: ClassVar[Card] = Card(
        context_of_use=(
            "Shows a person with type 1 diabetes, and those who care for them, what the sensor is expected to tell in "
            "the next hour, and how a day might have gone under other meals and doses. It does not dose insulin."
        ),
        verification=(
            "One minute step agrees with py-replay-bg 1.4.0 to 1e-4 mg/dL over 480 minutes; half the step changes the "
            "course by a third of a sensor's error under a light plan, and by 20 mg/dL with every input at its upper "
            "bound, where glucose comes to both ends of its range; members of an ensemble are independent to the bit."
        ),
        validation=(
            "On 30 virtual patients of another, larger model (UVA/Padova S2008) whose parameters it was not given, and "
            "as a smoother on the real sensors of Hall 2018 (benchmarks/twins.py, docs/benchmarks.md). Not on the "
            "people of this installation, other than by each twin's own back-test, which stands beside every forecast."
        ),
        uncertainty=(
            "An ensemble of parameters and states, whose spread is recalibrated on the twin's own last week; coverage "
            "of the 90 % interval is part of the back-test."
        ),
        limits=(
            "Not for dosing. Exercise, alcohol, illness, glucagon and unlogged meals are not modelled; a forecast "
            "assumes that nothing is eaten or injected but what the plan says. Not for infants or for insulin made by "
            "the body. Glucose is told from 10 to 1000 mg/dL: what holds a living body above the one (counter-"
            "regulation) and below the other (the kidneys) is not modelled, so that an end means this, or further; a "
            "forecast or a plan that comes to one says so."
        ),
    )

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the steady state under the resting basal rate: glucose at Gb, insulin where the rate keeps it."""
        members = len(parameters)
        weight, rate = inputs["body-weight"], inputs.get("insulin-basal", 0.0)
        flow = rate * 1000.0 / 60.0 / weight  # mU/kg/min
        state = np.zeros((members, len(self.states)))
        state[:, 3] = flow / KD
        state[:, 4] = flow / parameters[:, 4]
        state[:, 5] = flow / KE
        state[:, 7] = state[:, 8] = parameters[:, 2]
        state[:, 9], state[:, 10] = weight, rate
        return state

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble minute by minute; both channels are observed."""
        return follow(state, self.parameters_of(state), plan, every, self.substeps)

    def measure(self, state: Array) -> Array:
        """Return glucose in the interstitium and in plasma, mg/dL."""
        return state[:, 8:6:-1].copy()

    def observe(self, state: Array) -> Array:
        """Return the same, as yields."""
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move glucose in both places to a reading: one reading cannot tell them apart."""
        moved = state.copy()
        moved[:, 7] = moved[:, 8] = value
        return moved

    def natural(self, scaled: Array) -> Array:
        """Turn logarithms of parameters (members, fitted) into natural units, within their bounds."""
        limits = limits_of(self)
        if not limits.logarithms:  # of a variant of this model
            return super().natural(scaled)
        found = np.exp(np.ascontiguousarray(scaled))
        clip(found, limits.parameters[0], limits.parameters[1])
        return found

    def bounded(self, state: Array) -> Array:
        """Keep the states within their bounds, and the lack of insulin above what would let glucose run away."""
        kept = np.array(state, dtype=np.float64, order="C")
        low, high = limits_of(self).states
        bound(kept, low, high, _LEAST_ACTION, len(self.states) + SG)
        return kept

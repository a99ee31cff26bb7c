"""The contract names each way in which a model breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from ucumvert import PintUcumRegistry

from mappers.facts import Coding
from twin_engine import Array, Card, Equation, Need, Parameter, Range, Yield, check_model, models

CARD = Card("Tests.", "By hand.", "Not assessed.", "Not assessed.", "Not for patients.")
PULSE = Need("pulse", "Pulse", "/min", "measurement", (20.0, 300.0), "Policy.", 30, "policy")
BEAT = Yield(
    "beat", "Time of a beat", "observation", "ms", ("pulse",), 0, "By hand.", Coding("http://loinc.org", "8867-4")
)


class Beat(Equation):
    """The time of a heart beat. Assumes a regular rhythm."""

    name = "beat-time"
    version = "1"
    title = "Time of a heart beat"
    citation = "By hand."
    population = "Anybody with a pulse."
    needs = (PULSE,)
    yields = (BEAT,)
    card = CARD

    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"beat": 60000.0 / inputs["pulse"]}


def changed(**attributes: object) -> Equation:
    made: Equation = type("Changed", (Beat,), {"__doc__": Beat.__doc__, **attributes})()
    return made


def test_a_sound_model_has_nothing_wrong():
    assert check_model(Beat()) == ()


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"title": ""}, "has no title"),
        ({"population": ""}, "has no population"),
        ({"name": "Beat Time"}, "lower-case words"),
        ({"__doc__": "The time of a beat."}, "does not say what is assumed"),
        ({"card": replace(CARD, validation=" ")}, "says nothing about validation"),
        ({"needs": (replace(PULSE, unit="beats per minute"),)}, "not UCUM"),
        ({"needs": (replace(PULSE, age_why=""),)}, "who limits the age"),
        ({"needs": (replace(PULSE, why=""),)}, "does not say why"),
        ({"needs": (PULSE, PULSE)}, "used twice"),
        ({"needs": (replace(PULSE, at="ecg"),)}, "does not stand before it"),
        ({"yields": (replace(BEAT, needs=("rate",)),)}, "does not ask: rate"),
        ({"yields": (replace(BEAT, kind="risk"),)}, "a horizon"),
        ({"yields": (replace(BEAT, reference=""),)}, "no reference"),
        ({"parameters": (Parameter("gain", "1", 3.0, (0.0, 2.0), "By hand."),)}, "outside its bounds"),
        ({"holds_for": (Range("pulse", "Pulse", "/min", 400, 500, "By hand."),)}, "middle of the stated ranges"),
        ({"valid_at": "ecg"}, "valid at ecg"),
        ({"holds_for": (Range("strain", "Strain", "1", 0, 1, "By hand."),)}, "neither a need nor derived"),
        ({"compute": lambda self, inputs: {"beat": inputs["pulse"] * np.nan}}, "not finite"),
        ({"compute": lambda self, inputs: {"beat": np.cumsum(inputs["pulse"])}}, "mixes the members"),
        ({"start": lambda self, inputs, members, rng: np.random.default_rng().random((members, 1))}, "other bits"),
        ({"step": lambda self, state, plan, days, rng: state[:1]}, "not the shape of the state"),
        ({"step": lambda self, state, plan, days, rng: np.add(state, 1.0, out=state)}, "has changed"),
        ({"observe": lambda self, state: np.hstack([state, state])}, "not (members, yields)"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_named(attributes: dict[str, object], said: str):
    problems = check_model(changed(**attributes))
    assert any(said in problem for problem in problems), problems


def test_a_risk_that_is_no_probability_is_named():
    risk = replace(BEAT, kind="risk", unit="1", horizon_years=1.0)
    assert any("no probability" in problem for problem in check_model(changed(yields=(risk,))))


def test_the_units_of_all_models_are_ucum_by_an_independent_parser():
    registry = PintUcumRegistry()
    for model in models().values():
        for part in (*model.needs, *model.yields, *model.holds_for):
            registry.from_ucum(part.unit)

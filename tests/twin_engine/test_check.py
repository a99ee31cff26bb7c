"""The contract names each way in which a model breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from ucumvert import PintUcumRegistry
from ucumvert.xml_util import get_base_units, get_metric_units, get_non_metric_units

from mappers.facts import Coding
from mappers.units import UNITS
from twin_engine import Array, Card, Equation, Need, Parameter, Range, Yield, check_model, models
from twin_engine.checks.ucum import is_ucum
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Prior

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


def imputed(prior: Prior, source: str = "By hand.") -> Need:
    return replace(PULSE, imputed=prior, imputed_from=source)


def gain(value: float, bounds: tuple[float, float], prior: Prior | None = None) -> Parameter:
    return Parameter("gain", "1", value, bounds, "By hand.", prior)


def changed(**attributes: object) -> Equation:
    made: Equation = type("Changed", (Beat,), {"__doc__": Beat.__doc__, **attributes})()
    return made


def test_a_sound_model_has_nothing_wrong():
    assert check_model(Beat()) == ()


@pytest.mark.parametrize(
    ("rule", "attributes", "said"),
    [
        ("identity", {"title": ""}, "has no title"),
        ("identity", {"population": ""}, "has no population"),
        ("identity", {"citation": ""}, "has no citation"),
        ("identity", {"card": None}, "has no card"),
        ("names", {"name": "Beat Time"}, "lower-case words"),
        ("assumptions", {"__doc__": "The time of a beat."}, "does not say what is assumed"),
        ("card", {"card": replace(CARD, validation=" ")}, "says nothing about validation"),
        ("units", {"needs": (replace(PULSE, unit="beats per minute"),)}, "not UCUM"),
        ("units", {"needs": (replace(PULSE, unit="bpm"),)}, "not UCUM"),
        ("citations", {"needs": (replace(PULSE, age_why=""),)}, "who limits the age"),
        ("needs", {"needs": (replace(PULSE, why=""),)}, "does not say why"),
        ("needs", {"needs": (replace(PULSE, bounds=(300.0, 20.0)),)}, "no bounds"),
        ("names", {"needs": (PULSE, PULSE)}, "used twice"),
        ("needs", {"needs": (replace(PULSE, at="ecg"),)}, "does not stand before it"),
        ("needs", {"needs": (imputed(Prior("log", 500.0, 0.2)),)}, "centre is out of bounds"),
        ("needs", {"needs": (imputed(Prior("log", 70.0, 0.0)),)}, "no width"),
        ("citations", {"needs": (imputed(Prior("log", 70.0, 0.2), ""),)}, "has no citation"),
        ("yields", {"yields": (replace(BEAT, needs=("rate",)),)}, "does not ask: rate"),
        ("yields", {"yields": (replace(BEAT, kind="risk"),)}, "no horizon"),
        ("yields", {"yields": (replace(BEAT, title=""),)}, "no title"),
        ("citations", {"yields": (replace(BEAT, reference=""),)}, "no reference"),
        ("parameters", {"parameters": (gain(3.0, (0.0, 2.0)),)}, "outside its bounds"),
        ("citations", {"parameters": (replace(gain(1.0, (0.0, 2.0)), citation=""),)}, "no citation"),
        ("priors", {"parameters": (gain(1.0, (0.1, 9.0), Prior("log", 1.0, 0.0)),)}, "no width"),
        ("priors", {"parameters": (gain(1.0, (0.1, 9.0), Prior("log", 1.0, 0.2, -1.0)),)}, "drift below zero"),
        ("priors", {"parameters": (gain(1.0, (0.1, 9.0), Prior("log", 10.0, 0.2)),)}, "centre outside"),
        ("priors", {"parameters": (gain(1.0, (0.0, 9.0), Prior("log", 1.0, 0.2)),)}, "its scale does not have"),
        ("priors", {"parameters": (gain(1.0, (0.5, 2.0), Prior("log", 1.0, 1.0)),)}, "with 49%"),
        ("ranges", {"holds_for": (Range("strain", "Strain", "1", 0, 1, "By hand."),)}, "neither a need nor derived"),
        ("valid-at", {"valid_at": "ecg"}, "valid at ecg"),
        ("refusal", {"holds_for": (Range("pulse", "Pulse", "/min", 400, 500, "By hand."),)}, "the middle of the"),
        ("finite", {"compute": lambda self, inputs: {"beat": inputs["pulse"] * np.nan}}, "not finite"),
        ("probability", {"yields": (replace(BEAT, kind="risk", unit="1", horizon_years=1.0),)}, "no probability"),
        ("members", {"compute": lambda self, inputs: {"beat": np.cumsum(inputs["pulse"])}}, "mixes the members"),
        ("seed", {"start": lambda self, inputs, members, rng: np.random.default_rng().random((members, 1))}, "bits"),
        ("seed", {"step": lambda self, state, plan, days, rng: state + np.random.default_rng().random()}, "step()"),
        ("shape", {"start": lambda self, inputs, members, rng: np.full((1, 1), 9.0)}, "not (members, yields)"),
        ("shape", {"step": lambda self, state, plan, days, rng: state[:1]}, "not the shape of the state"),
        ("untouched", {"step": lambda self, state, plan, days, rng: np.add(state, 1.0, out=state)}, "has changed"),
        ("shape", {"observe": lambda self, state: np.hstack([state, state])}, "not (members, yields)"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_found_by_that_rule_alone(rule: str, attributes: dict[str, object], said: str):
    found = check_model(changed(**attributes))
    assert {finding.rule for finding in found} == {rule}, found
    assert any(said in finding.says for finding in found), found


def test_a_finding_names_the_model_and_says_what_to_do():
    [finding] = check_model(changed(citation=""))
    assert (finding.model, finding.rule) == ("beat-time", "identity")
    assert str(finding) == "beat-time: The model has no citation. Write it as an attribute of the class."
    [nameless] = check_model(changed(name=""))
    assert nameless.model == "Changed"


def test_the_units_of_all_models_are_ucum_by_an_independent_parser():
    registry = PintUcumRegistry()
    for model in models().values():
        parts = (*model.needs, *model.yields, *model.holds_for, *model.parameters)
        if isinstance(model, DynamicModel):
            parts += (*model.states, *model.plan, *model.channels)
        for unit in {part.unit for part in parts}:
            assert is_ucum(unit)
            registry.from_ucum(unit)


def test_names_of_units_are_those_of_ucum():
    """Each name of the official table is known, with a prefix where it is metric; no other is."""
    metric = get_base_units() + get_metric_units()
    assert is_ucum("((mg/dL).L)/(kg.min)")
    for name in (*metric, *get_non_metric_units(), *(f"m{name}" for name in metric)):
        assert is_ucum(name), name
    for name in (
        "mmm",
        "percent",
        "bpm",
        "mcg",
        "iu",
        "ml/minute",
        "kmin",
        "d[Hg",
        "x[Hg]",
        "mg dL",
        "mg//dL",
        "",
        "/",
    ):
        assert not is_ucum(name), name


def test_each_unit_of_our_table_is_ucum():
    assert [unit for unit in UNITS if not is_ucum(unit)] == []

"""The meal model with the body's own insulin, against published courses of a healthy body and one with diabetes."""

from __future__ import annotations

import numpy as np
import pytest

from twin_engine import check_model, model
from twin_engine.physiology.dalla_man import HEALTHY, TYPE_2, DallaMan, MealBody

MINUTES = (15, 30, 60, 90, 120, 180, 240, 300, 420)
GRAMS = 78.0


def test_the_meal_model_keeps_the_contract():
    assert check_model(model("dalla-man")) == ()


@pytest.mark.parametrize(
    ("body", "weight", "rest", "expected"),
    [
        (HEALTHY, 78.0, 91.799649, (109.541, 138.257, 157.008, 151.462, 132.925, 98.200, 89.218, 89.795, 89.809)),
        (TYPE_2, 91.0, 159.231362, (166.850, 192.833, 242.199, 269.698, 279.586, 258.520, 211.928, 184.461, 139.142)),
    ],
    ids=["healthy", "type-2"],
)
def test_a_meal_of_78_g_follows_the_published_course(
    body: MealBody, weight: float, rest: float, expected: tuple[float, ...]
):
    # ../shared/spec/glucose_onco.md, section 1.5: the meal stands in the stomach at once.
    eater = DallaMan(body=body, substeps=4)
    state = eater.start({"body-weight": weight}, 1, np.random.default_rng(0))
    assert eater.measure(state)[0, 0] == pytest.approx(rest, abs=1e-5)
    state[:, 0] = state[:, 13] = GRAMS * 1000.0
    observed = eater.trace(state, np.zeros((420, 1)), 1)[1][:, 0, 0]
    assert observed[[minute - 1 for minute in MINUTES]] == pytest.approx(expected, abs=2e-2)


def test_a_body_at_rest_stays_at_rest():
    eater = DallaMan()
    state = eater.start({"body-weight": 78.0}, 2, np.random.default_rng(0))
    observed = eater.trace(state, np.zeros((720, 1)), 60)[1]
    assert observed == pytest.approx(eater.glucose_at_rest, abs=1e-3)

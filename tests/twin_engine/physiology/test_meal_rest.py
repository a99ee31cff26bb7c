"""The meal model at rest, and its peaks, against the published columns of a healthy body and one with diabetes."""

from __future__ import annotations

import numpy as np
import pytest

from twin_engine.physiology.dalla_man import HEALTHY, TYPE_2, DallaMan, MealBody

# ../shared/spec/glucose_onco.md, section 1.5: basal secretion, insulin in plasma (pmol/L) and in the portal vein, and
# glucose in plasma and in tissue (mg/kg); then the peak after 78 g, mg/dL, and its minute.
REST = [
    (HEALTHY, 78.0, (1.549342, 25.587813, 3.098684, 172.583340, 130.406723), (157.345, 66)),
    (TYPE_2, 91.0, (4.026616, 59.848632, 8.053232, 237.254729, 126.380340), (279.762, 125)),
]
published = pytest.mark.parametrize(("body", "weight", "rest", "peak"), REST, ids=["healthy", "type-2"])


def eater(body: MealBody, weight: float) -> tuple[DallaMan, np.ndarray]:
    model = DallaMan(body=body, substeps=4)
    return model, model.start({"body-weight": weight}, 1, np.random.default_rng(0))


@published
def test_rest_is_solved_from_the_parameters_alone(body, weight, rest, peak):
    _, state = eater(body, weight)
    found = body.secretion, body.insulin / body.vi, body.secretion / body.gamma, state[0, 3], state[0, 4]
    assert found == pytest.approx(rest, abs=1e-6)


@published
def test_the_peak_after_a_meal_is_as_high_and_as_late_as_published(body, weight, rest, peak):
    model, state = eater(body, weight)
    state[:, 0] = state[:, 13] = 78_000.0  # it stands in the stomach at once
    course = model.trace(state, np.zeros((420, 1)), 1)[1][:, 0, 0]
    assert (course.max(), course.argmax() + 1) == (pytest.approx(peak[0], abs=2e-2), peak[1])

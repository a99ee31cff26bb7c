"""Known people are found again, what was not measured stays wide, and what cannot be true together is said."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Misuse
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.personal import personal

MODEL = Circulation()
PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
NAMES = [wanted.name for wanted in MODEL.yields]
SD = {
    "heart-rate": 1.0,
    "systolic-pressure": 2.0,
    "diastolic-pressure": 2.0,
    "ejection-fraction": 2.0,
    "end-diastolic-volume": 5.0,
    "wedge-pressure": 1.0,
    "central-venous-pressure": 1.0,
    "cardiac-output": 0.2,
}


@pytest.fixture(scope="module")
def truth():
    """One person with a weak heart, and what is true of them at rest."""
    natural = np.array([[parameter.value for parameter in MODEL.fitted]])
    natural[0, :5] *= [1.2, 0.5, 1.6, 0.85, 1.1]
    scaled = np.log(natural)
    return MODEL.observe(MODEL.join(MODEL.rest(PERSON, MODEL.natural(scaled)), scaled))[0]


def readings(truth, *names, **instead):
    told = {name: (float(truth[NAMES.index(name)]), SD[name]) for name in (names or SD)}
    return told | {name.replace("_", "-"): (value, SD[name.replace("_", "-")]) for name, value in instead.items()}


def column(found, name):
    return MODEL.observe(found.ensemble)[:, NAMES.index(name)]


@pytest.fixture(scope="module")
def found(truth):
    return personal(MODEL, PERSON, readings(truth), seed=1)


def test_what_was_measured_is_met_and_what_was_not_is_found(truth, found):
    for name, limit in {"ejection-fraction": 4.0, "mean-pressure": 3.0, "cardiac-output": 0.5}.items():
        assert np.median(column(found, name)) == pytest.approx(truth[NAMES.index(name)], abs=limit), name
    low, high = np.percentile(column(found, "end-systolic-volume"), [2.5, 97.5])
    assert low <= truth[NAMES.index("end-systolic-volume")] <= high
    assert found.contradicts == ()
    assert found.share > 0.05


def test_it_says_what_the_readings_tell(truth, found):
    assert {"resting-heart-rate", "contractility", "stiffness", "systemic-resistance"} <= set(found.learnt)
    cuff = personal(MODEL, PERSON, readings(truth, "heart-rate", "systolic-pressure", "diastolic-pressure"), seed=1)
    assert "stiffness" not in cuff.learnt
    assert cuff.spread["aortic-orifice"] > 0.7
    assert column(cuff, "wedge-pressure").std() > 2.0 * column(found, "wedge-pressure").std()


def test_the_same_readings_and_seed_give_the_same_bits(truth, found):
    assert np.array_equal(personal(MODEL, PERSON, readings(truth), seed=1).ensemble, found.ensemble)


def test_readings_that_contradict_each_other_are_named_and_widen_the_answer(truth, found):
    told = readings(truth, end_diastolic_volume=90.0, ejection_fraction=20.0, cardiac_output=6.0)
    odd = personal(MODEL, PERSON, told, seed=1)
    assert set(odd.contradicts) & {"end-diastolic-volume", "ejection-fraction", "cardiac-output"}
    assert column(odd, "wedge-pressure").std() > column(found, "wedge-pressure").std()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "at least one reading"),
        ({"pulse": (70.0, 1.0)}, "no such quantity"),
        ({"heart-rate": (float("nan"), 1.0)}, "no number"),
        ({"heart-rate": (70.0, 0.0)}, "no number"),
    ],
)
def test_what_is_no_reading_is_refused(told, why):
    with pytest.raises(Misuse, match=why):
        personal(MODEL, PERSON, told)

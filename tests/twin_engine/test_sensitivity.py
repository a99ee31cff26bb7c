"""What a result hangs on: Sobol's indices of functions whose indices are known, and of a model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from security.errors import Misuse
from tests.twin_engine.washout import LEVEL, Washout
from twin_engine import Array
from twin_engine.checkpoint import Checkpoint
from twin_engine.outcome import Measure
from twin_engine.plan import Plan
from twin_engine.sensitivity import Varied, indices, of_amounts, of_parameters
from twin_engine.series import Dose
from twin_engine.track import Track

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = Washout()
PEAK = Measure("greatest", "Greatest", LEVEL, "greatest")
LAST = Measure("least", "Least", LEVEL, "least")


def ishigami(x: Array) -> Array:
    return np.asarray(np.sin(x[0]) + 7.0 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0]))


def some_track(sd: float = 0.1) -> Track:
    """A person without any drug, of whom both parameters are known alike well."""
    rng = np.random.default_rng(1)
    scaled = np.log([0.3, 0.5]) + sd * rng.standard_normal((400, 2))
    state = MODEL.join(np.zeros((400, 1)), scaled)
    base = Checkpoint(NOW, state.astype(np.float32).tobytes())
    return Track("washout", "1", {"substeps": "1"}, 400, 1, NOW, state.tobytes(), MODEL.width, NOW, (base,))


def one_dose(amount: float = 100.0) -> Plan:
    return Plan("one dose", NOW, (Dose(NOW, "dose", amount),))


def test_the_indices_of_ishigami_are_those_of_its_integrals():
    # Ishigami & Homma 1990, a = 7, b = 0.1; the values by hand: V = a²/8 + b·π⁴/5 + b²·π⁸/18 + 1/2
    pi4, pi8 = np.pi**4, np.pi**8
    whole = 49 / 8 + 0.1 * pi4 / 5 + 0.01 * pi8 / 18 + 0.5
    alone = {"x1": 0.5 * (1 + 0.1 * pi4 / 5) ** 2 / whole, "x2": 49 / 8 / whole, "x3": 0.0}
    joint = 0.01 * pi8 * 8 / 225 / whole
    varied = [Varied(name, name, low=-np.pi, high=np.pi) for name in alone]
    found = {index.name: index for index in indices(ishigami, varied, draws=2048)}
    for name, first in alone.items():
        assert found[name].first == pytest.approx(first, abs=0.02)
        assert found[name].first_interval[0] <= first <= found[name].first_interval[1]
    for name, total in {"x1": alone["x1"] + joint, "x2": alone["x2"], "x3": joint}.items():
        assert found[name].total == pytest.approx(total, abs=0.02)
    assert list(found) == ["x1", "x2", "x3"]


def test_of_a_sum_each_share_is_its_variance():
    varied = [Varied("a", "a", mean=3.0, sd=2.0), Varied("b", "b", mean=-1.0, sd=1.0)]
    one, other = indices(lambda x: np.asarray(x[0] + x[1]), varied)
    assert (one.name, other.name) == ("a", "b")
    assert [one.first, one.total, other.first, other.total] == pytest.approx([0.8, 0.8, 0.2, 0.2], abs=0.02)


def test_what_does_not_vary_hangs_on_nothing():
    varied = [Varied("a", "a", low=0.0, high=1.0)]
    assert indices(lambda x: np.full(x.shape[1], 7.0), varied) == ()


def test_the_same_seed_gives_the_same_indices():
    varied = [Varied(name, name, low=-np.pi, high=np.pi) for name in ("x1", "x2", "x3")]
    assert indices(ishigami, varied, draws=64, seed=2) == indices(ishigami, varied, draws=64, seed=2)
    assert indices(ishigami, varied, draws=64, seed=2) != indices(ishigami, varied, draws=64, seed=3)
    with pytest.raises(ValueError, match="power of two"):
        indices(ishigami, varied, draws=100)


def test_a_peak_hangs_on_the_volume_and_what_is_left_on_the_rate():
    def heaviest(measure: Measure, minutes: int) -> tuple[str, float]:
        found = of_parameters(MODEL, some_track(), one_dose(), measure, at=NOW, minutes=minutes)
        return found.indices[0].name, found.indices[0].first

    assert heaviest(PEAK, 60) == ("volume", pytest.approx(1.0, abs=0.02))
    # after 20 h the level is dose / volume * exp(-k t): ln of it varies by 0.1 and by k t * 0.1 = 0.6
    name, first = heaviest(LAST, 1200)
    assert name == "washout-rate"
    assert first == pytest.approx(36 / 37, abs=0.05)


def test_of_two_doses_the_heavier_counts_more():
    two = Plan("two", NOW, (Dose(NOW, "dose", 300.0), Dose(NOW, "pump", 10.0), Dose(NOW, "dose", 100.0)))
    found = of_amounts(MODEL, some_track(), two, PEAK, at=NOW, minutes=30, draws=512)
    told = {index.name: index.first for index in found.indices}
    assert list(told) == ["dose-1", "dose-3", "pump-2"]
    assert told["dose-1"] / told["dose-3"] == pytest.approx(9.0, rel=0.15)
    assert "20 %" in found.assumption


def test_of_a_plan_that_gives_nothing_no_amount_counts():
    assert of_amounts(MODEL, some_track(), Plan("nothing", NOW), PEAK, at=NOW, minutes=30).indices == ()
    found = of_parameters(MODEL, some_track(), Plan("nothing", NOW), PEAK, at=NOW, minutes=30)
    assert found.indices == ()


def test_it_is_refused_before_the_calibration_and_outside_the_model():
    with pytest.raises(Misuse):
        of_parameters(MODEL, some_track(), one_dose(), PEAK, at=NOW - timedelta(hours=1), minutes=60)
    with pytest.raises(Misuse):
        of_amounts(MODEL, some_track(), one_dose(1e6), PEAK, at=NOW, minutes=60)


def test_it_can_be_written_and_read_back():
    found = of_parameters(MODEL, some_track(), one_dose(), PEAK, at=NOW, minutes=60)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found

"""The compiled arithmetic of an ensemble says what its formulas say, and sees where a number is none."""

from __future__ import annotations

import numpy as np
import pytest

from twin_engine import Array
from twin_engine.assimilate import chance
from twin_engine.ensemble_kernel import mean_and_variance, pull, shake, wander

SD, RELAX = 2.0, 0.8


def ensemble(members: int, seed: int = 1, columns: int = 7) -> Array:
    """Columns of which some go with the first, one is always the same, and one is there by chance."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(10.0, 3.0, (members, columns))
    drawn[:, 1] += 0.8 * drawn[:, 0]
    drawn[:, 2] -= 0.5 * drawn[:, 0]
    drawn[:, 3] = 4.0
    return drawn


def pulled(state: Array, error: Array, value: float, edge: int) -> Array:
    """The same by the formulas: perturbed observations, a shrunk gain, and a share of the lost spread given back."""
    members = len(state)
    expected, error = state[:, 0], SD * error
    variance = expected.var(ddof=1)
    off = value - expected + error - error.mean()
    if edge:
        off = np.maximum(off, 0.0) if edge > 0 else np.minimum(off, 0.0)
    centre, away = state.mean(axis=0), state - state.mean(axis=0)
    shared, spread = (expected - expected.mean()) @ away / (members - 1), away.var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk = np.maximum(1.0 - spread * variance / (shared**2 * (members - 1)), 0.0)
        gain = np.where(spread > 0.0, shrunk * shared / (variance + SD**2), 0.0)
        away = away + np.outer(off - off.mean(), gain)
        after = np.sum(away**2, axis=0) / (members - 1)
        back = np.where(after > 0.0, 1.0 + RELAX * np.maximum(np.sqrt(spread / after) - 1.0, 0.0), 1.0)
    return np.asarray(centre + off.mean() * gain + away * back)


@pytest.mark.parametrize("edge", [0, 1, -1])
@pytest.mark.parametrize("members", [3, 8, 100, 201])
def test_a_pull_is_that_of_the_formulas(members: int, edge: int):
    state, error = ensemble(members), np.random.default_rng(2).standard_normal(members)
    expected = state[:, 0].copy()
    moved, value = state.copy(), 14.0 if edge >= 0 else 6.0
    assert pull(moved, expected, *mean_and_variance(expected), error, value, SD, edge, RELAX)
    assert moved == pytest.approx(pulled(state, error, value, edge), rel=1e-12, abs=1e-12)
    assert (moved[:, 3] == 4.0).all()
    assert np.abs(moved[:, 0] - state[:, 0]).max() > 0.1


def test_mean_and_variance_are_those_of_a_sample():
    values = ensemble(100)[:, 1].copy()
    assert mean_and_variance(values) == pytest.approx((values.mean(), values.var(ddof=1)), rel=1e-13)


def test_parameters_walk_towards_their_centres_and_states_stay():
    state, normal = ensemble(50), np.random.default_rng(3).standard_normal((50, 4))
    centre, kept, sd = np.array([1.0, 2.0, 3.0]), np.array([0.9, 0.5, 1.0]), np.array([0.1, 0.2, 0.0])
    moved = state.copy()
    wander(moved, normal, centre, kept, sd)
    assert moved[:, 4:] == pytest.approx(centre + (state[:, 4:] - centre) * kept + normal[:, :3] * sd, rel=1e-13)
    assert np.array_equal(moved[:, :4], state[:, :4])


def test_noise_falls_on_the_columns_that_have_some():
    state, normal = ensemble(50), np.random.default_rng(4).standard_normal((50, 5))
    moved = state.copy()
    assert shake(moved, normal, 3, np.array([0, 5]), np.array([2.0, 0.5]))
    assert moved[:, [0, 5]] == pytest.approx(state[:, [0, 5]] + normal[:, 3:] * [2.0, 0.5], rel=1e-13)
    assert np.array_equal(np.delete(moved, [0, 5], axis=1), np.delete(state, [0, 5], axis=1))


@pytest.mark.parametrize("none", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(7))
def test_one_number_that_is_none_is_seen_wherever_it_stands(column: int, none: float):
    state = ensemble(20)
    state[13, column] = none
    assert not shake(state.copy(), np.zeros((20, 1)), 0, np.array([1]), np.array([1.0]))
    expected = ensemble(20)[:, 0].copy()
    assert not pull(state.copy(), expected, *mean_and_variance(expected), np.zeros(20), 14.0, SD, 0, RELAX)


def test_arrays_that_do_not_belong_together_are_refused():
    state, few, one = ensemble(20), np.zeros((19, 3)), np.ones(1)
    with pytest.raises(ValueError, match="ensemble"):
        wander(state, few, one, one, one)
    with pytest.raises(ValueError, match="ensemble"):
        shake(state, few, 2, np.array([0]), one)
    with pytest.raises(ValueError, match="ensemble"):
        pull(state, few[:, 0].copy(), 0.0, 1.0, np.zeros(20), 14.0, SD, 0, RELAX)


@pytest.mark.parametrize(("seed", "minute"), [(0, 0), (7, 29_540_000), (-1, -1), (1 << 70, 1 << 64)])
def test_the_chance_of_a_minute_is_the_counter_based_generator_with_its_key(seed: int, minute: int):
    key = np.array([seed % (1 << 64), minute % (1 << 64)], dtype=np.uint64)
    published = np.random.Generator(np.random.Philox(key=key))
    assert np.array_equal(chance(seed, minute).standard_normal(9), published.standard_normal(9))

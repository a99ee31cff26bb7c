"""Calibration from history: the truth is found, doubt is as wide as it should be, and hard cases are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import emcee
import numpy as np
import pytest

from security.errors import Diverged
from tests.twin_engine.washout import LEVEL, Washout
from twin_engine import Array
from twin_engine.calibrate import calibrate, is_enough
from twin_engine.plan import inputs_over
from twin_engine.series import Dose, Reading, Series

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(hours=24)
WEIGHT = {"body-weight": 70.0}
MODEL = Washout()
DOSES = tuple(Dose(START + timedelta(hours=hour), "dose", 400.0) for hour in (1, 9, 17))
TRUE = np.log([0.2, 0.7])


def history(seed: int, sd: float = 0.5, every: int = 15, correlation: float = 0.0) -> Series:
    """A day of a patient whose parameters we know, measured with errors."""
    rng = np.random.default_rng(seed)
    state = MODEL.join(MODEL.rest(WEIGHT, np.exp(TRUE[None])), TRUE[None])
    level = MODEL.trace(state, inputs_over(MODEL, DOSES, START, 1440), every)[1][:, 0, 0]
    error = np.zeros(len(level))
    for i, drawn in enumerate(rng.standard_normal(len(level))):
        error[i] = correlation * error[i - 1] + sd * (1.0 - correlation**2) ** 0.5 * drawn
    times = [START + timedelta(minutes=every * (i + 1)) for i in range(len(level))]
    readings = [Reading(when, LEVEL, float(v), 0.5, f"a/{when}") for when, v in zip(times, level + error, strict=True)]
    return Series(tuple(readings), DOSES)


def fitted(series: Series, members: int = 200, seed: int = 1) -> Array:
    return calibrate(MODEL, WEIGHT, series, START, END, members=members, seed=seed).ensemble[:, 1:]


def test_the_parameters_of_a_known_patient_are_found():
    found = calibrate(MODEL, WEIGHT, history(1), START, END, members=200)
    assert np.exp(found.point) == pytest.approx([0.2, 0.7], rel=0.05)
    assert found.rmse == pytest.approx(0.5, rel=0.2)
    assert found.readings == 96 - 24  # those of the first quarter tell of the start, not of the patient


def test_the_truth_lies_where_the_ensemble_says_as_often_as_it_says():
    # Twenty patients of the same truth: the mean squared distance in standard deviations is near 1.
    squares = []
    for seed in range(20):
        drawn = fitted(history(seed), members=100)
        squares.append(np.square((drawn.mean(axis=0) - TRUE) / drawn.std(axis=0)))
    assert 0.4 < np.mean(squares) < 1.8


def test_the_weighted_draws_are_the_posterior_that_emcee_walks():
    series = history(3, every=30)
    found = calibrate(MODEL, WEIGHT, series, START, END, members=2000, seed=1)
    assert found.method == "importance"
    late = [reading for reading in series.readings if reading.when > START + timedelta(hours=6)]
    plan = inputs_over(MODEL, DOSES, START, 1440)
    rows = [round((reading.when - START).total_seconds() / 60) // 30 - 1 for reading in late]
    values = np.array([reading.value for reading in late])
    centre, spread = np.log([0.3, 0.5]), np.array([0.5, 0.4])

    def log_posterior(scaled: Array) -> Array:
        state = MODEL.join(MODEL.rest(WEIGHT, MODEL.natural(scaled)), scaled)
        off = (MODEL.trace(state, plan, 30)[1][rows, :, 0].T - values) / 0.5
        prior = (scaled - centre) / spread
        return np.asarray(-0.5 * (found.weight * np.square(off).sum(axis=1) + np.square(prior).sum(axis=1)))

    sampler = emcee.EnsembleSampler(20, 2, log_posterior, vectorize=True)
    begin = found.point + 0.01 * np.random.default_rng(1).standard_normal((20, 2))
    sampler.run_mcmc(emcee.State(begin, random_state=np.random.RandomState(1).get_state()), 500)
    chain = sampler.get_chain(discard=100, flat=True)
    drawn = found.ensemble[:, 1:]
    assert np.abs(drawn.mean(axis=0) - chain.mean(axis=0)).max() < 0.15 * chain.std(axis=0).min()
    assert drawn.std(axis=0) == pytest.approx(chain.std(axis=0), rel=0.12)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(np.corrcoef(chain.T)[0, 1], abs=0.1)


def test_where_the_posterior_is_no_hill_emcee_walks_it(monkeypatch: pytest.MonkeyPatch):
    # One reading that only says "under 3": a half-plane of parameters, nothing like a normal distribution.
    series = history(4, every=30)
    edges = tuple(replace_value(reading, 3.0, -1) for reading in series.readings)
    monkeypatch.setattr("twin_engine.calibrate.SHARE", 1.0)
    found = calibrate(MODEL, WEIGHT, Series(edges, DOSES), START, END, members=100, seed=1)
    assert found.method == "sampler"
    again = calibrate(MODEL, WEIGHT, Series(edges, DOSES), START, END, members=100, seed=1)
    assert np.array_equal(found.ensemble, again.ensemble)
    level = MODEL.trace(found.ensemble, np.zeros((1, 2)), 1)[1]
    assert np.isfinite(level).all()


def replace_value(reading: Reading, value: float, edge: int) -> Reading:
    return Reading(reading.when, reading.channel, value, reading.sd, reading.fact, edge)


def test_errors_that_last_leave_more_doubt_than_errors_that_do_not():
    quick, slow = history(5), history(5, sd=1.5, correlation=0.9)
    assert calibrate(MODEL, WEIGHT, quick, START, END).weight > 0.5
    assert calibrate(MODEL, WEIGHT, slow, START, END).weight < 0.2
    assert (fitted(slow).std(axis=0) > 1.5 * fitted(quick).std(axis=0)).all()


def test_the_same_facts_and_seed_give_the_same_bits():
    series = history(6)
    assert np.array_equal(fitted(series), fitted(series))
    assert not np.array_equal(fitted(series), fitted(series, seed=2))


def test_an_ensemble_at_the_end_tells_the_last_reading():
    series = history(7)
    found = calibrate(MODEL, WEIGHT, series, START, END)
    assert np.median(MODEL.measure(found.ensemble)) == pytest.approx(series.readings[-1].value, abs=1.0)


def test_a_value_at_the_edge_of_the_device_is_a_bound_and_no_number():
    # The device tells at most 6: all that is higher reads 6. Taken for numbers, these values double the volume.
    series = history(8)
    cut = tuple(replace_value(r, min(r.value, 6.0), int(r.value >= 6.0)) for r in series.readings)
    wrong = tuple(replace_value(r, r.value, 0) for r in cut)
    assert sum(reading.edge for reading in cut) > 20
    truth = np.abs(np.median(fitted(Series(cut, DOSES)), axis=0) - TRUE).max()
    assert truth < 0.15 < np.abs(np.median(fitted(Series(wrong, DOSES)), axis=0) - TRUE).max()


def test_little_history_is_not_enough():
    series = history(9)
    assert is_enough(series, START, END)
    assert not is_enough(series, START, START + timedelta(hours=7))
    assert not is_enough(Series(series.readings[::8]), START, END)


def test_a_model_that_gives_no_numbers_stops_and_names_itself():
    class Broken(Washout):
        """Gives no numbers. Assumes nothing."""

        def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
            after, seen = super().trace(state, plan, every)
            return after, seen * np.nan

    with pytest.raises(Diverged) as caught:
        calibrate(Broken(), WEIGHT, history(1), START, END)
    assert "washout" in str(caught.value)
    assert "70" not in str(caught.value)

"""The filters: right where the answer is known, wide after a silence, unmoved by a bound, and stopped by nonsense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import pytest

from security.errors import Diverged
from tests.twin_engine.washout import LEVEL, Particles, Restless, Washout
from twin_engine import Array
from twin_engine.assimilate import advance, chance, update
from twin_engine.dynamic import State
from twin_engine.particles import resample
from twin_engine.series import Reading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60
STILL = np.zeros((60, 2))


class Bell(Washout):
    """A level that nothing moves, seen once: a normal prior and a normal error. Assumes nothing else."""

    states: ClassVar[tuple[State, ...]] = (State("level", "Level", "mg/L", (-1000.0, 1000.0)),)


class BellParticles(Bell):
    """The same under a particle filter. Assumes nothing else."""

    filter = "particle"


def ensemble(members: int, mean: float, sd: float, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    model = Washout()
    state = model.start({"body-weight": 70.0}, members, rng)
    state[:, 0] = rng.normal(mean, sd, members)
    return state


def reading(value: float, sd: float = 0.5, edge: int = 0) -> Reading:
    return Reading(NOW, LEVEL, value, sd, "a Observation/1", edge)


@pytest.mark.parametrize("model", [Bell(), BellParticles()])
def test_both_filters_find_the_posterior_that_is_known(model: Washout, monkeypatch: pytest.MonkeyPatch):
    # Normal prior (10, 2), one reading of 13 with an error of 1: mean 10 + 3·4/5, variance 4/5 (by hand).
    monkeypatch.setattr("twin_engine.assimilate.RELAX", 0.0)
    state, surprises = update(model, ensemble(20000, 10.0, 2.0), [reading(13.0, 1.0)], MINUTE, chance(1, MINUTE))
    assert state[:, 0].mean() == pytest.approx(12.4, abs=0.05)
    assert state[:, 0].var() == pytest.approx(0.8, rel=0.05)
    assert surprises == pytest.approx([9.0 / 5.0], rel=0.05)


def test_a_part_of_the_lost_spread_is_given_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twin_engine.assimilate.RELAX", 0.5)
    state, _ = update(Bell(), ensemble(20000, 10.0, 2.0), [reading(13.0, 1.0)], MINUTE, chance(1, MINUTE))
    assert state[:, 0].std() == pytest.approx((2.0 + 0.8**0.5) / 2.0, rel=0.03)
    assert state[:, 0].mean() == pytest.approx(12.4, abs=0.05)


def test_a_parameter_that_only_chance_links_to_a_reading_stays():
    # In a hundred members the volume, drawn apart from the level, is correlated with it by about a tenth.
    moved = []
    for seed in range(30):
        before = ensemble(100, 10.0, 2.0, seed)
        after, _ = update(Bell(), before, [reading(13.0, 1.0)], MINUTE, chance(seed, MINUTE))
        assert after[:, 0].mean() > before[:, 0].mean() + 1.0
        moved.append(abs(after[:, 2].mean() - before[:, 2].mean()) / before[:, 2].std())
    assert np.median(moved) < 0.03  # without localisation a tenth of 3 / 2 standard deviations


def test_a_parameter_that_belongs_to_the_level_is_learnt():
    model, true = Washout(), 0.9
    state = model.start({"body-weight": 70.0}, 200, np.random.default_rng(2))
    plan = STILL.copy()
    plan[0, 0] = 700.0
    given, minute = 700.0 / (true * 70.0), MINUTE
    for hour in range(12):
        state = advance(model, state, plan if hour == 0 else STILL, minute, chance(3, minute))
        told = reading(given * np.exp(-0.2 * (hour + 1)), 0.2)
        state, _ = update(model, state, [told], minute, chance(4, minute))
        minute += 60
    rate, volume = np.median(model.parameters_of(state), axis=0)
    assert rate == pytest.approx(0.2, rel=0.2)
    assert volume == pytest.approx(true, rel=0.25)


@pytest.mark.parametrize("model", [Washout(), Particles()])
def test_a_value_at_the_edge_pulls_only_members_that_contradict_it(model: Washout):
    before = ensemble(400, 90.0, 20.0)
    after, surprises = update(model, before, [reading(100.0, 2.0, edge=1)], MINUTE, chance(1, MINUTE))
    assert surprises == []  # a bound is no number, and not surprising by an amount
    assert after[:, 0].mean() > before[:, 0].mean() + 5.0
    high = ensemble(400, 150.0, 5.0)
    same, _ = update(model, high, [reading(100.0, 2.0, edge=1)], MINUTE, chance(1, MINUTE))
    assert same[:, 0].mean() == pytest.approx(high[:, 0].mean(), abs=1.0)


def test_a_silence_widens_and_never_beyond_what_is_known_of_anybody():
    model = Restless()
    state = ensemble(500, 10.0, 0.1)
    state[:, 1:] = state[:, 1:].mean(axis=0)
    spreads = []
    for hours in (1, 24, 240, 2400):
        moved, parts = state, min(hours, 24)
        for end in range(MINUTE, MINUTE + parts):
            moved = advance(model, moved, np.zeros((60 * hours // parts, 2)), end, chance(1, end))
        spreads.append(moved[:, 1:].std(axis=0))
    priors = np.array([parameter.fitted_from.sd for parameter in model.fitted])
    assert (np.diff(spreads, axis=0) > 0.0).all()
    assert spreads[0] == pytest.approx([0.05, 0.05], rel=0.1)  # the drift of an hour
    assert spreads[-1] == pytest.approx(priors, rel=0.1)


def test_no_filter_leaves_a_state_outside_its_bounds():
    low = ensemble(100, 0.2, 0.2)
    for model in (Washout(), Particles()):
        state, _ = update(model, model.bounded(low), [reading(0.0, 0.1)], MINUTE, chance(1, MINUTE))
        assert (state[:, 0] >= 0.0).all()


def test_a_reading_that_no_particle_explains_does_not_leave_one():
    model = Particles()
    state, _ = update(model, ensemble(200, 10.0, 1.0), [reading(90.0, 0.5)], MINUTE, chance(1, MINUTE))
    assert len(np.unique(state[:, 1])) == 200  # copies are moved apart
    assert len(np.unique(state[:, 0])) >= 15  # a tenth of the members stay alive
    assert state[:, 0].mean() > 11.0


def test_particles_keep_two_hills_apart_where_a_normal_distribution_cannot():
    model = BellParticles()
    state = ensemble(2000, 0.0, 0.1)
    state[:, 0] += np.where(np.arange(2000) % 2 == 0, 10.0, 20.0)
    logs = np.zeros(2000)
    drawn = resample(model, state, logs, np.random.default_rng(1))
    near = np.minimum(np.abs(drawn[:, 0] - 10.0), np.abs(drawn[:, 0] - 20.0))
    assert (near < 1.0).all()
    assert np.mean(drawn[:, 0] > 15.0) == pytest.approx(0.5, abs=0.01)


def test_copies_are_moved_apart_without_changing_mean_or_spread():
    model = Particles()
    state = ensemble(20000, 10.0, 1.0)
    drawn = resample(model, state, np.zeros(len(state)), np.random.default_rng(1))
    assert drawn[:, 1:].mean(axis=0) == pytest.approx(state[:, 1:].mean(axis=0), abs=0.01)
    assert drawn[:, 1:].std(axis=0) == pytest.approx(state[:, 1:].std(axis=0), rel=0.02)


def test_what_is_handed_in_stays_as_it_was():
    for model in (Washout(), Particles()):
        state = ensemble(50, 10.0, 2.0)
        kept = state.copy()
        advance(model, state, STILL, MINUTE, chance(1, MINUTE))
        update(model, state, [reading(13.0)], MINUTE, chance(1, MINUTE))
        assert np.array_equal(state, kept)


def test_readings_of_one_minute_may_come_in_any_order():
    readings = [reading(13.0), reading(12.0), replace_fact(reading(12.0))]
    one, _ = update(Washout(), ensemble(50, 10.0, 2.0), readings, MINUTE, chance(1, MINUTE))
    other, _ = update(Washout(), ensemble(50, 10.0, 2.0), readings[::-1], MINUTE, chance(1, MINUTE))
    assert np.array_equal(one, other)


def replace_fact(told: Reading) -> Reading:
    return Reading(told.when, told.channel, told.value, told.sd, "b Observation/9", told.edge)


def test_a_channel_that_the_model_does_not_have_is_not_taken_for_another():
    state = ensemble(50, 10.0, 2.0)
    told = Reading(NOW, "body-temperature", 37.0, 0.1)
    after, surprises = update(Washout(), state, [told], MINUTE, chance(1, MINUTE))
    assert np.array_equal(after, state)
    assert surprises == []


def test_a_number_that_is_none_stops_and_names_model_member_time_and_inputs():
    state = ensemble(50, 10.0, 2.0)
    state[7, 0] = np.nan
    with pytest.raises(Diverged) as caught:
        advance(Washout(), state, STILL, MINUTE, chance(1, MINUTE))
    told = str(caught.value)
    assert all(
        word in told
        for word in ("washout", "level", "member 7", f"{datetime.fromtimestamp(MINUTE * 60, UTC):%H:%M} UTC")
    )
    assert isinstance(caught.value.detail, dict)
    assert set(caught.value.detail["state"]) == {"level", "washout-rate", "volume"}
    assert caught.value.detail["inputs"] == {each.name: 0.0 for each in Washout().plan}


def test_few_members_are_followed_and_not_pulled():
    # Two members have no covariance to speak of: they move on, and no reading is believed about them.
    state = ensemble(2, 10.0, 2.0)
    after, _ = update(Washout(), state, [reading(13.0)], MINUTE, chance(1, MINUTE))
    assert np.array_equal(after, state)

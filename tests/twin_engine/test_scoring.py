"""Scores against closed forms, against each other, and against a library that we did not write."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import scoringrules

from twin_engine.scoring import INSIDE, Tally, crps_ensemble, crps_normal

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_normal_forecast_at_its_mean_scores_the_published_value():
    # (sqrt(2) - 1) / sqrt(pi), Gneiting & Raftery 2007
    assert float(crps_normal(100.0, 1.0, 100.0)) == pytest.approx(
        (math.sqrt(2.0) - 1.0) / math.sqrt(math.pi), rel=1e-12
    )


def test_scores_agree_with_an_independent_library():
    rng = np.random.default_rng(1)
    mean, sd, seen = rng.normal(100, 30, 50), rng.uniform(1, 30, 50), rng.normal(110, 40, 50)
    assert crps_normal(mean, sd, seen) == pytest.approx(scoringrules.crps_normal(seen, mean, sd), rel=1e-10)
    for members in (rng.normal(100, 20, (20, 1)), rng.normal(100, 20, (20, 60))):
        ours = [crps_ensemble(m, y) for m, y in zip(members, seen[:20], strict=True)]
        assert ours == pytest.approx(scoringrules.crps_ensemble(seen[:20], members, estimator="nrg"), rel=1e-10)


def test_a_large_ensemble_of_a_normal_scores_like_the_normal():
    members = np.random.default_rng(2).normal(100, 15, 200_000)
    assert crps_ensemble(members, 120.0) == pytest.approx(float(crps_normal(100.0, 15.0, 120.0)), rel=5e-3)


def test_a_tally_gives_the_scores_of_its_forecasts():
    rng = np.random.default_rng(3)
    mean, sd, before, seen = (
        rng.normal(100, 30, 500),
        rng.uniform(5, 30, 500),
        rng.normal(100, 30, 500),
        rng.normal(100, 30, 500),
    )
    tally = Tally()
    for n in range(500):
        tally.add(NOON + timedelta(minutes=5 * n), mean[n], sd[n], before[n], seen[n])
    score = tally.score("interstitial-glucose", 30)
    assert score.rmse == pytest.approx(np.sqrt(np.mean((seen - mean) ** 2)))
    assert score.mae == pytest.approx(np.mean(np.abs(seen - mean)))
    assert score.crps == pytest.approx(np.mean(crps_normal(mean, sd, seen)))
    assert score.coverage == pytest.approx(np.mean(np.abs(seen - mean) <= INSIDE * sd))
    assert score.persistence == pytest.approx(np.sqrt(np.mean((seen - before) ** 2)))
    assert (score.count, score.first, score.last) == (500, NOON, NOON + timedelta(minutes=5 * 499))


def test_without_a_forecast_there_is_no_score():
    assert Tally().score("interstitial-glucose", 30) is None

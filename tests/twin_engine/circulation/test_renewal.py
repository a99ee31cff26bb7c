"""A person is followed from visit to visit: as one calibration would, through a change, past a wrong reading."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from security.errors import Diverged, Misuse
from twin_engine.circulation.course import PLACE
from twin_engine.circulation.identifiability import identifiable
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.personal import personal
from twin_engine.circulation.renewal import pulled, renewed

MODEL = Circulation()
PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
NAMES = [wanted.name for wanted in MODEL.yields]
FREE = [parameter.name for parameter in MODEL.fitted]
FIRST = len(MODEL.states)
LOW, HIGH = np.log(np.array([parameter.bounds for parameter in MODEL.fitted]).T)
SD = {
    "heart-rate": 3.0,
    "systolic-pressure": 5.0,
    "diastolic-pressure": 5.0,
    "ejection-fraction": 5.0,
    "end-diastolic-volume": 12.0,
}
MEMBERS = 60
SAYS_NOTHING = {"heart-rate": (70.0, 1e6)}


def truth(**times):
    """Return what is true at rest of a person with some parameters of the reference adult times a factor."""
    scaled = np.log([[p.value * times.get(p.name.replace("-", "_"), 1.0) for p in MODEL.fitted]])
    return MODEL.observe(MODEL.join(MODEL.rest(PERSON, MODEL.natural(scaled)), scaled))[0]


def read(true, rng=None, sds=SD):
    noise = rng.standard_normal(len(sds)) if rng else np.zeros(len(sds))
    return {
        name: (float(true[NAMES.index(name)] + z * sd), sd) for (name, sd), z in zip(sds.items(), noise, strict=True)
    }


def column(ensemble, name):
    return MODEL.observe(ensemble)[:, NAMES.index(name)]


def parameter(ensemble, name):
    return ensemble[:, FIRST + FREE.index(name)]


@pytest.fixture(scope="module")
def usual():
    return truth()


@pytest.fixture(scope="module")
def known(usual):
    """The usual person after one visit."""
    return personal(MODEL, PERSON, read(usual), members=MEMBERS, seed=1).ensemble


@pytest.fixture(scope="module")
def twice(known, usual):
    return renewed(MODEL, PERSON, known, read(usual, np.random.default_rng(4)), days=0.0, seed=2)


@pytest.mark.parametrize("seed", range(5))
def test_where_all_is_straight_the_pull_is_that_of_kalman(seed):
    rng = np.random.default_rng(seed)
    scaled = rng.standard_normal((50, 4)) @ rng.standard_normal((4, 4)) + rng.standard_normal(4)
    slope, value, variance = rng.standard_normal((4, 3)), rng.standard_normal(3), np.array([0.1, 1.0, 10.0])
    after, told = pulled(scaled, scaled @ slope, value, variance)

    cov = np.cov(scaled.T)
    gain = cov @ slope @ np.linalg.inv(slope.T @ cov @ slope + np.diag(variance))
    mean = scaled.mean(axis=0) + gain @ (value - scaled.mean(axis=0) @ slope)
    assert np.allclose(after.mean(axis=0), mean, rtol=1e-9, atol=1e-9)
    assert np.allclose(np.cov(after.T), cov - gain @ slope.T @ cov, rtol=1e-9, atol=1e-9)
    assert np.allclose(told, after @ slope, rtol=1e-9, atol=1e-9)


def test_two_visits_tell_what_one_calibration_to_both_tells(known, usual, twice):
    first, second = read(usual), read(usual, np.random.default_rng(4))
    both = {name: ((first[name][0] + second[name][0]) / 2.0, sd / np.sqrt(2.0)) for name, sd in SD.items()}
    batch = personal(MODEL, PERSON, both, members=MEMBERS, seed=3).ensemble
    for name in (*SD, "cardiac-output", "wedge-pressure", "stroke-work"):
        ours, theirs = column(twice.ensemble, name), column(batch, name)
        assert abs(np.median(ours) - np.median(theirs)) < 0.6 * theirs.std(), name
        assert 0.7 < ours.std() / theirs.std() < 1.4, name


def test_who_does_not_change_stays_and_who_changes_is_followed(known, usual, twice):
    rng, before = np.random.default_rng(8), parameter(known, "contractility").mean()
    assert not twice.changed
    assert abs(parameter(twice.ensemble, "contractility").mean() - before) < 0.15

    weak = truth(contractility=0.5)
    one = renewed(MODEL, PERSON, twice.ensemble, read(weak, rng), days=30.0, seed=3)
    two = renewed(MODEL, PERSON, one.ensemble, read(weak, rng), days=30.0, seed=4)
    assert one.surprise > twice.surprise
    assert one.changed or one.contradicts
    moved = parameter(two.ensemble, "contractility").mean() - before
    assert 0.5 < moved / np.log(0.5) < 1.5
    assert column(two.ensemble, "ejection-fraction").mean() == pytest.approx(
        weak[NAMES.index("ejection-fraction")], abs=5.0
    )


def test_the_same_reading_again_narrows_by_the_root_of_their_number_and_no_faster(known):
    ensemble, start = known, column(known, "heart-rate")
    for count in range(1, 5):
        told = {"heart-rate": (float(start.mean()), 3.0)}
        ensemble = renewed(MODEL, PERSON, ensemble, told, days=0.0, seed=count).ensemble
        expected = 1.0 / np.sqrt(1.0 / start.var(ddof=1) + count / 9.0)
        assert column(ensemble, "heart-rate").std(ddof=1) == pytest.approx(expected, rel=0.03)


def test_what_is_read_is_as_far_off_as_was_said(known):
    """Each of eight members might be the person; forty readings are within these at 19 times of 20 (chi-squared)."""
    rng = np.random.default_rng(12)
    people = MODEL.observe(known)[:8]
    surprises = [renewed(MODEL, PERSON, known, read(true, rng), days=0.0).surprise for true in people]
    assert 0.6 < np.mean(surprises) < 1.5


def test_a_wild_reading_is_named_and_does_not_wreck(known, usual):
    wild = read(usual) | {"ejection-fraction": (12.0, 5.0)}
    found = renewed(MODEL, PERSON, known, wild, days=0.0, seed=5)
    assert found.contradicts == ("ejection-fraction",)
    assert not found.changed
    assert found.apart["ejection-fraction"] < -3.0
    was = column(known, "ejection-fraction")
    assert was.mean() - column(found.ensemble, "ejection-fraction").mean() < 2.0 * was.std()
    assert column(found.ensemble, "ejection-fraction").std() > was.std()
    assert column(found.ensemble, "heart-rate").std() < column(known, "heart-rate").std()

    after = renewed(MODEL, PERSON, found.ensemble, read(usual), days=0.0, seed=6)
    assert after.contradicts == ()
    assert column(after.ensemble, "ejection-fraction").mean() == pytest.approx(was.mean(), abs=3.0)


@pytest.mark.parametrize("odd", [{"systolic-pressure": 1e300}, {"systolic-pressure": 1e300, "wedge-pressure": -1e300}])
def test_no_reading_moves_a_member_out_of_its_bounds(known, odd):
    told = {name: (value, 5.0) for name, value in odd.items()} | {"heart-rate": (70.0, 3.0)}
    found = renewed(MODEL, PERSON, known, told, days=3650.0)
    assert found.contradicts == tuple(odd)
    assert found.changed == (len(odd) > 1)
    scaled = found.ensemble[:, FIRST:]
    assert np.isfinite(found.ensemble).all()
    assert ((scaled >= LOW) & (scaled <= HIGH)).all()
    assert column(found.ensemble, "systolic-pressure").mean() < 200.0


def test_the_same_visit_gives_the_same_bits_and_another_seed_others(known, usual):
    one, two, other = (renewed(MODEL, PERSON, known, read(usual), days=30.0, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(one.ensemble, two.ensemble)
    assert not np.array_equal(one.ensemble, other.ensemble)


def test_a_long_silence_ends_in_the_prior_and_not_beyond(known):
    priors = [parameter.fitted_from for parameter in MODEL.fitted]
    year, ages = (renewed(MODEL, PERSON, known, SAYS_NOTHING, days=days, seed=9) for days in (365.0, 36500.0))
    start = known[:, FIRST:].std(axis=0) / [prior.sd for prior in priors]
    narrow = start < 0.7
    assert (np.array(list(year.spread.values()))[narrow] > start[narrow]).all()
    assert all(0.7 < spread < 1.3 for spread in ages.spread.values())
    apart = (ages.ensemble[:, FIRST:].mean(axis=0) - [prior.mean for prior in priors]) / [prior.sd for prior in priors]
    assert np.abs(apart).max() < 0.5  # of a mean of sixty


def test_a_member_that_comes_to_no_rest_becomes_another_and_is_counted(known):
    bad = known.copy()
    bad[:3, FIRST:] = LOW
    found = renewed(MODEL, PERSON, bad, SAYS_NOTHING, days=0.0, seed=10)
    assert found.replaced == 3
    assert np.isfinite(found.ensemble[:, FIRST:]).all()
    assert column(found.ensemble, "mean-pressure").min() > 30.0
    bad[: MEMBERS // 2 + 1, FIRST:] = LOW
    with pytest.raises(Diverged):
        renewed(MODEL, PERSON, bad, SAYS_NOTHING, days=0.0)


@pytest.mark.parametrize(
    ("told", "days", "why"),
    [
        ({}, 1.0, "at least one reading"),
        ({"pulse": (70.0, 1.0)}, 1.0, "no such quantity"),
        ({"heart-rate": (float("nan"), 1.0)}, 1.0, "no number"),
        ({"heart-rate": (70.0, 0.0)}, 1.0, "no number"),
        ({"heart-rate": (70.0, 1.0)}, -1.0, "some days ago"),
        ({"heart-rate": (70.0, 1.0)}, float("nan"), "some days ago"),
        ({"oxygen-delivery": (900.0, 50.0)}, 0.0, "do not let tell"),
    ],
)
def test_what_is_no_reading_or_no_time_is_refused(known, told, days, why):
    with pytest.raises(Misuse, match=why):
        renewed(MODEL, PERSON, known, told, days=days)


def test_what_is_no_ensemble_of_the_person_at_rest_is_refused(known):
    lost, valve = known.copy(), known.copy()
    lost[0, FIRST] = np.nan
    valve[:, PLACE["valve-area"]] = 1.8
    for ensemble, why in ((known[:20], "members"), (known[:, 1:], "columns"), (lost, "no number"), (valve, "valve")):
        with pytest.raises(Misuse, match=why):
            renewed(MODEL, PERSON, ensemble, SAYS_NOTHING, days=0.0)


def test_more_readings_tell_more_parameters():
    cuff = {name: SD[name] for name in ("heart-rate", "systolic-pressure", "diastolic-pressure")}
    few, echo = identifiable(MODEL, PERSON, cuff), identifiable(MODEL, PERSON, SD)
    full = identifiable(MODEL, PERSON, SD | {"wedge-pressure": 3.0, "central-venous-pressure": 2.0})
    assert few.told == ("resting-heart-rate",)
    assert set(echo.told) > set(few.told)
    assert "contractility" in echo.told
    assert "stiffness" in full.told
    for name in FREE:
        assert full.spread[name] <= echo.spread[name] <= few.spread[name] <= 1.0, name
    assert ("pulmonary-resistance", "right-contractility") in [pair[:2] for pair in few.alike]
    assert few.index == pytest.approx(1.0)


def test_what_is_foreseen_is_what_a_calibration_finds(known):
    foreseen = identifiable(MODEL, PERSON, SD)
    found = known[:, FIRST:].std(axis=0) / [parameter.fitted_from.sd for parameter in MODEL.fitted]
    for name, spread in zip(FREE, found, strict=True):
        assert foreseen.spread[name] == pytest.approx(spread, abs=0.2), name


@pytest.mark.parametrize("sds", [{"pulse": 1.0}, {"heart-rate": 0.0}, {"heart-rate": float("nan")}])
def test_no_reading_is_foreseen_that_cannot_be(sds):
    with pytest.raises(Misuse):
        identifiable(MODEL, PERSON, sds)


def test_the_example_of_the_page_runs(capsys):
    text = (Path(__file__).resolve().parents[3] / "docs" / "circulation-people.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, "circulation-people.md", "exec"), {"__name__": "example"})  # noqa: S102 - our own document
    assert re.fullmatch(r"\(.*\) (True|False) \d+\.\d\n", capsys.readouterr().out)

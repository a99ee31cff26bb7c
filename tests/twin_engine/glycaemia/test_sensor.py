"""Sensors that err: the noise of simglucose to the bit of its seed, and the errors of factory-calibrated sensors."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from security.errors import Misuse, UnknownName
from twin_engine.glycaemia import SENSORS, FactoryError, FactorySensor, noisy_sensor

# simglucose 0.2.11 run, seed 1 (../shared/spec/glucose_onco.md, section 1.7).
NOISE = {
    "dexcom": (16.773949, 13.413314, 10.859439, 8.939242, 7.479644, 6.307563, 5.249918, 4.133629),
    "guardian-rt": (14.435339, 10.157512, 7.479644, 5.600435, 3.718585, 1.032792, -2.766595, -6.022645),
}


def seeded(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


@pytest.mark.parametrize("name", NOISE)
def test_noise_is_that_of_simglucose_with_the_same_seed(name: str):
    assert noisy_sensor(name).noise(seeded(1), 8) == pytest.approx(NOISE[name], abs=5.1e-7)


def test_noise_has_the_mean_and_spread_of_simglucose():
    noise = noisy_sensor("dexcom").noise(seeded(1), 2000)
    assert noise.mean() == pytest.approx(1.7303, abs=5e-5)
    assert noise.std() == pytest.approx(10.9253, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "published"), [("dexcom", "Dexcom"), ("guardian-rt", "GuardianRT"), ("navigator", "Navigator")]
)
def test_simglucose_run_beside_gives_the_same_noise_over_days(name: str, published: str):
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "distutils Version classes", DeprecationWarning)
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        from simglucose.sensor.cgm import CGMSensor
        from simglucose.sensor.noise_gen import CGMNoise

    params = CGMSensor.withName(published)._params
    theirs = CGMNoise(params, seed=7)
    sensor = SENSORS[name]
    assert (sensor.spacing, sensor.low, sensor.high) == (params.sample_time, params["min"], params["max"])
    assert sensor.noise(seeded(7), 700) == pytest.approx([next(theirs) for _ in range(700)], abs=1e-9)


def test_a_short_wear_is_the_beginning_of_a_long_one():
    for name in SENSORS:
        assert np.array_equal(SENSORS[name].noise(seeded(3), 90), SENSORS[name].noise(seeded(3), 400)[:90])


def test_what_a_sensor_tells_stays_within_what_it_can_tell():
    wearing = noisy_sensor("dexcom").wear(seeded(1), 3)
    assert wearing.read(0, 20.0) == 39.0
    assert wearing.read(2, 620.0) == 600.0
    assert wearing.read(1, 100.0) == pytest.approx(113.413314)
    assert wearing.read_all(np.array([20.0, 100.0, 620.0])).tolist() == [39.0, wearing.read(1, 100.0), 600.0]
    with pytest.raises(Misuse, match="fewer readings"):
        wearing.read(3, 100.0)


def test_the_mean_factory_sensor_is_the_published_one():
    # ../shared/spec/glucose_onco.md, section 1.7: the SD there is from means with more digits.
    mean = FactoryError()
    assert mean.sd == pytest.approx(8.104628, abs=3e-4)
    assert mean.usable
    days = np.array([0.0, 5.0, 10.0])
    assert 100.0 * mean.gain(days) + mean.b0 == pytest.approx([100.612, 101.619, 99.702], abs=1e-3)


def test_the_error_of_a_wear_has_the_spread_and_the_memory_of_its_model():
    error = FactoryError()
    wears = [FactorySensor(error=error).wear(np.random.default_rng(seed), 2881).error for seed in range(40)]
    noise = np.array(wears) - error.b0
    assert noise.std() == pytest.approx(error.sd, rel=0.03)
    assert noise[:, :2].std() == pytest.approx(error.sd, rel=0.25)  # no calm at the beginning
    lag_one = np.mean(noise[:, 1:] * noise[:, :-1]) / np.mean(noise**2)
    assert lag_one == pytest.approx(error.alpha1 / (1.0 - error.alpha2), abs=0.01)


def test_drawn_sensors_differ_as_published_and_keep_the_constraints():
    rng = np.random.default_rng(1)
    drawn = [FactorySensor().draw(rng) for _ in range(2000)]
    for one in drawn:
        assert one.usable
        assert one.sd <= 10.0
        assert one.alpha2 <= 1.0 - abs(one.alpha1) - 0.02
    table = np.array([astuple(one) for one in drawn])
    # Those with a large error are drawn again, which moves mean and spread of the noise; gain and offset hardly.
    assert table[:, 0].mean() == pytest.approx(0.942288, abs=0.01)
    assert table[:, 0].std() == pytest.approx(np.sqrt(0.9 * 0.0132458), rel=0.1)
    assert table[:, 3].std() == pytest.approx(np.sqrt(0.9 * 29.005838), rel=0.1)


def test_the_printed_covariance_is_one_but_for_its_rounding():
    covariance = FactorySensor.covariance()
    assert np.array_equal(covariance, covariance.T)
    values = np.linalg.eigvalsh(covariance)
    assert values.min() > -1e-3 * values.max()


def test_a_factory_sensor_reads_what_its_error_makes_of_glucose():
    sensor = FactorySensor(error=FactoryError(sigma=1e-9))
    wearing = sensor.wear(np.random.default_rng(0), 2881)
    told = wearing.read_all(np.full(2881, 100.0))
    assert told[[0, 1440, 2880]] == pytest.approx([100.611, 101.619, 99.703], abs=1e-3)
    assert wearing.read(0, 20.0) == 40.0
    assert wearing.read(0, 500.0) == 400.0


def test_the_same_seed_is_the_same_wear_and_each_wear_another_sensor():
    first, again, other = (FactorySensor().wear(np.random.default_rng(seed), 50) for seed in (1, 1, 2))
    assert np.array_equal(first.error, again.error)
    assert np.array_equal(first.gain, again.gain)
    assert not np.isclose(first.gain[0], other.gain[0])


def test_what_no_sensor_does_is_refused():
    with pytest.raises(Misuse, match="10 days at most"):
        FactorySensor().wear(np.random.default_rng(0), 2882)
    with pytest.raises(Misuse, match="every 5 minutes"):
        FactorySensor(spacing=1)
    with pytest.raises(UnknownName, match="dexcom"):
        noisy_sensor("dexcon")
    assert not FactoryError(alpha1=1.6, alpha2=-0.6).usable
    assert not FactoryError(sigma=4.2).usable

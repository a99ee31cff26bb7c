"""Glucose sensors that err as real ones do. All chance of one wear is drawn at once, and a wear then reads glucose.

The delay from plasma to under the skin is no error of a sensor: it stays in the models of the body.

Sources: Breton M, Kovatchev B. Analysis, modeling, and simulation of the accuracy of continuous glucose sensors. J
Diabetes Sci Technol 2008;2:853-862, in the form of simglucose 0.2.11. Vettoretti M, Battocchio C, Sparacino G,
Facchinetti A. Development of an error model for a factory-calibrated continuous glucose monitoring sensor with 10-day
lifetime. Sensors 2019;19:5320.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from scipy.interpolate import CubicSpline

from security.errors import Misuse, UnknownName
from twin_engine.model import Array

__all__ = ["SENSORS", "Chance", "FactoryError", "FactorySensor", "NoisySensor", "Sensor", "Wearing", "noisy_sensor"]

Chance = np.random.Generator | np.random.RandomState

_PER_DAY = 1440.0
_DRAWS = 1000  # of which one keeps the constraints, else the covariance is none of a sensor


@dataclass(frozen=True, slots=True, eq=False)
class Wearing:
    """One sensor as it is worn: what it makes of glucose at each of its readings, gain (n,) and error (n,) in mg/dL."""

    gain: Array
    error: Array
    low: float
    high: float

    def read(self, number: int, mg_dl: float) -> float:
        """Tell what the sensor shows at its reading `number`, mg/dL. Raises `Misuse` beyond the last that was drawn."""
        if not 0 <= number < len(self.error):
            raise Misuse("This sensor was worn for fewer readings.", hint="Draw as many as are read.", detail=number)
        return min(max(float(self.gain[number] * mg_dl + self.error[number]), self.low), self.high)

    def read_all(self, mg_dl: Array) -> Array:
        """Tell what it shows at all of its readings, (n,) in mg/dL."""
        return np.clip(self.gain * mg_dl + self.error, self.low, self.high)


class Sensor(Protocol):
    """What a simulation needs of a sensor: how often it reads, and one wear of it."""

    @property
    def spacing(self) -> int:
        """Minutes from one reading to the next."""
        ...

    def wear(self, rng: Chance, readings: int) -> Wearing:
        """Draw a wear of so many readings."""
        ...


@dataclass(frozen=True, slots=True)
class NoisySensor:
    """A sensor of 2008: noise that stays with it for a quarter of an hour, skewed, with a mean of about 1.7 mg/dL.

    Every 15 minutes e is 0.7 (e + N(0, 1)), the first N(0, 1); the noise is xi + lambda sinh((e - gamma) / delta),
    joined in stretches of 150 minutes by a cubic spline. The first value of each sequence is at its first spacing.
    """

    name: str
    spacing: int
    low: float
    high: float
    memory: float = 0.7
    xi: float = -5.47
    lambda_: float = 15.9574
    gamma: float = -0.5444
    delta: float = 1.6898

    def noise(self, rng: Chance, readings: int) -> Array:
        """Draw the noise of so many readings, (readings,) in mg/dL.

        With `numpy.random.RandomState(seed)` it is that of simglucose with the same seed.
        """
        interval, block = 15.0, 10
        each = int(interval * block // self.spacing)
        blocks = max(1, math.ceil(readings / each))
        drawn = rng.standard_normal(blocks * block + 1)
        e = np.empty_like(drawn)
        e[0] = drawn[0]
        for at in range(1, len(e)):
            e[at] = self.memory * (e[at - 1] + drawn[at])
        knots = self.xi + self.lambda_ * np.sinh((e - self.gamma) / self.delta)
        rows = knots[np.arange(block + 1)[:, None] + block * np.arange(blocks)]  # the last of a block begins the next
        spline = CubicSpline(interval * np.arange(block + 1), rows)
        joined = spline(self.spacing * np.arange(1, each + 1))
        return np.asarray(joined.T.reshape(-1)[:readings])

    def wear(self, rng: Chance, readings: int) -> Wearing:
        """Draw a wear of so many readings."""
        return Wearing(np.ones(readings), self.noise(rng, readings), self.low, self.high)


SENSORS = {
    "dexcom": NoisySensor("dexcom", 3, 39.0, 600.0),
    "guardian-rt": NoisySensor("guardian-rt", 5, 39.0, 600.0),
    "navigator": NoisySensor("navigator", 1, 32.0, 600.0),
}


def noisy_sensor(name: str) -> NoisySensor:
    """Return a sensor by its name in `SENSORS`. Raises `UnknownName`."""
    if name not in SENSORS:
        raise UnknownName("sensor", name, SENSORS)
    return SENSORS[name]


@dataclass(frozen=True, slots=True)
class FactoryError:
    """The error of one factory-calibrated sensor; the default is the mean over sensors.

    Reading = (a0 + a1 t + a2 t^2) glucose + b0 + e, t in days since insertion, glucose under the skin in mg/dL; e is
    alpha1 times the last e plus alpha2 times the one before plus N(0, sigma^2), every 5 minutes.
    """

    a0: float = 0.942288
    a1: float = 0.00493988
    a2: float = -0.000584875
    b0: float = 6.382602
    alpha1: float = 1.260407
    alpha2: float = -0.402223
    sigma: float = 3.251636

    @property
    def sd(self) -> float:
        """The standard deviation of e after long, mg/dL; infinite where e does not settle."""
        inner = (1.0 + self.alpha2) * ((1.0 - self.alpha2) ** 2 - self.alpha1**2)
        return math.sqrt((1.0 - self.alpha2) * self.sigma**2 / inner) if inner > 0.0 else math.inf

    @property
    def usable(self) -> bool:
        """Whether e settles, with a margin, and stays within an SD of 10 mg/dL (Vettoretti 2019)."""
        settles = abs(self.alpha2) < 1.0 and self.alpha2 <= 1.0 - abs(self.alpha1) - 0.02
        return settles and self.sigma > 0.0 and self.sd <= 10.0

    def gain(self, days: Array) -> Array:
        """Tell the gain so many days after insertion."""
        return np.asarray(self.a0 + self.a1 * days + self.a2 * days * days)


# Upper triangle of the covariance over sensors, in the order of `FactoryError`; all of it times 0.9.
_COVARIANCE = (
    (0.0132458, -0.0039513, 0.000312767, 0.157179, 0.00268766, -0.00289046, -0.00318017),
    (0.0018528, -0.000155803, -0.102880, -0.00139023, 0.00115912, -0.00272849),
    (1.3746e-5, 0.00806859, 0.00012075, -0.000100421, 0.0001113),
    (29.005838, 0.124083, -0.101936, 0.600754),
    (0.0207935, -0.0184311, -0.0157218),
    (0.0187009, 0.0155233),
    (0.723568,),
)


@dataclass(frozen=True, slots=True)
class FactorySensor:
    """A factory-calibrated sensor of today (Dexcom G6), worn for ten days at most; each wear is another sensor.

    `error` is that of every wear, or where it is none each wear draws its own from the population.
    """

    spacing: int = 5
    low: float = 40.0
    high: float = 400.0
    days: float = 10.0
    error: FactoryError | None = None

    def __post_init__(self) -> None:
        if self.spacing != 5:
            raise Misuse("The error of this sensor was published for a reading every 5 minutes.", detail=self.spacing)

    @staticmethod
    def covariance() -> Array:
        """Return the covariance of the parameters over sensors, (7, 7), in the order of `FactoryError`."""
        upper = np.zeros((7, 7))
        for row, told in enumerate(_COVARIANCE):
            upper[row, row:] = told
        return np.asarray(0.9 * (upper + np.triu(upper, 1).T))

    def draw(self, rng: Chance) -> FactoryError:
        """Draw the error of one sensor; drawn again until it is `usable`."""
        means = np.array([field.default for field in fields(FactoryError)], dtype=np.float64)
        values, vectors = np.linalg.eigh(self.covariance())
        root = vectors * np.sqrt(
            np.maximum(values, 0.0)
        )  # as printed it is rounded, and may be no covariance by a hair
        for _ in range(_DRAWS):
            one = FactoryError(*(float(x) for x in means + root @ rng.standard_normal(7)))
            if one.usable:
                return one
        raise Misuse("No usable sensor was drawn.", hint="Use another stream of random numbers.")

    def wear(self, rng: Chance, readings: int) -> Wearing:
        """Draw a wear of so many readings, the first at insertion. Raises `Misuse` for more than ten days."""
        if (readings - 1) * self.spacing > self.days * _PER_DAY:
            raise Misuse(
                f"A factory-calibrated sensor is worn for {self.days:g} days at most.", hint="Simulate wear by wear."
            )
        error = self.error or self.draw(rng)
        shocks = error.sigma * rng.standard_normal(readings)
        # The first two are drawn from where e settles, so that there is no calm at the beginning.
        settled = error.sd
        first = error.alpha1 / (1.0 - error.alpha2)
        e = np.empty(readings)
        for at in range(readings):
            if at == 0:
                e[at] = shocks[at] * settled / error.sigma
            elif at == 1:
                e[at] = first * e[0] + shocks[at] * settled / error.sigma * math.sqrt(1.0 - first * first)
            else:
                e[at] = error.alpha1 * e[at - 1] + error.alpha2 * e[at - 2] + shocks[at]
        days = np.arange(readings) * self.spacing / _PER_DAY
        return Wearing(error.gain(days), error.b0 + e, self.low, self.high)

"""Glucose under a sensor: days of five-minute readings that answer to meals, insulin and sleep.

It is a shape, not a model of physiology: the twin's own models must not be tested on data that they made. Each meal
raises glucose as the difference of two exponentials and its bolus lowers it later; sleep has a dawn rise; the sensor
adds second-order autoregressive noise with the coefficients of Vettoretti 2019 (Sensors 19:5320).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["DAY", "Meal", "meals_of_a_day", "sensor_days"]

DAY = 288  # five-minute readings a day
AR1, AR2, SD = 1.260407, -0.402223, 3.251636


@dataclass(frozen=True, slots=True)
class Meal:
    """A meal `minute` minutes after midnight, its carbohydrate in grams, and the bolus in units."""

    minute: int
    grams: float
    units: float


def meals_of_a_day(rng: np.random.Generator, scale: float = 1.0) -> tuple[Meal, ...]:
    """Draw breakfast, lunch and dinner; the bolus is one unit for ten grams, give or take."""
    planned = ((7 * 60 + 30, 45.0), (12 * 60 + 30, 65.0), (18 * 60 + 45, 70.0))
    meals = []
    for minute, grams in planned:
        eaten = round(grams * scale * float(rng.uniform(0.8, 1.25)))
        units = round(eaten / 10.0 * float(rng.uniform(0.8, 1.15)) * 2) / 2  # pens count in half units
        meals.append(Meal(minute + int(rng.integers(-30, 31)), float(eaten), units))
    return tuple(meals)


def sensor_days(
    rng: np.random.Generator, days: Sequence[Sequence[Meal]], base: float, sensitivity: float
) -> list[list[int | None]]:
    """Draw the readings, mg/dL, of consecutive days; `None` where the sensor was silent.

    `base` is the fasting level; `sensitivity` how strongly a unit of bolus lowers it. Readings are held within the
    40 to 400 mg/dL that sensors report.
    """
    minutes = np.arange(len(days) * DAY) * 5.0
    level = base + 14.0 * np.exp(-(((minutes % 1440.0) - 360.0) ** 2) / (2 * 90.0**2))  # the dawn rise
    for number, meals in enumerate(days):
        for meal in meals:
            since = np.clip(minutes - number * 1440.0 - meal.minute, 0.0, None)
            rise = (np.exp(-since / 75.0) - np.exp(-since / 22.0)) * 7.5 * meal.grams
            fall = (np.exp(-since / 150.0) - np.exp(-since / 55.0)) * 1.7 * sensitivity * meal.units
            level = level + rise - fall
    noise = np.zeros(len(minutes))
    drawn = rng.normal(0.0, SD, len(minutes))
    for step in range(2, len(minutes)):
        noise[step] = AR1 * noise[step - 1] + AR2 * noise[step - 2] + drawn[step]
    readings = [int(value) for value in np.rint(np.clip(level + noise, 40.0, 400.0))]
    silent = np.zeros(len(readings), dtype=bool)
    for number in range(len(days)):  # the signal is lost once a day, for up to an hour
        start = number * DAY + int(rng.integers(0, DAY - 12))
        silent[start : start + int(rng.integers(3, 13))] = True
    return [
        [None if silent[step] else readings[step] for step in range(number * DAY, (number + 1) * DAY)]
        for number in range(len(days))
    ]

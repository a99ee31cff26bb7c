"""A virtual patient with a sensor, a pump and someone who decides, over the meals of some days, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from security.errors import Misuse
from twin_engine.glycaemia.controller import Controller, Order, Seen
from twin_engine.glycaemia.pump import Pump
from twin_engine.glycaemia.sensor import Chance, Sensor, Wearing
from twin_engine.model import Array
from twin_engine.physiology.uva_padova_kernel import X13, Schedule
from twin_engine.physiology.virtual_patient import VirtualPatient, at_rest, simulate_patients

__all__ = ["LoopCourse", "Meal", "run_loop"]

Memory = TypeVar("Memory")


@dataclass(frozen=True, slots=True)
class Meal:
    """Carbohydrate (g) that is on the plate from a minute on; it is announced unless `announced` is false."""

    minute: int
    grams: float
    announced: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class LoopCourse:
    """What happened. It is simulated, and about nobody.

    `glucose` (minutes + 1,) is under the skin at each full minute from the start, mg/dL. At each of `times` (n,) the
    sensor showed `shown` (n,) and there was a decision; `orders` (n - 1,) are what was asked, `basal` ([iU]/h) and
    `bolus` ([iU]) (n - 1,) what the pump gave of it up to the next.
    """

    glucose: Array
    times: Array
    shown: Array
    orders: tuple[Order, ...]
    basal: Array
    bolus: Array

    @property
    def averaged(self) -> Array:
        """Glucose as simglucose keeps it, (n,): the first value, then the mean over each interval, mg/dL."""
        parts = self.glucose[1:].reshape(len(self.orders), -1)
        return np.append(self.glucose[0], parts.mean(axis=1))


def run_loop(
    body: VirtualPatient,
    sensor: Sensor,
    pump: Pump,
    controller: Controller[Memory],
    meals: Iterable[Meal],
    minutes: int,
    rng: Chance,
    *,
    as_peer: bool = False,
    substeps: int = 2,
) -> LoopCourse:
    """Run a virtual patient from rest under its own basal rate.

    At each reading the controller decides on what the pump gives up to the next. A bolus is spread evenly over that
    time. Of a meal the controller hears at the next reading after it is on the plate.

    Parameters
    ----------
    minutes
        How long; a part of an interval at the end is left out.
    as_peer
        Read and show as simglucose 0.2.11 does, to be compared with it: its sensor is read twice at the start, and what
        is shown, and decided on, is the mean over the minutes of an interval of what the sensor held, so that it comes
        up to an interval late.

    Raises
    ------
    Misuse
        A meal before the start or of no amount, or less than one interval of time.
    """
    every = sensor.spacing
    count = minutes // every
    plates, told = _plates(meals, count * every)
    if count < 1:
        raise Misuse("A closed loop runs for at least one interval of its sensor.", detail=minutes)
    wearing = sensor.wear(rng, count + 2 if as_peer else count + 1)
    vector, state = body.vector[None, :], at_rest(body.vector[None, :], np.array([body.basal]))
    glucose = np.empty(count * every + 1)
    glucose[0] = state[0, X13] / body.vg
    shown, basal, bolus = np.empty(count + 1), np.empty(count), np.empty(count)
    shown[0] = wearing.read(0, glucose[0])
    held = wearing.read(1, glucose[0]) if as_peer else shown[0]
    seen_now, grams, memory, orders = held, 0.0, controller.begin(), []
    for number in range(count):
        start = number * every
        order, memory = controller.decide(memory, Seen(start, seen_now, grams, every))
        orders.append(order)
        basal[number], bolus[number] = pump.basal(order.basal), pump.bolus(order.bolus)
        schedule = _interval(plates[start : start + every], basal[number], bolus[number])
        state, course = simulate_patients(vector, state, schedule, every, substeps=substeps)
        glucose[start + 1 : start + every + 1] = course[0]
        grams = float(told[start : start + every].sum())
        seen_now, held = _shown(wearing, number, float(course[0, -1]), held, every, as_peer)
        shown[number + 1] = seen_now
    return LoopCourse(glucose, every * np.arange(count + 1.0), shown, tuple(orders), basal, bolus)


def _shown(
    wearing: Wearing, number: int, glucose: float, held: float, every: int, as_peer: bool
) -> tuple[float, float]:
    """Tell what is shown after an interval, and what the sensor holds from then on."""
    reading = wearing.read(number + (2 if as_peer else 1), glucose)
    return (((every - 1) * held + reading) / every if as_peer else reading), reading


def _plates(meals: Iterable[Meal], minutes: int) -> tuple[Array, Array]:
    """Lay meals on minutes: grams on the plate, and grams announced."""
    plates, told = np.zeros(minutes), np.zeros(minutes)
    for meal in meals:
        if meal.minute < 0 or not 0.0 < meal.grams < np.inf:
            raise Misuse("A meal is at a minute from 0 on, and more than 0 g.", detail=(meal.minute, meal.grams))
        if meal.minute < minutes:
            plates[meal.minute] += meal.grams
            told[meal.minute] += meal.grams if meal.announced else 0.0
    return plates, told


def _interval(grams: Array, basal: float, bolus: float) -> Schedule:
    """Lay out one interval: what is on the plate in each minute, the bolus spread evenly, the basal rate."""
    every = len(grams)
    return Schedule(
        np.zeros(1, dtype=np.int64),
        np.array([every]),
        np.arange(every),
        np.ascontiguousarray(grams),
        np.full(every, bolus / every),
        np.full(every, basal),
    )

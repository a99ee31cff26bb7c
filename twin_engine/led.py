"""Following an ensemble under a therapy: every member is a patient who wears a sensor and is led by what it shows.

The sensors err as factory-calibrated ones do (twin_engine.glycaemia.sensor). A member's sensor is the same one under
each therapy, so that two therapies differ by what they decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from security.errors import Diverged, Misuse
from twin_engine.assimilate import chance, draw, settle, stir
from twin_engine.dynamic import DynamicModel
from twin_engine.follow import stretches
from twin_engine.glycaemia.controller import BasalBolus, Controller, HybridPid, Seen
from twin_engine.glycaemia.pump import pump_of
from twin_engine.glycaemia.sensor import FactorySensor, Wearing
from twin_engine.model import Array
from twin_engine.refusal import lost_number
from twin_engine.series import Dose
from twin_engine.therapy import BASAL, BOLUS, MEAL, SENSOR, Therapy

__all__ = ["check_therapy", "controller_of", "follow_led"]

_WEAR_KEY = 0x5EED5E15  # apart from the chance of the model, so that a sensor does not know what happens


def controller_of(therapy: Therapy) -> Controller[Any]:
    """Make the one who decides. Raises `Misuse` for a setting that cannot be."""
    kind = BasalBolus if therapy.by == "basal-bolus" else HybridPid
    one: BasalBolus | HybridPid = kind(therapy.basal, therapy.carb_ratio, therapy.correction)
    return one if therapy.target is None else replace(one, target=therapy.target)


def check_therapy(model: DynamicModel, therapy: Therapy, doses: Sequence[Dose]) -> None:
    """Raise `Misuse` or `UnknownName` where this model cannot be led so, or the plan's doses say a basal rate too."""
    inputs, channels = {each.name for each in model.plan}, {each.name for each in model.channels}
    if not {MEAL, BOLUS, BASAL} <= inputs or SENSOR not in channels or model.every_minutes != FactorySensor().spacing:
        raise Misuse(
            f"The model {model.name} cannot be led by a therapy.",
            hint=f"It needs {MEAL}, {BOLUS}, {BASAL} and, every 5 minutes, {SENSOR}.",
        )
    if any(dose.input == BASAL for dose in doses):
        raise Misuse("The therapy decides on the basal rate.", hint="Leave the basal rate out of the plan.")
    if therapy.target is not None and not 70.0 <= therapy.target <= 180.0:
        raise Misuse("The target of a therapy is from 70 to 180 mg/dL.", hint="Choose another target.")
    low, high = next(each.bounds for each in model.plan if each.name == BASAL)
    if not low <= therapy.basal <= high:
        raise Misuse(f"The basal rate of a therapy is from {low:g} to {high:g} [iU]/h.", hint="Choose another rate.")
    controller_of(therapy)
    pump_of(therapy.pump)


def follow_led(
    model: DynamicModel,
    state: Array,
    laid: Array,
    start: datetime,
    seed: int,
    therapy: Therapy,
    meals: Sequence[Dose],
) -> tuple[Array, Array]:
    """Follow an ensemble whose insulin a therapy decides on, reading by reading, for each member by its own sensor.

    Parameters
    ----------
    laid
        (minutes, plan inputs) without the insulin that the therapy stands instead of; its boluses are added, and its
        basal rate holds from when the first one that it asks for arrives.
    meals
        What is announced: a meal is heard of at the first reading at or after it is begun. Earlier ones are not.

    Returns
    -------
    tuple
        (points, members, channels), the start first; and the insulin that the therapy gave, (members,) in [iU].

    Raises
    ------
    Diverged
        A number is none; it holds what that member was given by then, by its therapy too.
    """
    every, wanted, members = model.every_minutes, len(laid), len(state)
    sensor = FactorySensor()
    names = [each.name for each in model.plan]
    basal, bolus = names.index(BASAL), names.index(BOLUS)
    delay = {column: round(model.plan[column].delay) for column in (basal, bolus)}
    steps = list(stretches(wanted, every))
    span = sum(step for _, step in steps)
    given = np.zeros((members, span, len(names)))
    given[:, :wanted] = laid
    given[:, wanted:, basal] = laid[-1:, basal]
    told = _announced(meals, start, span, every)
    minute = int(start.timestamp()) // 60
    wears = [_wear(sensor, seed, minute, member, span // every + 1) for member in range(members)]
    controller, pump = controller_of(therapy), pump_of(therapy.pump)
    memory = [controller.begin() for _ in range(members)]
    total, column = np.zeros(members), [channel.name for channel in model.channels].index(SENSOR)
    seen = model.measure(state)
    pieces = [seen[None]]
    for done, step in steps:
        end = minute + done + step
        drawn = draw(model, members, step, chance(seed, end))
        state = stir(model, state, step, drawn)
        for at in range(done, done + step, every):
            number = at // every
            for member in range(members):
                shown = wears[member].read(number, float(seen[member, column]))
                order, memory[member] = controller.decide(memory[member], Seen(at, shown, float(told[number]), every))
                rate = min(pump.basal(order.basal), model.plan[basal].bounds[1])
                units = min(pump.bolus(order.bolus), model.plan[bolus].bounds[1])
                given[member, at + delay[basal] :, basal] = rate
                given[member, at + delay[bolus] : at + delay[bolus] + 1, bolus] += units
                total[member] += (rate * every / 60.0 + units) if at < wanted else 0.0
            state, seen = _each(model, state, given[:, : at + every], start, every)
            pieces.append(seen[None])
        state = settle(model, state, drawn, end, given[0, done : done + step])
        seen = model.measure(state)
    return np.concatenate(pieces)[: wanted // every + 1], total


def _each(model: DynamicModel, state: Array, given: Array, start: datetime, every: int) -> tuple[Array, Array]:
    """Move each member by its own plan, of which the last minutes count: the ensemble, and what is observed of it."""
    walked, when = [], start + timedelta(minutes=given.shape[1])
    for member, plan in enumerate(given):
        try:
            after, seen = model.trace(state[member : member + 1], np.ascontiguousarray(plan[-every:]), every)
        except Diverged as fault:  # it knows of one member
            raise lost_number(model, member, len(state), when, plan) from fault
        if not (np.isfinite(after).all() and np.isfinite(seen).all()):
            raise lost_number(model, member, len(state), when, plan)
        walked.append((after, seen[-1, 0]))
    return np.concatenate([after for after, _ in walked]), np.stack([seen for _, seen in walked])


def _announced(meals: Sequence[Dose], start: datetime, span: int, every: int) -> Array:
    """Tell at each decision the grams that were announced since the last."""
    told = np.zeros(span // every + 1)
    for meal in meals:
        late = (meal.when - start) / timedelta(minutes=every)
        if meal.input == MEAL and 0.0 <= late <= len(told) - 1:
            told[int(np.ceil(late))] += meal.amount
    return told


def _wear(sensor: FactorySensor, seed: int, minute: int, member: int, readings: int) -> Wearing:
    """Let a member wear a sensor: the same one under each plan."""
    rng = np.random.Generator(
        np.random.Philox(np.random.SeedSequence([_WEAR_KEY, seed & (1 << 64) - 1, minute, member]))
    )
    return sensor.wear(rng, readings)

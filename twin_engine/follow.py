"""Following an ensemble along a plan: each member meets the chance of its place, whatever the plan is.

The chance of each stretch of time depends on the seed and on when it ends: it is the same for all plans, and the
beginning of a longer course is the shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from twin_engine.assimilate import chance, draw, travel
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["follow", "follow_each", "stretches"]


def follow(model: DynamicModel, state: Array, laid: Array, start: datetime, every: int, seed: int) -> Array:
    """Follow an ensemble: (points, members, channels), the start first. `laid` is (minutes, plan inputs)."""
    return next(follow_each(model, state, [laid], start, every, seed))


def follow_each(
    model: DynamicModel, state: Array, laid: Sequence[Array], start: datetime, every: int, seed: int
) -> Iterator[Array]:
    """Do the same for several plans of the same length, one after the other; what all of them meet is drawn once."""
    minute, wanted = int(start.timestamp()) // 60, len(laid[0]) if laid else 0
    steps = [
        (done, step, draw(model, len(state), step, chance(seed, minute + done + step)))
        for done, step in stretches(wanted, every)
    ]
    for each in laid:
        moved, pieces = state, [model.measure(state)[None]]
        for done, step, drawn in steps:
            plan = each[done : done + step]
            if len(plan) < step:  # the last stretch is walked to its end, and cut
                plan = np.concatenate([plan, np.repeat(plan[-1:], step - len(plan), axis=0)])
            moved, seen = travel(model, moved, plan, minute + done + step, drawn, every)
            pieces.append(seen)
        yield np.concatenate(pieces)[: wanted // every + 1]


def stretches(wanted: int, every: int) -> Iterator[tuple[int, int]]:
    """Divide the minutes into steps of noise (begin, length): short ones in the first hour, where it shows."""
    done = 0
    while done < wanted:
        step = max(every, (15 if done < 60 else 60) // every * every)
        yield done, step
        done += step

"""Steps of a model whose members move side by side as arrays: the classic Runge-Kutta method of fourth order.

For models that are small and smooth enough for steps of a minute; one that is run by the thousand has a kernel of its
own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twin_engine.model import Array

__all__ = ["march"]

Slopes = Callable[[Array, Array], Array]  # of the states (states, members) under one minute's plan


def march(
    slopes: Slopes,
    state: Array,
    plan: Array,
    every: int,
    substeps: int,
    measure: Callable[[Array], Array],
    begin: Callable[[Array, Array], Array] | None = None,
) -> tuple[Array, Array]:
    """Follow an ensemble minute by minute, as `DynamicModel.trace` does.

    Parameters
    ----------
    slopes
        Gives the changes in a minute, (states, members), of the states under a row of the plan.
    measure
        Gives what the channels tell, (members, channels), of an ensemble (members, states).
    begin
        Gives the states (states, members) with what starts with a minute: a meal, say. It may write to what it gets.
    """
    now = np.array(state.T, order="C")
    h = 1.0 / substeps
    seen = []
    for minute, row in enumerate(plan):
        if begin is not None:
            now = begin(now, row)
        for _ in range(substeps):
            one = slopes(now, row)
            two = slopes(now + 0.5 * h * one, row)
            three = slopes(now + 0.5 * h * two, row)
            four = slopes(now + h * three, row)
            now = now + h / 6.0 * (one + 2.0 * (two + three) + four)
        if (minute + 1) % every == 0:
            seen.append(measure(now.T))
    after = np.ascontiguousarray(now.T)
    empty = measure(after)[None, :0].reshape(0, *measure(after).shape)
    return after, np.stack(seen) if seen else empty

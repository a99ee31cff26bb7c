"""What a model that moves in time refuses: a plan outside its bounds, and states that are no numbers.

The texts name model, member and minute and hold no patient data; the numbers stand in `detail`.
"""

from __future__ import annotations

import numpy as np

from security.errors import Diverged, Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["refuse_diverged", "refuse_outside"]


def refuse_outside(model: DynamicModel, plan: Array) -> None:
    """Raise `Misuse` where a plan laid on minutes (minutes, plan inputs) has no number, or one outside the bounds."""
    if plan.ndim != 2 or plan.shape[1] != len(model.plan):
        raise Misuse(
            f"The model {model.name} takes a plan of {len(model.plan)} inputs a minute; this one has another shape.",
            hint=f"In this order: {', '.join(each.name for each in model.plan)}.",
            detail=plan.shape,
        )
    low, high = np.array([each.bounds for each in model.plan]).T
    outside = ~((plan >= low) & (plan <= high))  # what is no number is outside, too
    if outside.any():
        minute, column = (int(i) for i in np.argwhere(outside)[0])
        each = model.plan[column]
        raise Misuse(
            f"{each.title}: the model {model.name} holds from {each.bounds[0]:g} to {each.bounds[1]:g} {each.unit}; "
            f"minute {minute} of the plan says another amount.",
            hint=each.why,
            detail=float(plan[minute, column]),
        )


def refuse_diverged(name: str, after: Array, seen: Array, every: int, detail: object) -> None:
    """Raise `Diverged` where a state at the end is not finite, with the first member and minute that shows it.

    Parameters
    ----------
    after, seen
        (members, states) at the end, and (points, members, channels) observed every `every` minutes. A state that is no
        number stays none, so that looking at the end is enough.
    """
    lost = ~np.isfinite(after).all(axis=1)
    if lost.any():
        member = int(np.argmax(lost))
        gone = np.logical_not(np.isfinite(seen[:, member])).any(axis=1)
        point = int(np.argmax(gone)) if gone.any() else len(seen) - 1
        raise Diverged(
            f"The model {name} gave no finite state (member {member} of {len(after)}, "
            f"minute {max(point + 1, 0) * every}).",
            hint="The run stops here: look at the inputs and the plan of this run.",
            detail=detail,
        )

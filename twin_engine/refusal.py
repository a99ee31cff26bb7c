"""What a model that moves in time refuses: a plan outside its bounds, and states that are no numbers.

The texts name model, member and minute and hold no patient data; the numbers stand in `detail`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from security.errors import Diverged, Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["lost_number", "refuse_diverged", "refuse_lost", "refuse_outside"]


def refuse_outside(model: DynamicModel, plan: Array) -> None:
    """Raise `Misuse` where a plan laid on minutes (minutes, plan inputs) has no number, or one outside the bounds.

    A change is 0 in the minutes in which it does not happen.
    """
    if plan.ndim != 2 or plan.shape[1] != len(model.plan):
        raise Misuse(
            f"The model {model.name} takes a plan of {len(model.plan)} inputs a minute; this one has another shape.",
            hint=f"In this order: {', '.join(each.name for each in model.plan)}.",
            detail=plan.shape,
        )
    low, high = np.array([each.bounds for each in model.plan]).T
    outside = ~((plan >= low) & (plan <= high))  # what is no number is outside, too
    if outside.any():
        outside &= ~((plan == 0.0) & np.array([each.kind == "change" for each in model.plan]))
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


def refuse_lost(model: DynamicModel, seen: Array, every: int, at: datetime, laid: Array) -> None:
    """Raise `Diverged` where something of what is seen (points, members, channels) is no number.

    The points are `every` minutes apart, the first one that long after `at`; `laid`, (minutes, plan inputs), is what
    was given to every member.
    """
    if not np.isfinite(seen).all():
        bad = np.argwhere(~np.isfinite(seen))
        point, member = int(bad[0][0]), int(bad[0][1])
        raise lost_number(model, member, seen.shape[1], at + timedelta(minutes=(point + 1) * every), laid)


def lost_number(model: DynamicModel, member: int, members: int, when: datetime, laid: Array) -> Diverged:
    """Say of which member, and when, a number is none; `laid` is what was given to that member."""
    return Diverged(
        f"The model {model.name} gave no number (member {member} of {members}, {when:%Y-%m-%d %H:%M} UTC).",
        hint="Nothing of this run is kept. Look at the doses of this twin, and calibrate anew.",
        detail={each.name: float(laid[:, column].sum()) for column, each in enumerate(model.plan)},
    )

"""What a model can tell of a channel: a simulated value at an end of that means "this, or further", and is said to."""

from __future__ import annotations

import numpy as np

from twin_engine.dynamic import Channel
from twin_engine.model import Array

__all__ = ["kept_within", "said_of_ends"]


def kept_within(channel: Channel, values: Array) -> Array:
    """Move simulated values of a channel within what the model can tell, if it says what that is."""
    return values if channel.within is None else np.asarray(np.clip(values, *channel.within))


def said_of_ends(channel: Channel, least: float, most: float) -> tuple[str, ...]:
    """Say what it means that the least or the most that is told of a channel stands at an end; else nothing."""
    if channel.within is None:
        return ()
    low, high = channel.within
    ends = [f"{low:g} means {low:g} or less"] if least <= low else []
    ends += [f"{high:g} means {high:g} or more"] if most >= high else []
    if not ends:
        return ()
    said = " and ".join(ends)
    return (f"{channel.title}: the model tells {low:g} to {high:g} {channel.unit} and no number beyond; {said}.",)

"""Courses of glucose that published values were computed on."""

from __future__ import annotations

import numpy as np

from twin_engine.glycaemia import Trace, trace_of
from twin_engine.model import Array


def published_days() -> Trace:
    """Fourteen days of a reading every five minutes, by formula (../shared/spec/glucose_onco.md, section 1.7)."""
    k = np.arange(4032)
    turn = 2.0 * np.pi * k
    swing = (50.0 + 3.0 * (k // 288)) * np.sin(turn / 288.0)
    g = 140.0 + swing + 30.0 * np.sin(3.0 * turn / 288.0 + 0.7) + 8.0 * np.sin(turn / 17.0)
    return trace_of(k * 5.0, np.clip(np.round(g, 1), 39.0, 400.0))


def flat(*runs: tuple[int, float]) -> Array:
    """Glucose that stays: (readings, mg/dL), one run after the other."""
    return np.concatenate([np.full(count, value) for count, value in runs])

"""Compile the kernels of all models, once: `python -m tests.kernels`.

Two minutes of a core on a new machine, which else each of the processes that run the tests would take, and longer, for
coverage looks on while numba compiles. Where they are compiled already, it takes seconds.
"""

from __future__ import annotations

from twin_engine import models
from twin_engine.checks.course import LIGHT, lay
from twin_engine.dynamic import DynamicModel

if __name__ == "__main__":
    for model in models().values():
        if isinstance(model, DynamicModel):
            laid = lay(model, LIGHT, 1)
            model.trace(laid.state, laid.plan, laid.every)

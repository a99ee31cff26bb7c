"""What works on the jobs of a home, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.api.call import Answer
from gateway.api.operations.bench import Bench, Standing, ViewMaker
from gateway.api.operations.branching import COMPARE, WHAT_IF, compared, tried
from gateway.api.operations.everything import EVERYTHING, everything
from gateway.api.operations.simulating import SIMULATE, simulated
from gateway.api.operations.standing import standing_of
from gateway.api.operations.state import TWIN, told_of_twin
from gateway.home import Home

__all__ = ["bench_of"]

_ANSWERS: Final[Mapping[str, Answer]] = {
    TWIN.code: told_of_twin,
    SIMULATE.code: simulated,
    WHAT_IF.code: tried,
    COMPARE.code: compared,
    EVERYTHING.code: everything,
}


def bench_of(home: Home, view: ViewMaker, standing: Standing | None = None) -> Bench:
    """Make it, with the view maker of the door. `standing` says who callers are by now; by default the register does.

    `Worker(bench).running()` then belongs into the lifespan of the server.
    """
    return Bench(home=home, view=view, answers=_ANSWERS, standing=standing or standing_of(home))

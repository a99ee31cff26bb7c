"""What the API does beyond reading and writing: models run on twins, everything of a patient, exports, and jobs."""

from gateway.api.operations import branching, everything, exporting, jobs, simulating, state
from gateway.api.operations.bench import Bench
from gateway.api.operations.making import bench_of
from gateway.api.operations.worker import Worker

__all__ = ["DECLARED", "OFFERS", "Bench", "Worker", "bench_of"]

OFFERS = (
    *state.OFFERS,
    *simulating.OFFERS,
    *branching.OFFERS,
    *everything.OFFERS,
    *exporting.OFFERS,
    *jobs.OFFERS,
)

DECLARED = (state.TWIN, simulating.SIMULATE, branching.WHAT_IF, branching.COMPARE, everything.EVERYTHING)
"""The operations that are defined here."""

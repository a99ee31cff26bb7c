"""What is known of a model when its card is handed out: where its code came from, and what our checks saw in it now."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from gateway import __version__
from security.errors import Fault
from twin_engine import TwinModel, check_model
from twin_engine.check import Finding
from twin_engine.checks.motion import leaves
from twin_engine.checks.time_step import Halving, halve_steps
from twin_engine.dynamic import DynamicModel
from twin_engine.registry import GROUP

__all__ = ["Evidence", "Provenance", "evidence_of"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model's code came from.

    `sha256` is of the file that holds its class, "" where there is none; other files that it imports are its
    distribution's.
    """

    distribution: str
    distribution_version: str
    module: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured now: by which version of ours, what breaks the contract, what half the step changes.

    `at_the_limits` has sentences on what a plan at its upper bounds does to the states; none: they stay in bounds.
    """

    checked_by: str
    provenance: Provenance
    findings: tuple[Finding, ...]
    steps: tuple[Halving, ...] = ()
    at_the_limits: tuple[str, ...] = ()


def evidence_of(model: TwinModel) -> Evidence:
    """Check a model and measure its time step, which may take seconds."""
    provenance, found = _provenance(model), check_model(model)
    checked_by = f"fhirtwin {__version__}"
    if found or not isinstance(model, DynamicModel):
        return Evidence(checked_by, provenance, found)
    steps = list(halve_steps(model))
    with suppress(Fault):  # a plan at its upper bounds may be refused; `leaves` tells it
        steps += halve_steps(model, "full")
    return Evidence(checked_by, provenance, found, tuple(steps), leaves(model))


def _provenance(model: TwinModel) -> Provenance:
    kind = type(model)
    file = inspect.getsourcefile(kind)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
    for entry in entry_points(group=GROUP):
        if entry.dist is not None and entry.value == f"{kind.__module__}:{kind.__qualname__}":
            return Provenance(entry.dist.name, entry.dist.version, kind.__module__, digest)
    ours = kind.__module__.startswith("twin_engine.")
    return Provenance("fhirtwin" if ours else "", __version__ if ours else "", kind.__module__, digest)

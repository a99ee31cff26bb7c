"""Results as R5 (5.0.0) writes them: like R4, but for the Device, the Provenance and what a value is derived from."""

from __future__ import annotations

from mappers.outbound import r4, shape
from mappers.outbound.names import AIAST
from mappers.outbound.r4 import revised, risk_assessment
from mappers.outbound.result import Result, ResultOutput
from mappers.outbound.shape import Frame, Resource

__all__ = ["device", "observation", "provenance", "revised", "risk_assessment"]

# What Observation.derivedFrom may refer to (R5 StructureDefinition of Observation).
_DERIVED_FROM = frozenset(
    {
        "DocumentReference",
        "ImagingStudy",
        "ImagingSelection",
        "QuestionnaireResponse",
        "Observation",
        "MolecularSequence",
        "GenomicStudy",
    }
)


def device(result: Result) -> Resource:
    """Write the Device that stands for the model; of a name that nobody registered, R5 says that it is for users."""
    written = shape.device(result)
    return written | {
        "type": [written["type"]],
        "status": "active",
        "displayName": result.model,
        "name": [{"value": result.model, "type": "user-friendly-name"}],
        "version": [{"value": result.version}],
    }


def observation(result: Result, output: ResultOutput, frame: Frame) -> Resource:
    """Write an output as an Observation."""
    return r4.observation(result, output, frame, derived_from=_DERIVED_FROM)


def provenance(result: Result, frame: Frame, targets: list[str]) -> Resource:
    """Write who made the resources, when, about whom, and from which versions of what."""
    written = r4.provenance(result, frame, targets)
    del written["reason"]  # has become authorization (R5 provenance.html, differences to R4)
    return written | {"authorization": [{"concept": {"coding": [AIAST]}}], "patient": {"reference": frame.patient}}

"""Results as R4 (4.0.1) and R4B (4.3.0) write them: what we write reads the same in both."""

from __future__ import annotations

from mappers.outbound import shape
from mappers.outbound.names import AIAST, result_uuid
from mappers.outbound.result import Result, ResultOutput
from mappers.outbound.shape import Frame, Resource
from mappers.outbound.times import instant
from mappers.outbound.words import hypothetical, statement

__all__ = ["device", "observation", "provenance", "revised", "risk_assessment"]

# What Observation.derivedFrom may refer to (R4 StructureDefinition of Observation).
_DERIVED_FROM = frozenset(
    {"DocumentReference", "ImagingStudy", "Media", "QuestionnaireResponse", "Observation", "MolecularSequence"}
)
_CREATE = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}


def device(result: Result) -> Resource:
    """Write the Device that stands for the model."""
    return shape.device(result) | {
        "status": "active",
        "deviceName": [{"name": result.model, "type": "model-name"}],
        "version": [{"value": result.version}],
    }


def observation(
    result: Result, output: ResultOutput, frame: Frame, *, derived_from: frozenset[str] = _DERIVED_FROM
) -> Resource:
    """Write an output as an Observation; `derived_from` are the types of which its version lets it be derived."""
    written = shape.observation(result, output, frame) | {"note": [{"text": statement(result, output)}]}
    if derived := [shape.reference(used) for used in shape.sources(result, derived_from)]:
        written["derivedFrom"] = derived
    return written


def risk_assessment(result: Result, frame: Frame) -> Resource:
    """Write all risks of a result as one RiskAssessment."""
    return shape.risk_assessment(result, frame) | {
        "identifier": [shape.identifier(result_uuid(result.run, "risk"))],
        "status": "preliminary",
        "code": {"text": hypothetical(result, result.title)},
        "occurrenceDateTime": instant(result.made_at),
        "note": [{"text": statement(result)}],
    }


def provenance(result: Result, frame: Frame, targets: list[str]) -> Resource:
    """Write who made the resources, when, and from which versions of what."""
    return shape.provenance(result, targets) | {
        "occurredDateTime": instant(result.made_at),
        "reason": [{"coding": [AIAST]}],
        "activity": {"coding": [_CREATE]},
        "agent": [
            {"type": _participant("author"), "who": {"reference": frame.device}},
            {"type": _participant("assembler"), "who": {"display": frame.sender}},
        ],
        "entity": [{"role": "source", "what": shape.reference(used)} for used in shape.sources(result)],
    }


def revised(reference: str) -> Resource:
    """Name an older result in whose place this one comes, as a Provenance does."""
    return {"role": "revision", "what": {"reference": reference}}


def _participant(code: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    return {"coding": [{"system": system, "code": code}]}

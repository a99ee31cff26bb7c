"""Results as STU3 (3.0.2) writes them."""

from __future__ import annotations

from mappers.outbound import shape
from mappers.outbound.names import AIAST, result_uuid
from mappers.outbound.result import Result, ResultOutput
from mappers.outbound.shape import Frame, Resource
from mappers.outbound.times import instant
from mappers.outbound.words import hypothetical, statement

__all__ = ["device", "observation", "provenance", "revised", "risk_assessment"]

# What Observation.related.target may refer to (STU3 StructureDefinition of Observation).
_RELATED = frozenset({"Observation", "QuestionnaireResponse", "Sequence"})
_CREATE = {"system": "http://hl7.org/fhir/v3/DataOperation", "code": "CREATE"}
# STU3's list of agent roles (security-role-type) has no assembler; a processor of data is what it has for the sender.
_AUTHOR = {"coding": [{"system": "http://hl7.org/fhir/v3/ParticipationType", "code": "AUT"}]}
_SENDER = {"coding": [{"system": "http://hl7.org/fhir/extra-security-role-type", "code": "dataprocessor"}]}


def device(result: Result) -> Resource:
    """Write the Device that stands for the model."""
    return shape.device(result) | {"status": "active", "model": result.model, "version": result.version}


def observation(result: Result, output: ResultOutput, frame: Frame) -> Resource:
    """Write an output as an Observation."""
    written = shape.observation(result, output, frame) | {"comment": statement(result, output)}
    if used := shape.sources(result, _RELATED):
        written["related"] = [{"type": "derived-from", "target": shape.reference(each)} for each in used]
    return written


def risk_assessment(result: Result, frame: Frame) -> Resource:
    """Write all risks of a result as one RiskAssessment."""
    return shape.risk_assessment(result, frame) | {
        "identifier": shape.identifier(result_uuid(result.run, "risk")),
        "status": "preliminary",
        "code": {"text": hypothetical(result, result.title)},
        "occurrenceDateTime": instant(result.made_at),
        "comment": statement(result),
    }


def provenance(result: Result, frame: Frame, targets: list[str]) -> Resource:
    """Write who made the resources, when, and from which versions of what."""
    return shape.provenance(result, targets) | {
        "reason": [AIAST],
        "activity": _CREATE,
        "agent": [
            {"role": [_AUTHOR], "whoReference": {"reference": frame.device}},
            {"role": [_SENDER], "whoReference": {"display": frame.sender}},
        ],
        "entity": [{"role": "source", "whatReference": shape.reference(used)} for used in shape.sources(result)],
    }


def revised(reference: str) -> Resource:
    """Name an older result in whose place this one comes, as a Provenance does."""
    return {"role": "revision", "whatReference": {"reference": reference}}

"""Results as DSTU2 (1.0.2) writes them.

Its RiskAssessment has neither status nor note: there the narrative and each rationale alone tell
people that it is simulated.
"""

from __future__ import annotations

from mappers.outbound import shape
from mappers.outbound.names import AIAST, kind_of, result_uuid
from mappers.outbound.result import Result, ResultInput, ResultOutput
from mappers.outbound.shape import Frame, Resource
from mappers.outbound.times import instant
from mappers.outbound.words import listed, statement

__all__ = ["device", "observation", "provenance", "revised", "risk_assessment"]

# What Observation.related.target may refer to (DSTU2 StructureDefinition of Observation).
_RELATED = frozenset({"Observation", "QuestionnaireResponse"})


def device(result: Result) -> Resource:
    """Write the Device that stands for the model."""
    return shape.device(result) | {"status": "available", "model": result.model, "version": result.version}


def observation(result: Result, output: ResultOutput, frame: Frame) -> Resource:
    """Write an output as an Observation."""
    written = shape.observation(result, output, frame) | {"comments": statement(result, output)}
    if used := shape.sources(result, _RELATED):
        written["related"] = [{"type": "derived-from", "target": shape.reference(each, logical=False)} for each in used]
    return written


def risk_assessment(result: Result, frame: Frame) -> Resource:
    """Write all risks of a result as one RiskAssessment."""
    return shape.risk_assessment(result, frame, logical=False) | {
        "identifier": shape.identifier(result_uuid(result.run, "risk")),
        "date": instant(result.made_at),
    }


def provenance(result: Result, frame: Frame, targets: list[str]) -> Resource:
    """Write who made the resources, when, and from which versions of what.

    Its activity is left out: the list of DSTU2 (v3-ProvenanceEventCurrentState) holds states, and none is "created".
    """
    return shape.provenance(result, targets) | {
        "reason": [{"coding": [AIAST]}],
        "agent": [
            {"role": _participant("author"), "actor": {"reference": frame.device}},
            {"role": _participant("assembler"), "actor": {"display": frame.sender}},
        ],
        "entity": [_source(used) for used in shape.sources(result)],
    }


def revised(reference: str) -> Resource:
    """Name an older result in whose place this one comes, as a Provenance does."""
    return {"role": "revision", "type": _kind(kind_of(reference)), "reference": reference}


def _kind(name: str) -> Resource:
    return {"system": "http://hl7.org/fhir/resource-types", "code": name}


def _participant(code: str) -> Resource:
    return {"system": "http://hl7.org/fhir/provenance-participant-role", "code": code}


def _source(used: tuple[ResultInput, ...]) -> Resource:
    """Name an input: in DSTU2 by a URI, which may be of another server, and its type."""
    return {"role": "source", "type": _kind(used[0].type), "reference": used[0].reference, "display": listed(used)}

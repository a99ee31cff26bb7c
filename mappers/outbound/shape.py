"""What a simulated resource looks like in every FHIR version that we write.

Each says three times that nobody measured it: to machines in its security label and tag, to people in its narrative and
in its note. A status is never beyond "preliminary": only a person may make it final.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from typing import Any

import msgspec

from mappers.facts import Coding
from mappers.outbound.names import AIAST, RESULT_TAG, SIMULATED_TAG, URI_SYSTEM, device_uuid, result_uuid
from mappers.outbound.result import Result, ResultInput, ResultOutput
from mappers.outbound.times import instant, with_seconds, years_later

__all__ = ["Frame", "Resource"]

Resource = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
AI_DEVICE = {  # HL7 AI Transparency on FHIR 1.0.0-ballot, profile AI-Device
    "system": "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
    "code": "Artificial-Intelligence",
}


class Frame(msgspec.Struct, frozen=True):
    """What the resources of one transaction share: whose they are, who sends them, the entry of the model's Device."""

    patient: str
    sender: str
    device: str


def meta(uuid: str = "") -> Resource:
    """Label a resource as simulated; with `uuid`, so that it can be found by its tag where it has no identifier."""
    tags = [SIMULATED_TAG, {"system": RESULT_TAG, "code": uuid}] if uuid else [SIMULATED_TAG]
    return {"security": [AIAST], "tag": tags}


def identifier(uuid: str) -> Resource:
    """Name a resource by a deterministic UUID."""
    return {"system": URI_SYSTEM, "value": f"urn:uuid:{uuid}"}


def model_name(result: Result) -> str:
    """Name the model with its version."""
    return f"{result.model} {result.version}"


def statement(result: Result) -> str:
    """Say in words that a person can read what this is, what it assumed, and where it stops holding."""
    parts = [f"Simulated by {model_name(result)}, not measured.", *result.assumptions, result.limits, result.citation]
    return " ".join(part for part in parts if part)


def narrative(result: Result, outputs: tuple[ResultOutput, ...]) -> Resource:
    """Tell it in the narrative too, which is all that some viewers show."""
    rows = "".join(f"<li>{escape(told(output))}</li>" for output in outputs)
    said = escape(f"Simulated by {model_name(result)}, not measured.")
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{said}</p><ul>{rows}</ul></div>'
    return {"status": "generated", "div": div}


def told(output: ResultOutput) -> str:
    """Tell one output in words."""
    if output.kind == "observation":
        return f"{output.title}: {output.written:f} {output.unit}"
    ahead = "" if output.horizon_years is None else f", {output.horizon_years} years"
    ahead = ahead if output.horizon_minutes is None else f", within {output.horizon_minutes} minutes"
    return f"{output.title}{ahead}: {output.written:f} %"


def concept(coding: Coding | None, text: str) -> Resource:
    """Write a code with our word for it; the word alone where there is no code."""
    if coding is None:
        return {"text": text}
    code = {"system": coding.system, "code": coding.code}
    return {"coding": [code | {"display": coding.display} if coding.display else code], "text": text}


def sources(result: Result, types: frozenset[str] | None = None) -> list[tuple[ResultInput, ...]]:
    """Group the inputs by the resource version that says them; `types` keeps those that an element may refer to."""
    said: dict[str, tuple[ResultInput, ...]] = {}
    for used in result.inputs:
        if types is None or used.type in types:
            said[used.reference] = (*said.get(used.reference, ()), used)
    return list(said.values())


def reference(used: tuple[ResultInput, ...], *, logical: bool = True) -> Resource:
    """Point to the resource version that was used, and say so in words, for many servers strip versions.

    A fact of another EHR is named by its URL as an identifier (R4 references.html#logical): servers refuse references
    to servers that they do not know. DSTU2 has no logical reference (`logical=False`) and keeps the words.
    """
    address = used[0].reference
    if used[0].local:
        return {"reference": address, "display": f"{listed(used)}: {address}"}
    if logical:
        return {"identifier": {"system": URI_SYSTEM, "value": address}, "display": listed(used)}
    return {"display": f"{listed(used)}: {address}"}


def listed(used: tuple[ResultInput, ...]) -> str:
    """Tell inputs in words."""
    return "; ".join(map(str, used))


def device(result: Result) -> Resource:
    """Begin the Device that stands for the model."""
    return {
        "resourceType": "Device",
        "meta": meta(),
        "identifier": [identifier(device_uuid(result.model, result.version))],
        "type": {"coding": [AI_DEVICE], "text": "Simulation model (software)"},
        "note": [{"text": " ".join(part for part in (result.title + ".", result.limits, result.citation) if part)}],
    }


def observation(result: Result, output: ResultOutput, frame: Frame) -> Resource:
    """Begin an Observation. No interpretation: whether a simulated number is high is not ours to say."""
    return {
        "resourceType": "Observation",
        "meta": meta(),
        "text": narrative(result, (output,)),
        "identifier": [identifier(result_uuid(result.run, f"observation/{output.name}"))],
        "status": "preliminary",
        "code": concept(output.code, output.title),
        "subject": {"reference": frame.patient},
        "effectiveDateTime": with_seconds(result.valid_at),
        "issued": instant(result.made_at),
        "valueQuantity": {"value": output.written, "unit": output.unit, "system": UCUM, "code": output.unit},
        "method": {"text": f"{model_name(result)}: {result.title}"},
        "device": {"reference": frame.device},
    }


def risk_assessment(result: Result, frame: Frame, *, logical: bool = True) -> Resource:
    """Begin a RiskAssessment with all risks of a result."""
    return {
        "resourceType": "RiskAssessment",
        "meta": meta(),
        "text": narrative(result, result.risks),
        "subject": {"reference": frame.patient},
        "method": {"text": f"{model_name(result)}: {result.title}"},
        "performer": {"reference": frame.device},
        "basis": [reference(used, logical=logical) for used in sources(result)],
        "prediction": [prediction(result, output) for output in result.risks],
        "mitigation": f"A clinician reviews this before anything is done about it. {result.limits}".strip(),
    }


def prediction(result: Result, output: ResultOutput) -> Resource:
    """Write one risk as a percentage over the years that it looks ahead.

    `probabilityDecimal` is a percentage in all five versions: "Decimal values are expressed as percentages as well
    (max = 100)" (published definitions of RiskAssessment.prediction.probability[x]; invariant ras-2, "Must be <= 100").
    `whenRange` would be ages ("the period of time or age range of the subject"); we know the period, and where there
    is none "the risk applies over the subject's lifespan".
    """
    inputs = listed(result.inputs)
    written: Resource = {
        "outcome": concept(output.outcome, output.title),
        "probabilityDecimal": output.written,
        "rationale": f"{statement(result)} From: {inputs}" if inputs else statement(result),
    }
    if output.horizon_years is not None:
        start = with_seconds(result.valid_at)
        written["whenPeriod"] = {"start": start, "end": years_later(start, output.horizon_years)}
    if output.horizon_minutes is not None:
        start = with_seconds(result.valid_at)
        end = datetime.fromisoformat(start) + timedelta(minutes=output.horizon_minutes)
        written["whenPeriod"] = {"start": start, "end": instant(end)}
    return written


def provenance(result: Result, targets: list[str]) -> Resource:
    """Begin the Provenance of all that the run made."""
    return {
        "resourceType": "Provenance",
        "meta": meta(result_uuid(result.run, "provenance")),
        "target": [{"reference": target} for target in targets],
        "recorded": instant(result.made_at),
    }

"""What a simulated resource looks like in every FHIR version that we write.

Each says three times that nobody measured it: to machines in its security label and tag, to people in its narrative and
in its note. A status is never beyond "preliminary": only a person may make it final.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any

import msgspec

from mappers.facts import Coding
from mappers.outbound.names import (
    AIAST,
    HYPOTHETICAL_TAG,
    RESULT_TAG,
    SIMULATED_TAG,
    URI_SYSTEM,
    device_uuid,
    result_uuid,
)
from mappers.outbound.result import Result, ResultInput, ResultOutput
from mappers.outbound.times import instant, with_seconds, years_later
from mappers.outbound.words import (
    INTERVAL,
    PERIOD,
    SIMULATED_RISK,
    hypothetical,
    listed,
    model_name,
    nature,
    review,
    statement,
    titled,
    told,
)

__all__ = ["Frame", "Resource"]

Resource = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
AI_DEVICE = {  # HL7 AI Transparency on FHIR 1.0.0-ballot, profile AI-Device
    "system": "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
    "code": "Artificial-Intelligence",
}


CONTAINED = "model"
"""The id of the model's Device within a resource, at an EHR that takes no Devices."""


class Frame(msgspec.Struct, frozen=True):
    """What the resources of one transaction share: whose they are, who sends them, the entry of the model's Device."""

    patient: str
    sender: str
    device: str


def meta(uuid: str = "", *, hypothetical: bool = False) -> Resource:
    """Label a resource as simulated; with `uuid`, so that it can be found by its tag where it has no identifier."""
    tags = [SIMULATED_TAG, {"system": RESULT_TAG, "code": uuid}] if uuid else [SIMULATED_TAG]
    return {"security": [AIAST], "tag": [*tags, HYPOTHETICAL_TAG] if hypothetical else tags}


def identifier(uuid: str) -> Resource:
    """Name a resource by a deterministic UUID."""
    return {"system": URI_SYSTEM, "value": f"urn:uuid:{uuid}"}


def narrative(result: Result, outputs: tuple[ResultOutput, ...]) -> Resource:
    """Tell it in the narrative too, which is all that some viewers show."""
    rows = "".join(f"<li>{escape(told(output), quote=False)}</li>" for output in outputs)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(nature(result), quote=False)}</p><ul>{rows}</ul></div>'
    return {"status": "generated", "div": div}


def paragraph(said: str) -> Resource:
    """Tell one thing in a narrative."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(said, quote=False)}</p></div>'
    return {"status": "generated", "div": div}


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


def device(result: Result) -> Resource:
    """Begin the Device that stands for the model."""
    about = " ".join(part for part in (result.title + ".", result.limits, result.citation) if part)
    return {
        "resourceType": "Device",
        "meta": meta(),
        "text": paragraph(f"Simulation model {model_name(result)}. {about}"),
        "identifier": [identifier(device_uuid(result.model, result.version))],
        "type": {"coding": [AI_DEVICE], "text": "Simulation model (software)"},
        "note": [{"text": about}],
    }


def contained(device: Resource) -> Resource:
    """Put a Device into another resource: there it has no narrative (DSTU2 dom-1) and no label (STU3 dom-5)."""
    inner = {name: value for name, value in device.items() if name != "text"}
    return inner | {"id": CONTAINED, "meta": {"tag": device["meta"]["tag"]}}


def observation(result: Result, output: ResultOutput, frame: Frame) -> Resource:
    """Begin an Observation. No interpretation: whether a simulated number is high is not ours to say.

    A risk, for an EHR that takes no RiskAssessment, is a percentage. Its code is words alone: with the code of what may
    come the patient would seem to have it. The period that it looks at is a component, for `effective` is the time at
    which the value holds ("the clinically relevant time", R4 Observation.effective[x]), which is that of the inputs.
    """
    is_risk = output.kind == "risk"
    written = {
        "resourceType": "Observation",
        "meta": meta(),
        "text": narrative(result, (output,)),
        "identifier": [identifier(observation_uuid(result, output))],
        "status": "preliminary",
        "code": concept(None, f"{SIMULATED_RISK}: {titled(output)}") if is_risk else concept(output.code, output.title),
        "subject": {"reference": frame.patient},
        "effectiveDateTime": with_seconds(result.valid_at),
        "issued": instant(result.made_at),
        "valueQuantity": quantity(output.written, output.unit_written),
        "method": {"text": f"{model_name(result)}: {result.title}"},
        "device": {"reference": frame.device},
    }
    parts = [] if output.interval is None else [component(*output.interval, output.unit_written)]
    if is_risk and (ahead := period(result, output)):
        parts.append({"code": {"text": PERIOD}, "valuePeriod": ahead})
    return written | {"component": parts} if parts else written


def observation_uuid(result: Result, output: ResultOutput) -> str:
    """Name the Observation of an output."""
    return result_uuid(result.run, f"{output.kind}/{output.name}")


def quantity(value: Decimal, unit: str) -> Resource:
    """Write a number with its UCUM unit."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def component(low: Decimal, high: Decimal, unit: str) -> Resource:
    """Write an interval beside the value: a component with a Range, which is core in all five versions.

    "*All* code-value and component.code-component.value pairs need to be taken into account to correctly understand
    the meaning of the observation" (R4 to R5, Observation.component.code), while an extension may be ignored, and HL7's
    validator refuses one that it does not know; and no search for a quantity finds a Range (docs/write-back.md).
    """
    return {"code": {"text": INTERVAL}, "valueRange": {"low": quantity(low, unit), "high": quantity(high, unit)}}


def risk_assessment(result: Result, frame: Frame, *, logical: bool = True) -> Resource:
    """Begin a RiskAssessment with all risks of a result.

    A hypothesis stands in its method, in each outcome and in all words. It is no `mitigation` ("steps that might be
    taken to reduce the identified risk(s)"), for it is tried and not advised; nor `basis` ("the source data considered
    as part of the assessment") or `basedOn` ("the request that is fulfilled"): there is no such datum and no request.
    """
    return {
        "resourceType": "RiskAssessment",
        "meta": meta(hypothetical=bool(result.hypothesis)),
        "text": narrative(result, result.risks),
        "subject": {"reference": frame.patient},
        "method": {"text": f"{model_name(result)}: {hypothetical(result, result.title)}"},
        "performer": {"reference": frame.device},
        "basis": [reference(used, logical=logical) for used in sources(result)],
        "prediction": [prediction(result, output) for output in result.risks],
        "mitigation": f"{review(result)} {result.limits}".strip(),
    }


def prediction(result: Result, output: ResultOutput) -> Resource:
    """Write one risk as a percentage over the years that it looks ahead.

    `probabilityDecimal` is a percentage in all five versions: "Decimal values are expressed as percentages as well
    (max = 100)" (published definitions of RiskAssessment.prediction.probability[x]; invariant ras-2, "Must be <= 100").
    `whenRange` would be ages ("the period of time or age range of the subject"); we know the period, and where there
    is none "the risk applies over the subject's lifespan". A hypothetical outcome has no code, for who counts codes
    does not read conditions, and a period that starts when the plan is taken to begin, for it is of no other life.
    """
    inputs = listed(result.inputs)
    said = statement(result, output)
    written: Resource = {
        "outcome": concept(None if result.hypothesis else output.outcome, hypothetical(result, output.title)),
        "probabilityDecimal": output.written,
        "rationale": f"{said} From: {inputs}" if inputs else said,
    }
    if ahead := period(result, output):
        written["whenPeriod"] = ahead
    return written


def period(result: Result, output: ResultOutput) -> Resource:
    """Write the time that a risk looks at; nothing where it is the rest of the life of the patient as they are."""
    start = with_seconds(result.valid_at)
    if output.horizon_minutes is not None:
        end = datetime.fromisoformat(start) + timedelta(minutes=output.horizon_minutes)
        return {"start": start, "end": instant(end)}
    if output.horizon_years is not None:
        return {"start": start, "end": years_later(start, output.horizon_years)}
    return {"start": start} if result.hypothesis else {}


def provenance(result: Result, targets: list[str]) -> Resource:
    """Begin the Provenance of all that the run made."""
    return {
        "resourceType": "Provenance",
        "meta": meta(result_uuid(result.run, "provenance"), hypothetical=bool(result.hypothesis)),
        "text": paragraph(f"{nature(result)} From: {listed(result.inputs)}" if result.inputs else nature(result)),
        "target": [{"reference": target} for target in targets],
        "recorded": instant(result.made_at),
    }

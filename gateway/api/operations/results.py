"""What a run says, as FHIR: labelled as simulated, with its model, its inputs and their versions, apart from what was
measured.

An answer is a Bundle with Device, Observations, RiskAssessment and Provenance, as an EHR would be sent it. A course is
no Observation of anybody: it is told in Parameters, its numbers as SampledData.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from gateway import __version__
from gateway.api.call import Call, Reply
from gateway.api.operations.subject import Subject
from gateway.deliver.proposal import result_of
from gateway.store import SavedRun
from gateway.wording import said_value
from mappers.facts import Quantity
from mappers.outbound import Result, ResultInput, ResultOutput, render
from mappers.outbound.names import AIAST, HYPOTHETICAL_TAG, SIMULATED_TAG
from security.audit import run_event
from twin_engine import Input, Missing, Run
from twin_engine.forecast import Course

__all__ = [
    "Json",
    "bundle_of",
    "course_part",
    "grounds_parts",
    "label",
    "missing_reply",
    "part",
    "result_inputs",
    "risks_bundle",
    "text",
    "to_json",
]

Json = dict[str, Any]

_SENDER: Final = f"fhirtwin {__version__}"
_UCUM: Final = "http://unitsofmeasure.org"
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def label(*, hypothetical: bool = False) -> Json:
    """Label a resource as simulated, to machines."""
    return {"security": [AIAST], "tag": [SIMULATED_TAG, HYPOTHETICAL_TAG] if hypothetical else [SIMULATED_TAG]}


def to_json(resource: Mapping[str, Any]) -> bytes:
    """Write a resource, with every digit of its decimals."""
    return _encode(resource)


def text(name: str, value: str) -> Json:
    """Write a parameter that is a text."""
    return {"name": name, "valueString": value}


def part(name: str, parts: Iterable[Json | None]) -> Json:
    """Write a parameter with parts."""
    return {"name": name, "part": [each for each in parts if each is not None]}


def bundle_of(call: Call, subject: Subject, run: Run, id_: str) -> Json:
    """Write an answer of a model as a collection."""
    saved = SavedRun(id_, subject.twin, call.now, run.model, 0, b"")
    result = result_of(call.home, saved, run, run.outputs, "")
    return _collection(call, subject, msgspec.structs.replace(result, inputs=result_inputs(call, subject, run.inputs)))


def risks_bundle(
    call: Call,
    subject: Subject,
    of: Any,
    plan: str,
    run: str,
    risks: Sequence[tuple[str, str, float]],
    *,
    valid_at: datetime,
    minutes: int,
) -> Json | None:
    """Write what a plan may bring (name, title, probability) as a RiskAssessment; `None` where nothing is at risk."""
    if not risks:
        return None
    outputs = tuple(
        ResultOutput(
            name=name,
            title=title,
            kind="risk",
            code=None,
            value=Decimal(repr(min(max(share, 0.0), 1.0))),
            unit="1",
            horizon_years=None,
            outcome=None,
            decimals=0,
            horizon_minutes=minutes,
        )
        for name, title, share in risks
    )
    result = Result(
        model=of.model,
        version=of.version,
        title=of.title,
        citation=of.citation,
        limits=of.limits,
        made_at=call.now,
        valid_at=valid_at.isoformat(),
        inputs=result_inputs(call, subject, of.inputs),
        outputs=outputs,
        assumptions=of.assumptions,
        run=run,
        hypothesis=plan,
    )
    return _collection(call, subject, result)


def result_inputs(call: Call, subject: Subject, inputs: Sequence[Input]) -> tuple[ResultInput, ...]:
    """List the facts that a result stands on, each once, by the version of the resource that we show."""
    told: dict[str, ResultInput] = {}
    for each in inputs:
        for fact in each.facts:
            shown = next(filter(None, map(subject.shown, fact.origins)), None)
            if shown is None:
                continue
            reference = f"{call.base}/{shown.reference}/_history/{shown.version}"
            value = fact.value
            told.setdefault(
                reference,
                ResultInput(
                    name=each.name,
                    title=each.title,
                    value=f"{value.value:f}" if isinstance(value, Quantity) else said_value(value),
                    unit=value.unit if isinstance(value, Quantity) else "",
                    when=fact.when.text if fact.when else "",
                    reference=reference,
                    source=fact.origin.source,
                    local=True,
                ),
            )
    return tuple(told.values())


def grounds_parts(call: Call, subject: Subject, inputs: Sequence[Input]) -> list[Json]:
    """Write what a course stands on: each input with its value, its time, its ground and the resources that say it."""
    return [
        part(
            "input",
            [
                text("name", each.name),
                text("title", each.title),
                text("value", each.said),
                text("unit", each.unit) if each.unit else None,
                text("when", each.when) if each.when else None,
                text("basis", each.basis),
                *(
                    {"name": "from", "valueReference": {"reference": used.reference}}
                    for used in result_inputs(call, subject, [each])
                ),
            ],
        )
        for each in inputs
    ]


def course_part(name: str, course: Course) -> Json:
    """Write a course: the middle and the ends of the middle 90 % of the ensemble, as SampledData from the start on."""
    step = course.minutes[1] - course.minutes[0] if len(course.minutes) > 1 else 1.0
    first = course.minutes[0] if course.minutes else 0.0

    def sampled(which: str, values: Sequence[float]) -> Json:
        data = " ".join(f"{value:.6g}" for value in values)
        origin = {"value": 0, "unit": course.unit, "system": _UCUM, "code": course.unit}
        told = {"origin": origin, "period": round(step * 60_000), "dimensions": 1, "data": data}
        return {"name": which, "valueSampledData": told}

    return part(
        name,
        [
            text("name", course.name),
            text("title", course.title),
            {"name": "firstMinute", "valueDecimal": first},
            sampled("median", course.median),
            sampled("low", course.low),
            sampled("high", course.high),
        ],
    )


def missing_reply(call: Call, subject: Subject, found: Missing) -> Reply:
    """Say what a model lacks (422): what, since when, and no guess instead. It is recorded as a run that failed."""
    said = list(dict.fromkeys(found.say)) or ["The model lacks data."]
    issues = [{"severity": "error", "code": "business-rule", "diagnostics": each} for each in said]
    access = call.access(patient=subject.twin, outcome="4", reason="missing-data")
    return Reply(
        status=422,
        body={"resourceType": "OperationOutcome", "issue": issues},
        found={subject.twin: (subject.patient.reference,)},
        events=[run_event(access, run="none", model=f"{found.model}@{found.version}")],
    )


def _collection(call: Call, subject: Subject, result: Result) -> Json:
    sent = render(result, "r4", patient=f"{call.base}/{subject.patient.reference}", sender=_SENDER)
    return {
        "resourceType": "Bundle",
        "meta": label(hypothetical=bool(result.hypothesis)),
        "type": "collection",
        "timestamp": call.now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "entry": [{"fullUrl": each["fullUrl"], "resource": each["resource"]} for each in sent["entry"]],
    }

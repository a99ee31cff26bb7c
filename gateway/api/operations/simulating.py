"""$simulate: run one model on a twin as its caller sees it: its answer, or what it foresees."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Reply
from gateway.api.operations.begin import answer_or_begin
from gateway.api.operations.calibrating import calibrate
from gateway.api.operations.definition import Declared, Parameter, offers_of
from gateway.api.operations.results import (
    Json,
    bundle_of,
    course_part,
    grounds_parts,
    label,
    missing_reply,
    text,
    to_json,
)
from gateway.api.operations.scores import scores_parts
from gateway.api.operations.subject import Subject, subject_of
from gateway.api.operations.told import Told, read_told
from gateway.api.refusal import Refusal
from gateway.calibrated import Calibrated
from gateway.outlook import look_ahead
from gateway.simulation import answering_models, models_of, run_id
from mappers.outbound.times import instant
from security.audit import run_event
from security.errors import UnknownName
from twin_engine import Missing, TwinModel, simulate
from twin_engine.clock import said_of_age
from twin_engine.forecast import Forecast
from twin_engine.scenario import LONGEST

__all__ = ["MODEL", "OFFERS", "SIMULATE", "simulated"]

MODEL: Final = Parameter(
    name="model", type="code", least=1, says="The name of the model; $twin lists those that there are."
)
SIMULATE: Final = Declared(
    code="simulate",
    name="Simulate",
    title="Run a model on a twin",
    says=(
        "Runs one model on what the caller may see of a patient. A model that gives an answer returns a Bundle: "
        "Device, Observations, a RiskAssessment and their Provenance, each labelled AIAST. A model that follows "
        "readings returns Parameters with the courses that it foresees. Where data is missing it says which (422). "
        "Nothing is kept."
    ),
    comment="Hidden resources play no part, and no list is taken as whole: absence has to be said (assumeAbsent).",
    parameters=(
        MODEL,
        Parameter(name="at", type="instant", says="The time that the model looks from; by default now."),
        Parameter(
            name="assumeAbsent",
            type="boolean",
            says="Take a problem or a medication that is not seen as absent; the result says so.",
        ),
        Parameter(name="minutes", type="integer", says="How far to look ahead, for a model that follows readings."),
        Parameter(name="return", use="out", type="Resource", least=1, says="The Bundle or the Parameters."),
    ),
    by_get=True,
)


async def simulated(call: Call) -> Reply:
    """Answer it, at once or as a job."""

    async def answer(call: Call) -> Reply:
        return await run_in_threadpool(_simulate, call)

    return await answer_or_begin(call, SIMULATE.code, answer)


def _simulate(call: Call) -> Reply:
    told = read_told(call, SIMULATE.known)
    known = models_of(call.home)
    name = told.demanded("model")
    if name not in known:
        raise UnknownName("model", name, known)
    subject = subject_of(call)
    if name in answering_models(call.home):
        return _answer(call, subject, known[name], told)
    return _foresee(call, subject, name, told)


def _answer(call: Call, subject: Subject, model: TwinModel, told: Told) -> Reply:
    if "minutes" in told:
        raise Refusal(400, "invalid", "This model gives one answer: it does not look ahead by minutes.")
    at = (told.moment("at") or call.now).replace(microsecond=0)
    result = simulate(model, subject.profile(at, assume_absent=told.flag("assumeAbsent")))
    if isinstance(result, Missing):
        return missing_reply(call, subject, result)
    run, used = run_id(call.home, subject.twin, result), subject.used(result.inputs)
    event = run_event(call.access(patient=subject.twin, what=used), run=run, model=f"{result.model}@{result.version}")
    body = to_json(bundle_of(call, subject, result, run))
    return Reply(body=body, found={subject.twin: used}, events=[event])


def _foresee(call: Call, subject: Subject, name: str, told: Told) -> Reply:
    if "assumeAbsent" in told:
        raise Refusal(400, "invalid", "This model follows readings: nothing is assumed to be absent.")
    found = calibrate(call, subject, name, told.moment("at"), follows=True)
    if isinstance(found, Missing):
        return missing_reply(call, subject, found)
    minutes = told.count("minutes", 0, LONGEST) if "minutes" in told else None
    forecast = look_ahead(found.calibrated, minutes=minutes)
    run = call.home.blind.of("run", f"{subject.twin} {msgspec.json.encode(forecast).decode()}")
    event = run_event(
        call.access(patient=subject.twin, what=found.used), run=run, model=f"{forecast.model}@{forecast.version}"
    )
    body = to_json(_told(call, subject, forecast, run, found.calibrated))
    return Reply(body=body, found={subject.twin: found.used}, events=[event])


def _told(call: Call, subject: Subject, forecast: Forecast, run: str, calibrated: Calibrated) -> Json:
    return {
        "resourceType": "Parameters",
        "meta": label(),
        "parameter": [
            {"name": "subject", "valueReference": {"reference": subject.patient.reference}},
            text("run", run),
            text("model", forecast.model),
            text("version", forecast.version),
            text("title", f"{forecast.title}; simulated, not measured"),
            {"name": "at", "valueInstant": instant(forecast.at)},
            *(course_part("course", course) for course in forecast.courses),
            *scores_parts(forecast.scores),
            *grounds_parts(call, subject, forecast.inputs),
            *(text("note", said) for said in said_of_age(forecast.last, calibrated.at, "forecast")),
            *(text("assumption", said) for said in forecast.assumptions),
            text("method", forecast.method),
            text("limits", forecast.limits),
            text("citation", forecast.citation),
        ],
    }


OFFERS = offers_of(SIMULATE, simulated)

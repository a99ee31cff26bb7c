"""$what-if and $compare: what would happen to a twin under plans, beside nothing new, from one start and one chance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Reply
from gateway.api.operations.begin import answer_or_begin
from gateway.api.operations.calibrating import Made, calibrate
from gateway.api.operations.definition import Declared, Parameter, offers_of
from gateway.api.operations.results import (
    Json,
    course_part,
    grounds_parts,
    label,
    missing_reply,
    part,
    risks_bundle,
    text,
    to_json,
)
from gateway.api.operations.simulating import MODEL
from gateway.api.operations.subject import Subject, subject_of
from gateway.api.operations.told import Told, read_told
from gateway.api.refusal import Refusal
from gateway.orders import read_orders
from gateway.outlook import start_of
from mappers.outbound.times import instant
from security.audit import run_event
from twin_engine import Missing
from twin_engine.branch import Branch
from twin_engine.clock import said_of_age
from twin_engine.outcome import Outcome, measures_of, read_utility
from twin_engine.plan import Plan
from twin_engine.plan_text import read_plan
from twin_engine.scenario import LONGEST, Comparison, counterfactual, what_if
from twin_engine.series import series_of
from twin_engine.therapy import read_therapy

__all__ = ["COMPARE", "OFFERS", "WHAT_IF", "compared", "tried"]

_MINUTES: Final = 360
_MOST_PLANS: Final = 12
_MOST_ITEMS: Final = 500
_PLAN: Final = Parameter(
    name="plan",
    type="",
    most="*",
    says="One plan: what is given or done, and who decides on insulin.",
    parts=(
        Parameter(name="title", says="What it is called."),
        Parameter(name="give", most="*", says='Something to give or to do: "60 g carbohydrate over 15 min at +30min".'),
        Parameter(name="therapy", says='Who decides on insulin: "closed-loop, basal 0.9 [iU]/h, ...", or basal-bolus.'),
        Parameter(name="text", says="The whole plan instead, as TOML or JSON (docs/models.md)."),
    ),
)
_COMMON: Final = (
    MODEL,
    Parameter(name="minutes", type="integer", says=f"How far to look; by default {_MINUTES}."),
    Parameter(name="at", type="instant", says="When the plans start; by default at the last reading."),
    Parameter(name="utility", says="What is better, as TOML: title, declared_by and [weights] of outcomes."),
)
_RETURN: Final = Parameter(
    name="return",
    use="out",
    type="Parameters",
    least=1,
    says="Courses and outcomes of each branch, and its risks as a RiskAssessment with Provenance; all labelled AIAST.",
)
_SAYS: Final = (
    "All branches start from a calibration to what the caller may see, and meet the same chance. What a plan would do "
    "is no observation of anybody: it is told as courses of a simulation and as risks. Nothing is kept or ordered."
)
WHAT_IF: Final = Declared(
    code="what-if",
    name="WhatIf",
    title="What would happen under a plan",
    says=f"Simulates one or several plans beside nothing new. {_SAYS}",
    parameters=(
        *_COMMON,
        _PLAN,
        Parameter(
            name="counterfactual",
            type="boolean",
            says="Tell what would have happened from a past moment (at) on, had the one plan been done.",
        ),
        _RETURN,
    ),
)
COMPARE: Final = Declared(
    code="compare",
    name="Compare",
    title="Compare plans with each other",
    says=f"Simulates two or more plans side by side, and ranks them by what is declared to be better. {_SAYS}",
    parameters=(*_COMMON, _PLAN, _RETURN),
)


async def tried(call: Call) -> Reply:
    """Answer $what-if, at once or as a job."""
    return await answer_or_begin(call, WHAT_IF.code, partial(_branch, declared=WHAT_IF, least=1))


async def compared(call: Call) -> Reply:
    """Answer $compare, at once or as a job."""
    return await answer_or_begin(call, COMPARE.code, partial(_branch, declared=COMPARE, least=2))


async def _branch(call: Call, *, declared: Declared, least: int) -> Reply:
    return await run_in_threadpool(_simulate, call, read_told(call, declared.known), least)


def _simulate(call: Call, told: Told, least: int) -> Reply:
    asked = told.parts("plan", {each.name for each in _PLAN.parts})
    if not least <= len(asked) <= _MOST_PLANS:
        raise Refusal(400, "required", f"This takes {least} to {_MOST_PLANS} plans.")
    for each in asked:
        _demand_plan(each)
    back, at = told.flag("counterfactual"), told.moment("at")
    if back and (at is None or len(asked) != 1):
        raise Refusal(400, "invalid", "What would have happened is asked of one plan, from a moment on (at).")
    name, minutes = told.demanded("model"), told.count("minutes", _MINUTES, LONGEST)
    subject = subject_of(call)
    made = calibrate(call, subject, name, at, ahead=True)
    if isinstance(made, Missing):
        return missing_reply(call, subject, made)
    found = made.calibrated
    start = start_of(found, at)
    plans = [_plan(each, number, made, start) for number, each in enumerate(asked, 1)]
    worth = read_utility(told.text("utility"), measures_of(found.model)) if "utility" in told else None
    if back:
        series = series_of(found.model, found.facts)
        result = counterfactual(
            found.model,
            found.track,
            series,
            plans[0],
            minutes=minutes,
            utility=worth,
            grounds=found.grounds,
            assumptions=found.assumptions,
        )
    else:
        result = what_if(
            found.model,
            found.track,
            (Plan("nothing new", start), *plans),
            at=start,
            minutes=minutes,
            doses=found.series.doses,
            utility=worth,
            grounds=found.grounds,
            assumptions=found.assumptions,
        )
    run = call.home.blind.of("run", f"{subject.twin} {msgspec.json.encode(result).decode()}")
    notes = said_of_age(found.track.at, at or found.at, "what-if")
    event = run_event(
        call.access(patient=subject.twin, what=made.used), run=run, model=f"{result.model}@{result.version}"
    )
    body = to_json(_told(call, subject, result, run, notes))
    return Reply(body=body, found={subject.twin: made.used}, events=[event])


def _demand_plan(told: Told) -> None:
    """Refuse a plan that says nothing, or two things, before anything is opened."""
    orders, therapy = told.texts("give"), told.text("therapy")
    if "text" in told and (orders or therapy):
        raise Refusal(400, "invalid", "A plan is a text, or what is given and a therapy.")
    if "text" not in told and not orders and not therapy:
        raise Refusal(400, "required", "A plan gives something, or has a therapy.")
    if len(orders) > _MOST_ITEMS:
        raise Refusal(400, "too-costly", "This plan has too many items.")


def _plan(told: Told, number: int, made: Made, start: datetime) -> Plan:
    model, title = made.calibrated.model, told.text("title", f"plan {number}")
    if "text" in told:
        plan = read_plan(told.text("text"), model, start)
        return msgspec.structs.replace(plan, title=title) if "title" in told else plan
    orders, therapy = told.texts("give"), told.text("therapy")
    given = read_orders(orders, title, model, start).doses if orders else ()
    return Plan(title, start, given, therapy=read_therapy(therapy) if therapy else None)


def _told(call: Call, subject: Subject, result: Comparison, run: str, notes: Sequence[str]) -> Json:
    ranked = [text("ranking", title) for title in result.ranking]
    utility = [text("utility", f"{result.utility.title} ({result.utility.declared_by})")] if result.utility else []
    return {
        "resourceType": "Parameters",
        "meta": label(hypothetical=True),
        "parameter": [
            {"name": "subject", "valueReference": {"reference": subject.patient.reference}},
            text("run", run),
            text("kind", result.kind),
            text("model", result.model),
            text("version", result.version),
            text("title", f"{result.title}; simulated, not measured"),
            {"name": "at", "valueInstant": instant(result.at)},
            {"name": "minutes", "valueInteger": result.minutes},
            *(_branch_part(call, subject, result, run, each, n) for n, each in enumerate(result.branches)),
            *utility,
            *ranked,
            *grounds_parts(call, subject, result.inputs),
            *(text("note", said) for said in notes),
            *(text("assumption", said) for said in result.assumptions),
            text("limits", result.limits),
            text("citation", result.citation),
        ],
    }


def _branch_part(call: Call, subject: Subject, result: Comparison, run: str, branch: Branch, number: int) -> Json:
    risks = [(each.name, each.title, each.value) for each in branch.outcomes if each.unit == "1" and each.low is None]
    bundle = risks_bundle(
        call,
        subject,
        result,
        branch.plan.title,
        call.home.blind.of("plan", f"{run} {number}"),
        risks,
        valid_at=result.at,
        minutes=result.minutes,
    )
    return part(
        "branch",
        [
            text("title", branch.plan.title),
            {"name": "reference", "valueBoolean": number == 0},
            *(course_part("course", course) for course in branch.courses),
            *(course_part("difference", course) for course in branch.differences),
            *(_outcome_part("outcome", outcome) for outcome in branch.outcomes),
            _outcome_part("worth", branch.worth) if branch.worth else None,
            {"name": "best", "valueDecimal": round(branch.best, 6)} if branch.best is not None else None,
            {"name": "risks", "resource": bundle} if bundle else None,
        ],
    )


def _outcome_part(name: str, outcome: Outcome) -> Json:
    def quantity(which: str, value: float | None) -> Json | None:
        if value is None:
            return None
        told = {"value": round(value, 6), "unit": outcome.unit, "system": "http://unitsofmeasure.org"}
        return {"name": which, "valueQuantity": told | {"code": outcome.unit}}

    parts = [quantity("value", outcome.value), quantity("low", outcome.low), quantity("high", outcome.high)]
    return part(name, [text("name", outcome.name), text("title", outcome.title), *parts])


OFFERS = (*offers_of(WHAT_IF, tried), *offers_of(COMPARE, compared))

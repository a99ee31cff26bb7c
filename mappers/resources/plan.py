"""CarePlan, CareTeam, Goal, NutritionOrder: what is planned for a patient. None of it says that it happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mappers.elements import Json, objects, text, word
from mappers.facts import Fact, Outcome
from mappers.resources.answer import Answer
from mappers.resources.answer import read_concept as read_answer
from mappers.resources.order import ORDERS
from mappers.resources.quantity import read_quantity
from mappers.resources.sheet import MAPPING, Sheet, Span, modifier_problem, read_period, read_span

__all__ = ["map_care_plan", "map_care_team", "map_goal", "map_nutrition"]

# FHIR R4 request-status and request-intent, care-plan-activity-status, care-team-status, goal-status
BEGUN: Final = frozenset({"active", "on-hold", "completed"})
MEANT: Final = frozenset({"", "plan", "order"})  # DSTU2 has no intent: there a CarePlan is a plan
UNDER_WAY: Final = frozenset({"scheduled", "in-progress", "on-hold", "completed", "not-started"})
GOALS: Final = frozenset({"planned", "accepted", "active", "on-hold", "completed"})
TEAMS: Final = frozenset({"active", "suspended", "inactive"})


def map_care_plan(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the facts in a CarePlan: its category, and each activity that is no resource of its own.

    Its time is its period, else when it was written.
    """
    body, status, intent = sheet.body, text(sheet.body.get("status")), word(sheet.body.get("intent"))
    span = _period(body) or read_span({"createdDateTime": body.get("created")}, "created")
    if status not in BEGUN:
        yield sheet.refuse("status", status)
    elif intent not in MEANT:
        yield sheet.refuse("intent", intent)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        activities = [
            (f"activity[{index}].detail", detail)
            for index, activity in enumerate(objects(body.get("activity")))
            for detail in objects(activity.get("detail"))[:1]
        ]
        coded = sheet.chosen(body.get("category"))
        if coded or not activities:
            yield sheet.coded("plan", coded, status, span, note=text(body.get("title")))
        for path, detail in activities:
            yield _activity(sheet, path, detail, span)


def _activity(sheet: Sheet, path: str, detail: Json, span: Span) -> Outcome:
    status = text(detail.get("status"))
    if problem := modifier_problem(detail):
        return sheet.refuse(problem, path=path)
    if detail.get("doNotPerform") not in (None, False) or detail.get("prohibited") not in (None, False):
        return sheet.refuse("not-done", path=path)
    if status not in UNDER_WAY:
        return sheet.refuse("status", status, path)
    own = read_span(detail, "scheduled")
    if own.problem:
        return sheet.refuse(own.problem, own.said, path)
    return sheet.part(detail, path).coded("plan", detail.get("code"), status, own if own.when else span)


def map_care_team(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a CareTeam that says what it cares for; any other says something only through what uses it."""
    body, status = sheet.body, text(sheet.body.get("status"))
    span = _period(body) or Span()
    concept = sheet.chosen(body.get("category"))
    if concept is None:
        yield sheet.refuse("unused-link")
    elif status not in TEAMS:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        yield sheet.coded("plan", concept, status, span, note=text(body.get("name")))


def map_goal(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the facts in a Goal: what it is where that is coded, and each target that is measured, in our units.

    A target's fact ends when it is due. A goal in words alone is refused: a value is not read out of a sentence.
    """
    body, status = sheet.body, text(sheet.body.get("lifecycleStatus"))
    span = read_span({"startDateTime": body.get("startDate")}, "start")
    if status == "proposed":
        yield sheet.refuse("intent", status)
    elif status not in GOALS:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        concept = body.get("description")
        targets = [(i, each) for i, each in enumerate(objects(body.get("target"))) if _is_measured(sheet, each)]
        if sheet.codes.read(concept).codings or not targets:
            yield sheet.coded("plan", concept, status, span)
        for index, target in targets:
            yield _target(sheet, f"target[{index}]", target, status, span)


def _is_measured(sheet: Sheet, target: Json) -> bool:
    return bool(sheet.codes.read(target.get("measure")).codings) or any(key.startswith("detail") for key in target)


def _target(sheet: Sheet, path: str, target: Json, status: str, span: Span) -> Outcome:
    due = read_span({"dueDateTime": target.get("dueDate")}, "due")
    found = sheet.codes.read(target.get("measure"))
    if problem := modifier_problem(target) or due.problem:
        return sheet.refuse(problem, due.said, path)
    if not found.codings:
        return sheet.refuse("no-code", found.text, path)
    if target.get("detailQuantity") is not None:
        made = read_quantity(target["detailQuantity"], found)
    elif target.get("detailCodeableConcept") is not None:
        made = read_answer(target["detailCodeableConcept"], found, sheet.codes)
    else:
        made = "unsupported-value" if any(key.startswith("detail") for key in target) else "no-value"
    if not isinstance(made, Answer):
        return sheet.refuse(made, path=path)
    fact = Fact(
        kind="plan",
        name=made.name,
        code=made.code,
        value=made.value,
        when=span.when,
        until=due.when,
        status=status,
        origin=sheet.at(path),
        mapping=MAPPING,
        said=found.said(made.code),
        text=found.words(made.code),
        original=made.original,
    )
    fact = found.stamped(fact)
    return made.answered.answering(fact) if made.answered else fact


def map_nutrition(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the facts in a NutritionOrder: each diet, supplement and formula that was ordered."""
    body, status = sheet.body, text(sheet.body.get("status"))
    intent = word(body.get("intent")) or "order"  # FHIR R4 has one, DSTU2 and STU3 know orders only
    span = read_span({"orderedDateTime": body.get("dateTime")}, "ordered")
    if status not in BEGUN:
        yield sheet.refuse("status", status)
    elif intent not in ORDERS:
        yield sheet.refuse("intent", intent)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        diets: list[tuple[str, Any]] = [
            (f"oralDiet.type[{index}]", concept)
            for diet in objects(body.get("oralDiet"))[:1]
            for index, concept in enumerate(objects(diet.get("type")))
        ]
        diets += [
            (f"supplement[{index}]", each.get("type")) for index, each in enumerate(objects(body.get("supplement")))
        ]
        for formula in objects(body.get("enteralFormula"))[:1]:
            diets.append(("enteralFormula", formula.get("baseFormulaType")))
        for path, concept in diets:
            yield sheet.part(body, path).coded("plan", concept, status, span)
        if not diets:
            yield sheet.refuse("no-code")


def _period(body: Json) -> Span | None:
    return next((read_period(each) for each in objects(body.get("period"))[:1]), None)

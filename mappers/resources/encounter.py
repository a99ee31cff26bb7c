"""Encounter: a visit or a stay that has begun. EpisodeOfCare: the time for which somebody is responsible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.codes import is_standard
from mappers.concepts import name_of
from mappers.elements import objects, text
from mappers.facts import Fact, Outcome
from mappers.resources.sheet import Sheet, Span, read_period

__all__ = ["map_encounter", "map_episode"]

BEGUN: Final = frozenset({"arrived", "triaged", "in-progress", "onleave", "finished"})  # of FHIR R4 encounter-status
CARED_FOR: Final = frozenset({"active", "onhold", "finished"})  # of FHIR R4 episode-of-care-status


def map_encounter(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an Encounter: its code is the type where one is told, its value and its name the class."""
    status = text(sheet.body.get("status"))
    periods = objects(sheet.body.get("period"))
    span = read_period(periods[0]) if periods else Span()
    if status not in BEGUN:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif span.when is None:
        yield sheet.refuse("no-time")
    else:
        yield _visit(sheet, status, span)


def _visit(sheet: Sheet, status: str, span: Span) -> Outcome:
    setting = {"coding": objects(sheet.body.get("class"))[:1]}
    told = sheet.codes.read(setting)
    classes = tuple(coding for coding in told.codings if is_standard(coding))
    types = [each for each in objects(sheet.body.get("type")) if any(map(is_standard, sheet.codes.read(each).codings))]
    made = sheet.coded("encounter", types[0] if types else setting, status, span)
    if not isinstance(made, Fact):
        return made
    named = name_of("encounter", classes)
    made = msgspec.structs.replace(made, name=named[0] if named else "", value=classes[0] if classes else None)
    return told.answering(made) if told.rows and types else made


def map_episode(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an EpisodeOfCare that has begun and says of which type it is."""
    body, status = sheet.body, text(sheet.body.get("status"))
    span = next((read_period(each) for each in objects(body.get("period"))[:1]), Span())
    if status not in CARED_FOR:
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        yield sheet.coded("encounter", sheet.chosen(body.get("type")), status, span)

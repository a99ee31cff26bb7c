"""The search parameters of AuditEvent that we answer: those of IHE ITI-81 (RESTful ATNA), with FHIR R4's own.

What is not in this table is refused, whatever `Prefer: handling` says: an auditor must not take a list for an answer to
a question that was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gateway.api.refusal import Refusal
from gateway.told_dates import read_span
from security.audit.search import EVERYTHING, Aspect, Criterion, Span

__all__ = ["DEFAULT_COUNT", "LARGEST_COUNT", "PAGE", "PARAMETERS", "AuditQuery", "Parameter", "read_query"]

DEFAULT_COUNT, LARGEST_COUNT = 50, 200
PAGE = "_page"

_MOST = 40  # parameters in one search
_LONGEST = 4096  # characters of one value
_COMMA = re.compile(r"(?<!\\),")
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_JSON = ("json", "application/json", "application/fhir+json")


class Parameter(NamedTuple):
    """One search parameter: its FHIR type, what it says, and the aspect of an event that it is about."""

    type: Literal["token", "date", "string", "reference"]
    said: str
    aspect: Aspect | None = None


PARAMETERS = {
    "_id": Parameter("token", "The number of the event in the log."),
    "_lastUpdated": Parameter("date", "When it was recorded: an event is never changed."),
    "date": Parameter("date", "When it was recorded: eq, ge, gt, le, lt, sa, eb; several have to hold all."),
    "address": Parameter("string", "Beginning of the network address of somebody who took part.", "address-begins"),
    "address:exact": Parameter("string", "The whole network address.", "address"),
    "agent.identifier": Parameter("token", "Who took part: a person, a program, a server.", "agent"),
    "patient": Parameter("reference", "The twin that it was about.", "patient"),
    "patient.identifier": Parameter("token", "The twin's id, of system urn:fhirtwin:twin.", "patient"),
    "entity": Parameter("reference", "A resource that it was about, in any version.", "entity"),
    "entity.identifier": Parameter(
        "token", "Anything else that it was about: run, delivery, key, X-Request-Id.", "identifier"
    ),
    "entity-type": Parameter("token", "What kind of thing it was about.", "entity-type"),
    "entity-role": Parameter("token", "What part that thing played.", "entity-role"),
    "source.identifier": Parameter("token", "The system that recorded it.", "source"),
    "type": Parameter("token", "Type of event.", "type"),
    "subtype": Parameter("token", "More precise type of event.", "subtype"),
    "outcome": Parameter("token", "0 success, 4 minor, 8 serious, 12 major failure.", "outcome"),
}
_ALIASES = {  # the same, as FHIR R4 spells an identifier of a reference (3.1.1.4.12)
    "agent:identifier": "agent.identifier",
    "patient:identifier": "patient.identifier",
    "entity:identifier": "entity.identifier",
    "source:identifier": "source.identifier",
}


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """One search, understood. `numbers` are the ids asked for, `None` where none were; `patient` the one twin meant."""

    criteria: tuple[Criterion, ...]
    span: Span
    numbers: tuple[int, ...] | None
    count: int
    patient: str
    told: tuple[tuple[str, str], ...]


def read_query(pairs: Sequence[tuple[str, str]]) -> AuditQuery:
    """Understand the parameters of a search. Raises `Refusal` for one that we do not know, or cannot mean."""
    if len(pairs) > _MOST:
        raise Refusal(400, "too-costly", f"A search has {_MOST} parameters at most.")
    criteria: list[Criterion] = []
    span, numbers, count = EVERYTHING, None, DEFAULT_COUNT
    kept: list[tuple[str, str]] = []
    for told, value in pairs:
        name = _ALIASES.get(told, told)
        if not value or len(value) > _LONGEST:
            raise Refusal(400, "invalid", "A parameter has a value of reasonable length.")
        if name == "_format":
            _must_be_json(value)
            continue
        kept.append((told, value))
        if name == "_count":
            count = _count(value)
        elif name == "_id":
            asked = tuple(int(each) for each in value.split(",") if _NUMBER.fullmatch(each))
            numbers = asked if numbers is None else tuple(set(numbers) & set(asked))
        elif name in ("date", "_lastUpdated"):
            span = span.within(_span(value))
        elif name in PARAMETERS:
            criteria.append(_criterion(PARAMETERS[name], value))
        else:
            raise Refusal(400, "not-supported", "There is a parameter that this search does not have; see /metadata.")
    twins = {each for c in criteria if c.aspect == "patient" for each in c.values}
    patient = twins.pop().rpartition("|")[2] if len(twins) == 1 else ""
    return AuditQuery(tuple(criteria), span, numbers, count, patient, tuple(kept))


def _must_be_json(value: str) -> None:
    if value.replace(" ", "+") not in _JSON:
        raise Refusal(406, "not-supported", "We answer in JSON.")


def _count(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise Refusal(400, "not-supported", "_count is a number from 1 on; totals are not counted.")
    return min(int(value), LARGEST_COUNT)


def _criterion(parameter: Parameter, value: str) -> Criterion:
    values = [each.replace("\\,", ",") for each in _COMMA.split(value)]
    if parameter.aspect == "patient":
        values = [each.removeprefix("Patient/") for each in values]
    try:
        return Criterion(parameter.aspect or "what", tuple(values))
    except ValueError as error:
        raise Refusal(400, "invalid", "A parameter has an empty value.") from error


def _span(value: str) -> Span:
    told = _PREFIX.fullmatch(value)
    prefix, text = told.groups() if told else (None, "")
    try:
        meant = read_span(text)
    except ValueError as error:
        raise Refusal(400, "invalid", "A date is told as FHIR does, such as ge2026-11-29T21:05:00Z.") from error
    match prefix:
        case None | "eq":
            return meant
        case "ge":
            return Span(meant.since, None)
        case "gt" | "sa":
            return Span(meant.until, None)
        case "le":
            return Span(None, meant.until)
        case "lt" | "eb":
            return Span(None, meant.since)
    raise Refusal(400, "not-supported", "Of a date's prefixes we know eq, ge, gt, le, lt, sa and eb.")


def names(parameters: Iterable[str] = PARAMETERS) -> list[str]:
    """List the parameters as a CapabilityStatement does: without modifiers."""
    return [name for name in parameters if ":" not in name]

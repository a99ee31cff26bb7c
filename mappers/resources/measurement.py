"""Observation: numbers in canonical units, coded and spoken answers, series; each component a fact of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mappers.analytes import within
from mappers.codes import Concept, read_concept
from mappers.elements import Json, objects, reference, text
from mappers.facts import Fact, Link, Outcome
from mappers.resources.answer import Answer, read_boolean, read_text
from mappers.resources.answer import read_concept as read_answer
from mappers.resources.quantity import read_integer, read_quantity
from mappers.resources.series import read_series
from mappers.resources.sheet import MAPPING, Sheet, Span, is_about_another, modifier_problem, read_span

__all__ = ["map_observation"]

KNOWN: Final = frozenset({"preliminary", "final", "amended", "corrected"})  # of FHIR R4 observation-status

_READERS: Final[Mapping[str, Callable[[Any, Concept], Answer | str]]] = {
    "valueQuantity": read_quantity,
    "valueInteger": read_integer,
    "valueSampledData": read_series,
    "valueCodeableConcept": read_answer,
    "valueString": read_text,
    "valueBoolean": read_boolean,
}


def map_observation(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the facts in an Observation: its value and each component; what is not understood is refused with its path.

    A panel that only lists its members is a link. The time is the clinically relevant one; `issued` is no stand-in.
    """
    body = sheet.body
    status = text(body.get("status"))
    span = read_span(body, "effective")
    if status not in KNOWN:
        yield sheet.refuse("status", status)
    elif is_about_another(body):
        yield sheet.refuse("other-focus")
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif span.when is None:
        yield sheet.refuse("no-time")
    else:
        yield from _results(sheet, status, span)


def _results(sheet: Sheet, status: str, span: Span) -> Iterator[Outcome]:
    body = sheet.body
    components = objects(body["component"]) if "component" in body else []
    value = _value_of(body)
    if value:
        yield from _result(sheet, body, value, "", status=status, span=span)
    for index, part in enumerate(components):
        path = f"component[{index}]"
        if problem := modifier_problem(part):
            yield sheet.refuse(problem, path=path)
        else:
            yield from _result(sheet, part, _value_of(part), path, status=status, span=span)
    if value or components:
        return
    members = [found for member in objects(body.get("hasMember")) if (found := reference(member))]
    if members:
        yield Link(sheet.origin, members[0])
    else:
        yield from _result(sheet, body, "", "", status=status, span=span)


def _value_of(part: Json) -> str:
    """Return the name of the value[x] that is there, "" where there is none."""
    for element in part:
        if element.startswith("value") and element != "value" and part[element] is not None:
            return element
    return ""


def _result(sheet: Sheet, part: Json, element: str, path: str, *, status: str, span: Span) -> Iterator[Outcome]:
    """Yield the fact in one value, or refuse it."""
    told, value = read_concept(part.get("code")), part.get(element)
    found = within(read_concept(sheet.body.get("code")), told) if path else told
    if not element:
        reasons = read_concept(part.get("dataAbsentReason")).codings
        yield sheet.refuse("absent-reason" if reasons else "no-value", reasons[0].code if reasons else "", path)
        return
    if not found.codings:
        yield sheet.refuse("conflicting-codes" if told.codings else "no-code", told.text, path)
        return
    read = _READERS.get(element)
    made = read(value, found) if read else "unsupported-value"
    if isinstance(made, str):
        yield sheet.refuse(made, _spoken(value), path)
        return
    yield Fact(  # by place: by name takes twice the time
        "measurement",
        made.name,
        made.code,
        made.value,
        span.when,
        status,
        sheet.at(path),
        MAPPING,
        span.until,
        told.said(made.code),
        told.words(made.code),
        made.original,
        made.period_ms,
    )
    if made.problem:
        yield sheet.refuse(made.problem, path=f"{path}.{element}".lstrip("."))


def _spoken(value: Any) -> str:
    """Write down what stood there, for the refusal."""
    if isinstance(value, dict):
        parts = (value.get(element) for element in ("comparator", "value", "unit", "code", "text"))
        told = (str(part) for part in parts if isinstance(part, (str, int)) or hasattr(part, "as_tuple"))
        return " ".join(dict.fromkeys(told))  # a unit and its code are mostly one
    return value if isinstance(value, str) else str(value)

"""Observation: numbers in canonical units, coded and spoken answers, series; each component a fact of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mappers.analytes import within
from mappers.codes import Concept
from mappers.elements import Json, objects, reference, text
from mappers.facts import Fact, Link, Outcome
from mappers.resources.answer import Answer, read_boolean, read_text
from mappers.resources.answer import read_concept as read_answer
from mappers.resources.genomic import as_genomic, finding_of
from mappers.resources.moment import read_moment
from mappers.resources.quantity import hint, read_integer, read_quantity
from mappers.resources.ratio import read_ratio
from mappers.resources.series import read_series
from mappers.resources.sheet import MAPPING, Sheet, Span, is_about_another, modifier_problem, read_span

__all__ = ["map_observation"]

KNOWN: Final = frozenset({"preliminary", "final", "amended", "corrected"})  # of FHIR R4 observation-status

_SEVERAL: Final = "value[x]"
_READERS: Final[Mapping[str, Callable[[Any, Concept], Answer | str]]] = {
    "valueQuantity": read_quantity,
    "valueInteger": read_integer,
    "valueSampledData": read_series,
    "valueCodeableConcept": read_answer,
    "valueString": read_text,
    "valueBoolean": read_boolean,
    "valueDateTime": read_moment,
    "valueRatio": read_ratio,
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
    elif ("component" in body or "valueCodeableConcept" in body) and (
        finding := finding_of(sheet.codes.read(body.get("code")))
    ):
        yield from as_genomic(_results(sheet, status, span), sheet, finding, status, span)  # genes need no time
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
    """Return the name of the value[x] that is there, "" where there is none, _SEVERAL where nobody can tell which."""
    found = ""
    for element in part:
        if element.startswith("value") and element != "value" and part[element] is not None:
            if found:
                return _SEVERAL
            found = element
    return found


def _result(sheet: Sheet, part: Json, element: str, path: str, *, status: str, span: Span) -> Iterator[Outcome]:
    """Yield the fact in one value, or refuse it."""
    told, value = sheet.codes.read(part.get("code")), part.get(element)
    found = within(sheet.codes.read(sheet.body.get("code")), told) if path else told
    if not element:
        reasons = sheet.codes.read(part.get("dataAbsentReason")).codings
        yield sheet.refuse("absent-reason" if reasons else "no-value", reasons[0].code if reasons else "", path)
        return
    if not found.codings:
        yield sheet.refuse("conflicting-codes" if told.codings else "no-code", told.text, path)
        return
    read = _READERS.get(element)
    if element == _SEVERAL:
        made: Answer | str = "bad-value"
    elif read is read_answer:
        made = read_answer(value, found, sheet.codes)
    else:
        made = read(value, found) if read else "unsupported-value"
    if isinstance(made, str):
        said = _spoken(value)
        if made == "implausible" and (meant := hint(value, found)):
            said = f"{said}; {meant}"
        yield sheet.refuse_code(found, said, path) if made == "unknown-code" else sheet.refuse(made, said, path)
        return
    fact = Fact(  # by place: by name takes twice the time
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
        " ".join(filter(None, (told.words(made.code), made.note))) if made.note else told.words(made.code),
        made.original,
        made.period_ms,
        "equal",
        made.flags,
    )
    if found.rows:
        fact = found.stamped(fact)
    yield made.answered.answering(fact) if made.answered else fact
    if made.problem:
        yield sheet.refuse(made.problem, path=f"{path}.{element}".lstrip("."))


def _spoken(value: Any) -> str:
    """Write down what stood there, for the refusal."""
    if isinstance(value, dict):
        parts = (value.get(element) for element in ("comparator", "value", "unit", "code", "text"))
        told = (str(part) for part in parts if isinstance(part, (str, int)) or hasattr(part, "as_tuple"))
        return " ".join(dict.fromkeys(told))  # a unit and its code are mostly one
    return value if isinstance(value, str) else str(value)

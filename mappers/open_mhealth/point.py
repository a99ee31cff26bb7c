"""A data point into facts: each element that its schema has becomes an Observation, and that is mapped like any other.

So units, limits, plausibility and codes are those of all measurements, and a fact of a phone differs from one of an EHR
in its origin alone ("omh:heart-rate", "body.heart_rate"). What is a statistic over many measurements (a mean, a
maximum) is none itself and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from mappers.codes import BUILT_IN, SYSTEM, Codes, expand
from mappers.elements import Json, text
from mappers.facts import Coding, Fact, Origin, Outcome, Refusal
from mappers.open_mhealth.frame import effective_of
from mappers.open_mhealth.header import modality, schema_of, subject_of_point
from mappers.open_mhealth.schemas import NAMESPACE, ROWS, UNITS
from mappers.resources.measurement import map_observation
from mappers.resources.sheet import Sheet

__all__ = ["map_point"]

SCHEMAS: Final = "https://w3id.org/openmhealth/schemas/omh"
"""The code system in which a fact names the schema that it came by."""

_MODALITIES: Final = frozenset({"", "sensed", "self-reported"})


def map_point(point: Json, origin: Origin, codes: Codes = BUILT_IN) -> list[Outcome]:
    """Map one data point: facts and refusals, at least one of them. Pure and total, like `map_resource`."""
    schema = schema_of(point)
    row = ROWS.get(schema.name) if schema.namespace == NAMESPACE else None
    if row is None or schema.version not in row["versions"]:
        return [Refusal("unsupported-type", origin, f"{schema.namespace}:{schema.name} {schema.version}")]
    if subject_of_point(point) is None:
        return [Refusal("no-subject", origin)]
    how, source = modality(point)
    if how not in _MODALITIES:
        return [Refusal("unknown-modifier", origin, how)]
    body = point["body"]
    if (statistic := body.get("descriptive_statistic") or body.get("numeric_descriptor")) is not None:
        return [Refusal("statistic", origin, _spoken(statistic))]
    when, problem = effective_of(body)
    if not problem and row.get("needs") == "interval" and "effectivePeriod" not in when:
        problem = "no-time"
    if problem:
        return [Refusal(problem, origin, _spoken(body.get("effective_time_frame")))]
    notes = "; ".join(filter(None, (f"{how} ({source})" if how and source else how or source, *_notes(row, body))))
    sheets = Sheet({}, origin, {}, codes.of(origin.source))
    outcomes = [each for part in row["part"] for each in _part(part, body, when, sheets)]
    said = Coding(SCHEMAS, schema.name, f"{schema.namespace}:{schema.name}:{schema.version}")
    return [_told(each, said, notes, self_reported=how == "self-reported") for each in outcomes]


def _part(part: Mapping[str, Any], body: Json, when: Json, sheet: Sheet) -> Iterator[Outcome]:
    """Yield what one element of the body says."""
    element: str = part["element"]
    path = f"body.{element}"
    value = body.get(element)
    if value is None:
        if not part.get("optional"):
            yield sheet.refuse("no-value", path=path)
        return
    code = _code(part, body)
    if code is None:
        yield sheet.refuse("unknown-code", "; ".join(filter(None, _deciding(part, body))), path)
        return
    system, number = expand(code)
    told = _value(part["units"], value)
    if isinstance(told, str):
        yield sheet.refuse(told, _spoken(value), path)
        return
    coded = {"coding": [{"system": system, "code": number}]}
    observation = {"resourceType": "Observation", "status": "final", "code": coded, **when, **told}
    yield from map_observation(Sheet(observation, sheet.at(path), {}, sheet.codes))


def _code(part: Mapping[str, Any], body: Json) -> str | None:
    if "by" not in part:
        return str(part["code"])
    told = set(filter(None, _deciding(part, body)))
    found = {part["code"].get(word) for word in told or {""}} - {""}
    return found.pop() if len(found) == 1 else None


def _deciding(part: Mapping[str, Any], body: Json) -> list[str]:
    """List what decides; what is there and is no text is one that no table has."""
    told = (body.get(element) for element in part["by"])
    return [text(each) if each is None or isinstance(each, str) else f"{_spoken(each)}?" for each in told]


def _value(units: str, value: Any) -> dict[str, Any] | str:
    """Write a value as FHIR does, or return why it is none of this schema."""
    if not units:
        return {"valueString": value} if text(value) else "bad-value"
    allowed = UNITS[units]
    if not isinstance(value, dict):
        return _quantity(value, allowed[""]) if "" in allowed else "no-unit"
    unit = value.get("unit")
    if not isinstance(unit, str) or not unit:
        return "no-unit"
    return _quantity(value.get("value"), allowed[unit], unit) if unit in allowed else "unknown-unit"


def _quantity(value: Any, code: str, unit: str = "") -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": unit or code, "system": SYSTEM["ucum"], "code": code}}


def _notes(row: Mapping[str, Any], body: Json) -> Iterator[str]:
    """Say what else stands in the body, in words."""
    read = {"effective_time_frame", *(part["element"] for part in row["part"])}
    for element, value in body.items():
        if element not in read and (said := _spoken(value)):
            yield f"{element.replace('_', ' ')}: {said}"


def _spoken(value: Any) -> str:
    """Say in words what stands there: a text, a number, or a number with its unit."""
    if isinstance(value, dict):
        return " ".join(filter(None, map(_spoken, value.values())))
    return text(value) if isinstance(value, str) else "" if value is None or isinstance(value, list) else str(value)


def _told(outcome: Outcome, said: Coding, notes: str, *, self_reported: bool) -> Outcome:
    """Let a fact say what was sent: the schema and not our code for it, and how it was come by."""
    if not isinstance(outcome, Fact):
        return outcome
    flags = (*outcome.flags, "self-reported") if self_reported else outcome.flags
    return msgspec.structs.replace(outcome, said=(said,), text=notes, flags=flags)

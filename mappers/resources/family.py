"""FamilyMemberHistory: what a relative has or had. It is never said of the patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.elements import Json, number, objects, text
from mappers.facts import Coding, Fact, Outcome, Quantity
from mappers.resources.sheet import Sheet, Span, modifier_problem, read_span
from mappers.units import units_of

__all__ = ["map_family_history"]

TOLD: Final = frozenset({"partial", "completed"})  # of FHIR R4 history-status
AGES: Final = frozenset({"a", "mo", "wk", "d"})  # FHIR R4 age-units, in which an Age is told


def map_family_history(sheet: Sheet) -> Iterator[Outcome]:
    """Yield a fact for each condition of a relative: `relative` says who, the value is the age at onset where told.

    Its time is when the history was taken. A relative of whom no relationship is coded is nobody.
    """
    body, status = sheet.body, text(sheet.body.get("status"))
    span = read_span({"takenDateTime": body.get("date")}, "taken")
    relative = sheet.standard(body.get("relationship"))
    conditions = objects(body.get("condition"))
    if body.get("notDone") not in (None, False):  # STU3
        yield sheet.refuse("not-done")
    elif status not in TOLD:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif relative is None:
        yield sheet.refuse_code(sheet.codes.read(body.get("relationship")), path="relationship")
    elif not conditions:
        yield sheet.refuse("no-value")
    else:
        for index, condition in enumerate(conditions):
            yield from _condition(sheet, f"condition[{index}]", condition, relative, status, span)


def _condition(
    sheet: Sheet, path: str, condition: Json, relative: Coding, status: str, span: Span
) -> Iterator[Outcome]:
    if problem := modifier_problem(condition):
        yield sheet.refuse(problem, path=path)
        return
    part = sheet.part(condition, path)
    made = part.coded("condition", condition.get("code"), status, span, note=text(condition.get("onsetString")))
    if not isinstance(made, Fact):
        yield made
        return
    onset = _onset(condition)
    value = onset if isinstance(onset, Quantity) else None
    yield msgspec.structs.replace(made, kind="family-history", value=value, relative=relative)
    if isinstance(onset, str):
        yield part.refuse(onset, path="onset")


def _onset(condition: Json) -> Quantity | str | None:
    """Read the age at onset, in its own unit; `None` where none is told, a reason where it cannot be read."""
    if condition.get("onsetRange") is not None or condition.get("onsetPeriod") is not None:
        return "unsupported-value"
    told = next(iter(objects(condition.get("onsetAge") or condition.get("onsetQuantity"))), None)
    if told is None:
        return None
    value, (code, words) = number(told.get("value")), units_of(told)
    if value is None or value < 0:
        return "bad-value"
    if not code:
        return "unknown-unit" if words else "no-unit"
    return Quantity(value, code, text(told.get("comparator"))) if code in AGES else "unknown-unit"

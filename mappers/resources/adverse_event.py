"""AdverseEvent: harm that was done, not harm that might have been."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mappers.elements import text, word
from mappers.facts import Fact, Outcome
from mappers.resources.sheet import Sheet, read_span

__all__ = ["map_adverse_event"]


def map_adverse_event(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an AdverseEvent; its value is the outcome, else how serious it was. Near misses are refused."""
    body = sheet.body
    actuality, status = text(body.get("actuality")), word(body.get("status"))
    span = read_span({"happenedDateTime": body.get("date")}, "happened")
    if status not in ("", "completed"):  # R5 has a status
        yield sheet.refuse("status", status)
    elif actuality == "potential":
        yield sheet.refuse("not-done", actuality)
    elif actuality != "actual":
        yield sheet.refuse("status", actuality)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        made = sheet.coded("condition", body.get("event"), actuality, span)
        value = sheet.standard(body.get("outcome")) or sheet.standard(body.get("seriousness"))
        yield msgspec.structs.replace(made, kind="adverse-event", value=value) if isinstance(made, Fact) else made

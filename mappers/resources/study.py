"""ResearchSubject: that somebody takes part in a study, and in which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import Json, objects, reference, text
from mappers.facts import Coding, Fact, Outcome
from mappers.resources.sheet import MAPPING, Sheet, Span, read_period

__all__ = ["map_research_subject"]

# of FHIR R4 research-subject-status: those who take part, or did
PART: Final = frozenset(
    {"follow-up", "off-study", "on-study", "on-study-intervention", "on-study-observation", "withdrawn"}
)
_CODE: Final = Coding("http://hl7.org/fhir/StructureDefinition/ResearchSubject", "study")


def map_research_subject(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact that somebody takes part: its value is the study's number, else its title."""
    body, status = sheet.body, text(sheet.body.get("status"))
    span = next((read_period(each) for each in objects(body.get("period"))[:1]), Span())
    written = reference(body.get("study"))
    if status not in PART:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif not written:
        yield sheet.refuse("no-code")
    else:
        study = sheet.linked.get(written) or sheet.linked.get(written.split("/_history/", 1)[0])
        if study is None:
            yield sheet.refuse("unresolved-reference", written)
        elif named := _named(study):
            arm = text(body.get("actualArm")) or text(body.get("assignedArm"))
            origin = sheet.origin
            yield Fact(
                "study", "research-study", _CODE, named, span.when, status, origin, MAPPING, span.until, text=arm
            )
        else:
            yield sheet.refuse("no-value", written)


def _named(study: Json) -> str:
    numbers = (text(each.get("value")) for each in objects(study.get("identifier")))
    return next((number for number in numbers if number), "") or text(study.get("title"))

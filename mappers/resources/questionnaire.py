"""QuestionnaireResponse: answers whose questions are coded, read like results; an uncoded question is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mappers.codes import SYSTEM
from mappers.elements import Json, number, objects, reference, text
from mappers.facts import Fact, Outcome
from mappers.resources.answer import Answer, read_boolean, read_text
from mappers.resources.answer import read_concept as read_answer
from mappers.resources.moment import read_moment
from mappers.resources.quantity import measured, read_integer, read_quantity
from mappers.resources.sheet import MAPPING, Sheet, Span, modifier_problem, read_span

__all__ = ["map_questionnaire_response"]

ANSWERED: Final = frozenset({"completed", "amended"})  # of FHIR R4 questionnaire-answers-status
_DEEPEST: Final = 16  # levels of items in items
_LOINC_FORM: Final = re.compile(r"https?://loinc\.org/q/\d{1,7}-\d")
_LOINC_LINK: Final = re.compile(r"(?:/\d{1,7}-\d)*/(\d{1,7}-\d)")


def map_questionnaire_response(sheet: Sheet) -> Iterator[Outcome]:
    """Yield a fact of the kind "measurement" for each answer, at the time when it was given.

    What is asked is told by the Questionnaire's item of the same linkId, where that came or is contained; a form of
    LOINC's own (http://loinc.org/q/…) has the LOINC code in its linkIds. A number of an item is no code.
    """
    body, status = sheet.body, text(sheet.body.get("status"))
    span = read_span({"authoredDateTime": body.get("authored")}, "authored")
    items = list(_items(objects(body.get("item")), "", 0))
    if status not in ANSWERED:
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    elif not items:
        yield sheet.refuse("no-value")
    else:
        asked = _questions(sheet)
        for path, item in items:
            yield from _answers(sheet, path, item, asked(text(item.get("linkId"))), status=status, span=span)


def _items(items: list[Json], path: str, depth: int) -> Iterator[tuple[str, Json]]:
    """List the items that have an answer, at any depth."""
    for index, item in enumerate(items if depth < _DEEPEST else []):
        here = f"{path}item[{index}]"
        answers = objects(item.get("answer"))
        if answers:
            yield here, item
        yield from _items(objects(item.get("item")), f"{here}.", depth + 1)
        for number_, answer in enumerate(answers):
            yield from _items(objects(answer.get("item")), f"{here}.answer[{number_}].", depth + 1)


def _questions(sheet: Sheet) -> Callable[[str], Any]:
    """Return what says of a linkId which concept is asked, `None` where nothing tells."""
    told = sheet.body.get("questionnaire")
    written = text(told) or reference(told)
    form = sheet.linked.get(written) or sheet.linked.get(written.split("|", 1)[0])
    if form is not None:
        codes = {text(item.get("linkId")): {"coding": item.get("code")} for item in _all(objects(form.get("item")), 0)}
        return codes.get
    if _LOINC_FORM.fullmatch(written.split("|", 1)[0]):
        return _loinc
    return lambda _: None


def _all(items: list[Json], depth: int) -> Iterator[Json]:
    for item in items if depth < _DEEPEST else []:
        yield item
        yield from _all(objects(item.get("item")), depth + 1)


def _loinc(link: str) -> Json | None:
    found = _LOINC_LINK.fullmatch(link)
    return {"coding": [{"system": SYSTEM["loinc"], "code": found[1]}]} if found else None


def _answers(sheet: Sheet, path: str, item: Json, asked: Any, *, status: str, span: Span) -> Iterator[Outcome]:
    found = sheet.codes.read(asked)
    if problem := modifier_problem(item):
        yield sheet.refuse(problem, path=path)
        return
    if not found.codings:
        yield sheet.refuse("no-code", text(item.get("text")), path)
        return
    for index, answer in enumerate(objects(item.get("answer"))):
        element = next((key for key in answer if key.startswith("value") and answer[key] is not None), "")
        place = f"{path}.answer[{index}]"
        read = _READERS.get(element)
        if element == "valueCoding":
            made = read_answer({"coding": [answer[element]]}, found, sheet.codes)
        else:
            made = read(answer[element], found) if read else "unsupported-value" if element else "no-value"
        if not isinstance(made, Answer):
            yield sheet.refuse_code(found, path=place) if made == "unknown-code" else sheet.refuse(made, path=place)
            continue
        fact = found.stamped(
            Fact(
                kind="measurement",
                name=made.name,
                code=made.code,
                value=made.value,
                when=span.when,
                status=status,
                origin=sheet.at(place),
                mapping=MAPPING,
                said=found.said(made.code),
                text=text(item.get("text")),
                original=made.original,
            )
        )
        yield made.answered.answering(fact) if made.answered else fact


def _read_decimal(value: Any, found: Any) -> Answer | str:
    """Read a decimal as a whole number where it is one: a score has no unit, and any other number needs one."""
    told = number(value)
    if told is None:
        return "bad-value"
    if told == told.to_integral_value():
        return read_integer(int(told), found)
    analytes = measured(found)
    return analytes if isinstance(analytes, str) else "no-unit"


_READERS: Final[Mapping[str, Callable[[Any, Any], Answer | str]]] = {
    "valueQuantity": read_quantity,
    "valueInteger": read_integer,
    "valueDecimal": _read_decimal,
    "valueString": read_text,
    "valueBoolean": read_boolean,
    "valueDate": read_moment,
    "valueDateTime": read_moment,
}

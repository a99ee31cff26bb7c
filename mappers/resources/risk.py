"""RiskAssessment: what somebody else says that may happen. What a device or a program says is no fact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.elements import Json, number, objects, reference, text
from mappers.facts import Coding, Fact, Outcome, Quantity
from mappers.resources.sheet import Sheet, Span, modifier_problem, read_span

__all__ = ["map_risk"]

KNOWN: Final = frozenset({"preliminary", "final", "amended", "corrected"})  # of FHIR R4 observation-status


def map_risk(sheet: Sheet) -> Iterator[Outcome]:
    """Yield a fact for each prediction of a person: its code is the outcome, its value how likely that is.

    One that a Device asserts is a model's, like what bears the label AIAST, and refused as such.
    """
    body, status = sheet.body, text(sheet.body.get("status"))
    span = read_span(body, "occurrence")
    predictions = objects(body.get("prediction"))
    if _by_device(sheet):
        yield sheet.refuse("simulated")
    elif status not in KNOWN:
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    elif not predictions:
        yield sheet.refuse("no-value")
    else:
        for index, prediction in enumerate(predictions):
            yield from _prediction(sheet, f"prediction[{index}]", prediction, status, span)


def _by_device(sheet: Sheet) -> bool:
    """Say whether a device, which a program is in FHIR, made it."""
    for performer in objects(sheet.body.get("performer")):
        written = reference(performer)
        told = text(performer.get("type")) or text(sheet.linked.get(written, {}).get("resourceType"))
        if told == "Device" or written.split("/")[-2:-1] == ["Device"]:
            return True
    return False


def _prediction(sheet: Sheet, path: str, prediction: Json, status: str, span: Span) -> Iterator[Outcome]:
    if problem := modifier_problem(prediction):
        yield sheet.refuse(problem, path=path)
        return
    part = sheet.part(prediction, path)
    made = part.coded("condition", prediction.get("outcome"), status, span)
    value = _likelihood(part)
    if isinstance(made, Fact) and isinstance(value, str):
        yield part.refuse(value)
    else:
        yield msgspec.structs.replace(made, kind="risk", value=value) if isinstance(made, Fact) else made


def _likelihood(part: Sheet) -> Quantity | Coding | str:
    """Read how likely it is: a number in percent, else a coded word; or the reason why neither.

    FHIR R4 says that the decimal is a percentage (RiskAssessment.prediction.probability[x], comments), and many write
    a share of one all the same: of what is at most 1 nobody can tell which.
    """
    share = part.body.get("probabilityDecimal")
    word = part.standard(part.body.get("qualitativeRisk"))
    if share is None:
        if part.body.get("probabilityRange") is not None:
            return "unsupported-value"
        return word or "no-value"
    told = number(share)
    if told is None or not 0 <= told <= 100:
        return "bad-value"
    return Quantity(told, "%") if told > 1 or told == 0 else word or "no-unit"

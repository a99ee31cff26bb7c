"""`Patient/$match`: who, among the patients whom the caller sees, somebody may be (FHIR R4, Patient-match)."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.writing.bodies import read_body
from gateway.api.writing.candidates import patients_like
from gateway.api.writing.parameters import parts_of
from mappers.identity import read_person
from mappers.matching import Found, match_people

__all__ = ["OFFERS", "match"]

_GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
_TAKEN: Final = {"resource": "resource", "onlyCertainMatches": "valueBoolean", "count": "valueInteger"}
_MOST: Final = 100
_CERTAIN: Final = "certain"

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def match(call: Call) -> Reply:
    """Compare somebody with the patients whom the caller sees, by the rules by which the project joins people."""
    call.view.demand("s", "Patient")
    if call.parameters:
        raise Refusal(400, "not-supported", "The parameters of this operation are posted.")
    told = parts_of(read_body(call.body, "Parameters"), _TAKEN)
    patient, only, count = told.get("resource"), told.get("onlyCertainMatches", False), told.get("count", _MOST)
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise Refusal(400, "required", "Say whom you look for: a Patient, as the parameter resource.")
    if not isinstance(only, bool) or not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise Refusal(400, "value", "onlyCertainMatches is true or false, and count a number above nought.")
    return await run_in_threadpool(_matched, call, patient, only, min(count, _MOST))


def _matched(call: Call, patient: dict[str, Any], only: bool, count: int) -> Reply:
    person = read_person(patient, "")
    found: list[tuple[str, float, Shown]] = []
    for shown in patients_like(call, call.view, person):
        compared = match_people(person, read_person(shown.body, ""))
        grade = _grade(compared)
        if grade:
            found.append((grade, _score(compared.bits), shown))
    found.sort(key=lambda each: (each[0] != _CERTAIN, -each[1], each[2].id))
    if only:
        certain = [each for each in found if each[0] == _CERTAIN]
        found = certain if len(certain) == 1 else []
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found[:count])}
    if found:
        bundle["entry"] = [_entry(call.base, *each) for each in found[:count]]
    leaves = {shown.twin: (shown.reference,) for _, _, shown in found[:count]}
    return Reply(body=_encode(bundle), found=leaves)


def _grade(found: Found) -> str:
    """Say how sure it is: by a shared number that nothing contradicts, by likelihood, or for a person to decide."""
    if found.verdict == "same":
        return _CERTAIN if found.likeness is None else "probable"
    return "possible" if found.verdict in ("possible", "conflict") else ""


def _score(bits: float) -> float:
    """Turn the weight of evidence into a probability, to three digits."""
    return round(1 / (1 + 2 ** -max(-50.0, min(50.0, bits))), 3)


def _entry(base: str, grade: str, score: float, shown: Shown) -> dict[str, Any]:
    return {
        "fullUrl": f"{base}/{shown.reference}",
        "resource": msgspec.Raw(shown.raw),
        "search": {"extension": [{"url": _GRADE, "valueCode": grade}], "mode": "match", "score": score},
    }


OFFERS = (
    Offer(
        method="POST",
        path="/Patient/$match",
        interaction="operation",
        answer=match,
        event="operation",
        types=("Patient",),
        name="match",
        definition="http://hl7.org/fhir/OperationDefinition/Patient-match",
    ),
)

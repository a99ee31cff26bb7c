"""A warning as an EHR can hold it: a DetectedIssue, else a Flag, else a Communication, whichever its server creates.

A DetectedIssue says "a possible issue was found" and stays a finding of its moment. A Flag stands at the patient until
its period ends; ours ends with the window of the warning, so that it never outlives what it warns of. A Communication
is the least: the words, and when they were sent. None of them is final: a person has to judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from html import escape
from typing import Final, Literal, get_args

from mappers.outbound import shape
from mappers.outbound.names import result_uuid
from mappers.outbound.result import Attention, Result
from mappers.outbound.shape import Frame, Resource
from mappers.outbound.times import instant
from mappers.outbound.words import statement
from mappers.versions import FhirVersion

__all__ = ["Form", "choose_form", "write_attention"]

Form = Literal["DetectedIssue", "Flag", "Communication"]
_FORMS: Final[tuple[Form, ...]] = get_args(Form)

# communication-category of R4 and later; DSTU2 and STU3 have no system for it, there the word alone says it.
_ALERT: Final = {"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "alert"}


def choose_form(creatable: Collection[str]) -> Form | None:
    """Choose the first form of which the server says that it can be created; `None` where it takes none of them."""
    return next((form for form in _FORMS if form in creatable), None)


def write_attention(result: Result, attention: Attention, form: Form, version: FhirVersion, frame: Frame) -> Resource:
    """Write a warning in one form and one FHIR version."""
    uuid = result_uuid(result.run, f"attention/{attention.name}")
    name = shape.identifier(uuid)
    return {
        "resourceType": form,
        "meta": shape.meta(uuid),  # found by its tag: a Flag of DSTU2 has no search by identifier
        "text": _narrative(result, attention),
        # DetectedIssue.identifier is 0..1 until STU3 (published StructureDefinitions of DSTU2 to R5)
        "identifier": name if form == "DetectedIssue" and version in ("dstu2", "stu3") else [name],
        **_WRITERS[form](result, attention, version, frame),
    }


def _detected_issue(result: Result, attention: Attention, version: FhirVersion, frame: Frame) -> Resource:
    concept = shape.concept(attention.code, attention.title)
    written: Resource = {
        "patient": {"reference": frame.patient},
        "severity": attention.severity,
        "detail": _said(result, attention),
        "author": {"reference": frame.device},
    }
    if version == "dstu2":
        return written | {"category": concept, "date": instant(result.made_at)}
    if version == "stu3":
        return written | {"status": "preliminary", "category": concept, "date": instant(result.made_at)}
    written |= {"status": "preliminary", "code": concept, "identifiedDateTime": instant(result.made_at)}
    if version == "r5":  # patient has become subject
        written["subject"] = written.pop("patient")
    return written


def _flag(result: Result, attention: Attention, version: FhirVersion, frame: Frame) -> Resource:
    return {
        "status": "active",
        "code": shape.concept(attention.code, f"{attention.title}. {_said(result, attention)}"),
        "subject": {"reference": frame.patient},
        "period": {"start": instant(result.made_at), "end": instant(attention.ends)},
        "author": {"reference": frame.device},
    }


def _communication(result: Result, attention: Attention, version: FhirVersion, frame: Frame) -> Resource:
    category = {"text": "Alert"} if version in ("dstu2", "stu3") else {"coding": [_ALERT], "text": "Alert"}
    words = f"{attention.title}. {_said(result, attention)}"
    return {
        "status": "completed",
        "category": category if version == "dstu2" else [category],
        "subject": {"reference": frame.patient},
        "sent": instant(result.made_at),
        "sender": {"reference": frame.device},
        # R5 has no contentString any more: words alone are a concept without a code
        "payload": [{"contentCodeableConcept": {"text": words}} if version == "r5" else {"contentString": words}],
    }


_WRITERS: Final[dict[Form, Callable[[Result, Attention, FhirVersion, Frame], Resource]]] = {
    "DetectedIssue": _detected_issue,
    "Flag": _flag,
    "Communication": _communication,
}


def _said(result: Result, attention: Attention) -> str:
    window = f"Expected between {instant(attention.begins)} and {instant(attention.ends)}."
    return f"{attention.said} {window} {statement(result)}"


def _narrative(result: Result, attention: Attention) -> Resource:
    said = escape(f"{attention.title}. {_said(result, attention)}", quote=False)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{said}</p></div>'}

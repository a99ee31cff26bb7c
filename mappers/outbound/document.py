"""A result as a document: what every EHR can file where it takes nothing that its machines could read.

All that the resources would say stands in it as text: the numbers with their intervals and periods, the inputs with the
versions that were used, what was assumed, the limits. The same result gives the same bytes: its only time is that of
the run.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Final, Literal

from mappers.outbound import shape
from mappers.outbound.ladder import DOCUMENT
from mappers.outbound.names import result_uuid
from mappers.outbound.paper import as_pdf, can_print
from mappers.outbound.result import Result, ResultOutput
from mappers.outbound.shape import Frame, Resource
from mappers.outbound.times import instant
from mappers.outbound.words import coded, hypothetical, model_name, nature, review, told, traced
from mappers.versions import FhirVersion

__all__ = ["Paper", "document_uuid", "write_document"]

Paper = Literal["pdf", "text"]
"""How a document is written: as PDF, which every EHR shows, or as plain text, which it also can search."""

# No code: those of LOINC for documents are of notes that clinicians write, and by them an EHR files it among these.
_TYPE: Final = {"text": "Simulation result (not measured)"}
_RELATIONSHIPS: Final = "http://hl7.org/fhir/document-relationship-type"
_COMPOSITION_STATUS: Final = "http://hl7.org/fhir/composition-status"
_TEXT: Final = "text/plain; charset=UTF-8"


def document_uuid(result: Result) -> str:
    """Name the document of a result."""
    return result_uuid(result.run, "document")


def write_document(
    result: Result, version: FhirVersion, frame: Frame, *, paper: Paper = "pdf", replaces: tuple[str, ...] = ()
) -> Resource:
    """Write a result as a document and the DocumentReference that holds it.

    A text with letters that the PDF's font has not goes as plain text, where each of them stands. `replaces` are
    references to older documents of ours at the same EHR.
    """
    uuid = document_uuid(result)
    made = instant(result.made_at)
    written: Resource = {
        "resourceType": DOCUMENT,
        "meta": shape.meta(uuid, hypothetical=bool(result.hypothesis)),
        "text": shape.narrative(result, result.outputs),
        "identifier": [shape.identifier(uuid)],
        "status": "current",
        "docStatus": "preliminary",
        "type": _TYPE,
        "subject": {"reference": frame.patient},
        "author": [{"reference": frame.device}],
        "description": f"{hypothetical(result, result.title)}. {nature(result)}",
        "content": [{"attachment": _attachment(result, version, frame, paper)}],
    }
    if replaces:
        code = {"coding": [{"system": _RELATIONSHIPS, "code": "replaces"}]} if version == "r5" else "replaces"
        written["relatesTo"] = [{"code": code, "target": {"reference": each}} for each in replaces]
    if version == "dstu2":
        written["docStatus"] = {"coding": [{"system": _COMPOSITION_STATUS, "code": "preliminary"}]}
    if version in ("dstu2", "stu3"):
        return written | {"created": made, "indexed": made}
    return written | {"date": made}


def _attachment(result: Result, version: FhirVersion, frame: Frame, paper: Paper) -> Resource:
    """Write the document itself. `hash` is SHA-1 in all five versions ("Hash of the data (sha-1, base64ed)")."""
    parts = _parts(result, frame)
    whole = [("", [_title(result)]), *parts]
    told = "\n\n".join("\n".join([name, *lines] if name else lines) for name, lines in whole) + "\n"
    if paper == "pdf" and can_print(told):
        kind, content = "application/pdf", as_pdf(_title(result), parts, result.made_at)
    else:
        kind, content = _TEXT, told.encode()
    size = len(content)
    return {
        "contentType": kind,
        "language": "en",
        "data": b64encode(content).decode(),
        "size": str(size) if version == "r5" else size,  # R5's integer64 is text in JSON (json.html#primitive)
        "hash": b64encode(sha1(content, usedforsecurity=False).digest()).decode(),
        "title": _title(result),
        "creation": instant(result.made_at),
    }


def _title(result: Result) -> str:
    return f"Simulated, not measured: {hypothetical(result, result.title)}"


def _line(result: Result, output: ResultOutput) -> str:
    """Tell an output with its code; what is only tried has none, for who looks for codes reads no conditions."""
    return " ".join(filter(None, (told(output), "" if result.hypothesis else coded(output))))


def _parts(result: Result, frame: Frame) -> list[tuple[str, list[str]]]:
    """Lay the document out: headings, each with its lines."""
    begins = "Taken to begin at" if result.hypothesis else "Speaks of"
    parts = [
        ("", [nature(result)]),
        ("Patient", [frame.patient]),
        ("What the model found", [_line(result, each) for each in result.outputs]),
        ("Time", [f"{begins} {result.valid_at}", f"Run at {instant(result.made_at)}"]),
        ("From", [traced(each) for each in result.inputs]),
        ("Assumed", list(result.assumptions)),
        ("Limits", [result.limits] if result.limits else []),
        ("Model", [model_name(result), *([result.citation] if result.citation else [])]),
        ("Written by", [frame.sender]),
        ("", [review(result)]),
    ]
    return [(name, lines) for name, lines in parts if lines]

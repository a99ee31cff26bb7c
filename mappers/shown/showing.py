"""The way of one resource: read, put into R4, cleaned, with our id, our references and a meta of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mappers.elements import Json, items
from mappers.open_mhealth.header import is_point
from mappers.reading import Unreadable, read_json
from mappers.references import subject_of
from mappers.shown.cleaning import Cleaning
from mappers.shown.definitions import parts, resources
from mappers.shown.findings import Broken, Lost
from mappers.shown.naming import Naming, system_of
from mappers.versions import FhirVersion
from mappers.versions.convert import convert

__all__ = ["REASONS", "Made", "Withheld", "show"]

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unreadable": "It is no JSON that we read. See twin refusals.",
        "no-version": "Nobody told in which FHIR version it is written. Set version in [sources].",
        "no-point": "It is a data point of Open mHealth and no FHIR. Its facts are in twin show.",
        "no-type": "R4 has no such type, or it is none that we show.",
        "document": "It is a document: what stands in it is shown, entry by entry.",
        "of-nobody": "It belongs to no patient that we know, and is of no type that is shown for all.",
        "another-patient": "The twin has a Patient that was updated later; that one is shown, with all identifiers.",
        "own-result": "It is a result of ours that came back from the EHR. It is shown once, from its run.",
        "other-subject": "Its R4 form does not name the patient whose it is.",
        "meaning-lost": "On the way into R4 something is lost that changes what it says (a modifier, a status).",
        "missing": "An element is missing that R4 demands.",
        "bad-value": "An element that matters has a value that its type does not allow (a date, a number, a code).",
        "code": "An element that matters has a code that R4 does not allow there.",
        "two-values": "It has two values where R4 allows one.",
        "cardinality": "It has several where R4 allows one.",
        "invariant": "It breaks a rule between elements that R4 demands (the path ends with its name).",
        "target": "A reference that matters leads to a type that R4 does not allow there.",
        "dangling": "It refers to a contained resource that is not in it.",
        "contained": "A contained resource in it is none that R4 allows.",
        "unknown-modifier": "It has a modifier extension that is broken: what it says may be the opposite.",
        "implicit-rules": "It is to be read by rules that we do not know (implicitRules).",
        "narrative": "What it says stands in its narrative alone, and that is no XHTML that FHIR allows.",
        "security-label": "It has a security label that is broken, or stands where R4 has none.",
        "relative-system": "A code or an identifier that matters is of a system that has no absolute name.",
        "unit": "A value has a unit that is no code of UCUM, and says it in no other way.",
        "address": "An address of the EHR stands where its meaning depends on it.",
        "extension": "An extension is broken.",
        "empty": "Something that matters is empty.",
        "too-deep": "It is nested too deeply.",
        "other-version": "An extension for an element of another FHIR version: R4's validators refuse it.",
        "unknown-element": "R4 has no such element there.",
    }
)
"""Why a resource is not shown, or an element of one is left out. Stable words; the text is for people."""

_INDEX: Final = re.compile(r"\[\d+\]")
_CLINICAL: Final = (
    *("value", "component", "status", "implicitRules", "effective", "onset", "abatement", "performed", "occurrence"),
    *("deceased", "dosage", "dose", "doNotPerform"),
)
_DECISIVE: Final = frozenset({"status", "comparator", "intent", "negated", "notDone"})
_FIRST: Final = ("subject", "patient", "beneficiary", "for", "individual")


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a resource is not shown: a key of `REASONS`, and the place in it."""

    reason: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A resource as it is shown, and what was left out of it."""

    body: dict[str, Any]
    lost: tuple[Lost, ...]


def show(
    raw: bytes, version: FhirVersion | None, naming: Naming, key: str, *, number: int, updated: str
) -> Made | Withheld:
    """Turn the bytes of one version of a resource into what is shown, or say why it is not.

    `key` is its name in the source ("Observation/12"), `number` and `updated` are its version with us and when it came,
    as FHIR writes an instant.
    """
    try:
        told: Json = read_json(raw)
    except Unreadable:
        return Withheld("unreadable")
    if is_point(told):
        return Withheld("no-point")
    if version is None:
        return Withheld("no-version")
    subject = "" if naming.apart else subject_of(told) or ""  # in a document, only who the document is about
    if told["resourceType"] == "Bundle":
        return Withheld("document")
    lost: list[Lost] = []
    if version != "r4":
        converted = convert(told, version, "r4")
        if converted.resource is None:
            return Withheld("no-type")
        for step in converted.changes:
            if step.what not in ("lost", "extension") or step.why == "empty":
                continue  # what an extension of another version keeps, R4's readers do not read
            place = step.path.partition(".")[2]
            if _matters(place):
                return Withheld("meaning-lost", place)
            if step.what == "lost":
                lost.append(Lost("unknown-element", place))
        told = converted.resource
    kind = str(told["resourceType"])
    if kind not in resources():
        return Withheld("no-type")
    cleaning = Cleaning(naming, subject)
    try:
        meta = _meta(told.get("meta"), cleaning, naming.source, number, updated)
        body = cleaning.resource(told, kind)
    except Broken as problem:
        return Withheld("empty" if problem.reason == "blank" else problem.reason, problem.path)
    if naming.twin and kind != "Patient" and not _is_of(body, naming.twin, kind):
        return Withheld("other-subject")
    made = {"resourceType": kind, "id": naming.id_of(key, kind), "meta": meta, **body}
    return Made(made, (*lost, *cleaning.lost))


def _matters(place: str) -> bool:
    """Say whether a resource without what stood at a place may say another thing."""
    names = _INDEX.sub("", place).split(".")
    return names[0].startswith(_CLINICAL) or names[-1] in _DECISIVE or "modifierExtension" in names


def _is_of(body: Json, twin: str, kind: str) -> bool:
    """Say whether a resource names its patient, where its type has an element for that."""
    named = [body[each] for each in _FIRST if each in body]
    if not named:
        return not any(each in parts()[kind].named for each in _FIRST)
    return any(isinstance(each, dict) and each.get("reference") == f"Patient/{twin}" for each in named)


def _meta(told: Any, cleaning: Cleaning, source: str, number: int, updated: str) -> dict[str, Any]:
    """Write our meta: version and time with us, the source by its short name; labels and tags as they came.

    No profile is claimed: what the EHR claimed was of its resource, and is not checked here.
    """
    made: dict[str, Any] = {"versionId": str(number), "lastUpdated": updated, "source": system_of(source)}
    if isinstance(told, dict):
        if labels := [cleaning.label(each) for each in items(told.get("security"))]:
            made["security"] = labels
        if tags := [tag for each in items(told.get("tag")) if (tag := cleaning.tag(each))]:
            made["tag"] = tags
    return made

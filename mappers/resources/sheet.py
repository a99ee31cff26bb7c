"""One resource on the desk: in R4 shape, where it stands, what it refers to; and what all mappers do with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from mappers.codes import BUILT_IN, SYSTEM, Codes, Concept, codings, current_system, first_standard
from mappers.concepts import name_of
from mappers.elements import Json, items, objects, reference, text
from mappers.facts import Coding, Fact, Kind, Origin, Refusal, Value
from mappers.rows import read_table
from mappers.when import When, read_when

__all__ = [
    "MAPPING",
    "Sheet",
    "Span",
    "code_in",
    "is_about_another",
    "is_simulated",
    "modifier_problem",
    "read_period",
    "read_span",
]

MAPPING: Final = "4"
"""Version of the mapping rules. It changes whenever the same bytes would become other facts."""

_TABLE: Final = read_table("modifiers")
_MODIFIERS: Final = {row["url"]: row["yes"] for row in _TABLE["modifier"]}
_CODED: Final = {row["url"]: row for row in _TABLE["coded"]}
_ELEMENTS: Final[Mapping[str, Mapping[str, str]]] = _TABLE["elements"]


class Span(msgspec.Struct, frozen=True, gc=False):
    """From when to when; `problem` is a reason where a time stands there that is none."""

    when: When | None = None
    until: When | None = None
    problem: str = ""
    said: str = ""


_NO_SPAN: Final = Span()


class Sheet(msgspec.Struct, frozen=True):
    """One resource. `linked` maps a reference, as written, to the resource that it names, contained ones included.

    `codes` are the tables by which its codes are read.
    """

    body: Json
    origin: Origin
    linked: Mapping[str, Json]
    codes: Codes = BUILT_IN

    def at(self, path: str) -> Origin:
        """Say where a part of the resource stands."""
        if not path:
            return self.origin
        o = self.origin
        return Origin(o.source, o.type, o.id, o.version, o.place, f"{o.path}.{path}" if o.path else path)

    def part(self, body: Json, path: str) -> Sheet:
        """Lay a part of the resource on the desk, with the same tables and what it refers to."""
        return Sheet(body, self.at(path), self.linked, self.codes)

    def standard(self, concept: Any) -> Coding | None:
        """Return the first code of a concept that others understand, and that says just what was told."""
        return first_standard(self.codes.read(concept).equal)

    def chosen(self, concepts: Any) -> Json | None:
        """Choose the first of several concepts that others understand, else the first."""
        found = objects(concepts)
        known = (each for each in found if first_standard(self.codes.read(each).codings))
        return next(known, found[0] if found else None)

    def refuse(self, reason: str, said: object = "", path: str = "") -> Refusal:
        """Refuse the resource, or a part of it."""
        return Refusal(reason, self.at(path), said if isinstance(said, str) else "")

    def refuse_code(self, concept: Concept, said: object = "", path: str = "") -> Refusal:
        """Refuse what has no code that we understand, and say which ones it has."""
        if not concept.codings:
            return self.refuse("no-code", said, path)
        reason = "narrower-code" if concept.narrower else "unmatched-code" if concept.unmatched else "unknown-code"
        return Refusal(reason, self.at(path), said if isinstance(said, str) else "", concept.codings)

    def coded(
        self, kind: Kind, concept: Any, status: str, span: Span, *, value: Value = None, note: str = ""
    ) -> Fact | Refusal:
        """Make a fact of something coded (a condition, a medicine …); its name is "" where the tables have none."""
        told = self.codes.read(concept)
        name, code = _name_of(kind, told)
        if code is None:
            return self.refuse_code(told, told.text)
        spoken = note or told.text
        fact = Fact(
            kind=kind,
            name=name,
            code=code,
            value=value,
            when=span.when,
            until=span.until,
            status=status,
            origin=self.origin,
            mapping=MAPPING,
            said=told.said(code),
            text="" if spoken == code.display else spoken,
        )
        return told.stamped(fact) if told.rows else fact


@lru_cache(maxsize=8192)
def _name_of(kind: Kind, concept: Concept) -> tuple[str, Coding | None]:
    code = first_standard(concept.codings)
    if code is None and concept.narrower:  # without a name: no model takes it for what it may not be
        code = concept.narrower[0]
    return name_of(kind, concept.codings) or ("", code)


def read_span(body: Json, stem: str) -> Span:
    """Read a time of any type ("effective" is effectiveDateTime …). A period without a start has no time."""
    date_time, instant, period_, timing_ = _elements_of(stem)
    if (told := body.get(date_time)) is not None or (told := body.get(instant)) is not None:
        when = read_when(told)
        return Span(when) if when else Span(problem="bad-date", said=text(told))
    for period in objects(body.get(period_))[:1]:
        return read_period(period)
    for timing in objects(body.get(timing_))[:1]:
        return _read_timing(timing)
    return _NO_SPAN


def _read_timing(timing: Json) -> Span:
    """Read a Timing: from its first event to its last, else its bounds where those are a Period.

    What only repeats ("twice a day") has no time: none is made up.
    """
    whens = []
    for told in items(timing.get("event")):
        when = read_when(told)
        if when is None:
            return Span(problem="bad-date", said=text(told))
        whens.append(when)
    if whens:
        last = max(whens, key=lambda when: (when.latest, when.earliest))
        return Span(min(whens), last if len(whens) > 1 else None)
    bounds = [period for repeat in objects(timing.get("repeat")) for period in objects(repeat.get("boundsPeriod"))]
    return read_period(bounds[0]) if bounds else _NO_SPAN


@lru_cache(maxsize=64)
def _elements_of(stem: str) -> tuple[str, str, str, str]:
    return f"{stem}DateTime", f"{stem}Instant", f"{stem}Period", f"{stem}Timing"


def read_period(period: Json) -> Span:
    """Read a Period; one that ends before it begins is none (FHIR R4 per-1)."""
    bounds: list[When | None] = []
    for told in (period.get("start"), period.get("end")):
        bound = read_when(told)
        if told is not None and bound is None:
            return Span(problem="bad-date", said=text(told))
        bounds.append(bound)
    start, end = bounds
    if start and end and end.is_before(start):
        return Span(problem="bad-date", said=f"{start} to {end}")
    return Span(start, end if start else None)


def code_in(concept: Any, system: str) -> str:
    """Return the code that a CodeableConcept has in one of our systems (by its short name), "" where it has none."""
    return next((coding.code for coding in codings(concept) if coding.system == SYSTEM[system]), "")


def is_simulated(body: Json) -> bool:
    """Say whether a model or an AI made it: the security label AIAST, or our own tag."""
    for meta in objects(body.get("meta"))[:1]:
        if "security" not in meta and "tag" not in meta:
            return False
        for label in objects(meta.get("security")):
            if (
                label.get("code") == "AIAST"
                and current_system(text(label.get("system"))) == SYSTEM["observation-value"]
            ):
                return True
        for tag in objects(meta.get("tag")):
            if tag.get("system") == "urn:fhirtwin:tag" and tag.get("code") == "simulated":
                return True
    return False


def is_about_another(body: Json) -> bool:
    """Say whether its focus is not the patient of record: Observation.focus (from R4 on), Procedure.focus (R5)."""
    if "focus" in body:
        subject = reference(body.get("subject"))
        if any(reference(focus) != subject for focus in objects(body["focus"])):
            return True
    return "extension" in body and any(text(e.get("url")).endswith("focal-subject") for e in objects(body["extension"]))


def modifier_problem(body: Json) -> str:
    """Return the reason for which a modifier or implicit rules forbid to take it as it reads, or ""."""
    if body.get("implicitRules"):
        return "unknown-modifier"
    for element, reason in _ELEMENTS.get(text(body.get("resourceType")), {}).items():
        if body.get(element) not in (None, False):
            return reason
    if "modifierExtension" not in body:
        return ""
    for extension in items(body["modifierExtension"]):
        if problem := _said_by(extension) if isinstance(extension, dict) else "unknown-modifier":
            return problem
    return ""


def _said_by(extension: Json) -> str:
    """Return the reason for which one modifier extension forbids to take it as it reads, or ""."""
    url = text(extension.get("url"))
    if url in _CODED:
        told = text(extension.get("valueCode"))
        return "" if told in _CODED[url]["holds"] else _CODED[url]["else"]
    answers = set(_answers(extension, 4))
    if answers == {False} and url in _MODIFIERS:
        return ""
    return _MODIFIERS.get(url, "unknown-modifier") if answers == {True} else "unknown-modifier"


def _answers(extension: Json, depth: int) -> Iterator[bool | None]:
    """List what an extension says, yes or no, itself or in extensions inside; `None` for anything else."""
    for element, value in extension.items():
        if element.startswith("value"):
            yield value if isinstance(value, bool) else None
    for inner in objects(extension.get("extension")) if depth else ():
        yield from _answers(inner, depth - 1)

"""The conditions of a provision: who, what for, which deed, which data, when. Each is met, not met, or cannot be told.

Within one element any of its values will do, and all elements that are there have to be met: R4 says so of class
("or'ed together") and calls an absent element "all actions", "all data", "no specific actor".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Protocol

from security.consent.question import Met, Question, references_in
from security.consent.when import Span, within
from security.purposes import ACT_REASON, covers, is_known
from security.sensitivity import LEVELS, Labels, classes_denied_by, classes_permitted_by

__all__ = [
    "AUTHORS",
    "ActionIs",
    "Actor",
    "ActorIs",
    "ClassIs",
    "CodeIs",
    "Condition",
    "DataIs",
    "DataOf",
    "InForce",
    "LabelIs",
    "PurposeIs",
    "Target",
]

_RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
_ICD10: Final = frozenset({"http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"})

RECIPIENTS: Final = frozenset(
    {"IRCP", "PRCP", "REFT", "TRC", "GRANTEE", "DELEGATEE", "humanuser", "datacollector", "dataprocessor"}
)
"""Roles in which an actor is who asks: v3-ParticipationType, v3-RoleCode and extra-security-role-type."""
AUTHORS: Final = frozenset({"AUT", "INF", "PRIMAUTH", "COAUTH", "TRANS"})
"""Roles in which an actor is who wrote the data, not who asks."""

_AUTHOR_KEYS: Final = (
    *("author", "recorder", "asserter", "performer", "requester", "informant", "informationSource", "participant"),
    *("source", "resultsInterpreter", "sender", "enterer", "attester"),
)

_DEEDS: Final[Mapping[str, Mapping[str, Met]]] = {
    # consentaction, 4.0.1: access is retrieval without more; correct is retrieval in order to update
    "r": {"access": Met.YES, "collect": Met.MAYBE, "use": Met.MAYBE, "disclose": Met.MAYBE},
    "s": {"access": Met.YES, "collect": Met.MAYBE, "use": Met.MAYBE, "disclose": Met.MAYBE},
    "u": {"correct": Met.YES, "access": Met.MAYBE},
    "d": {"correct": Met.YES, "access": Met.MAYBE},
    "c": {"collect": Met.YES, "correct": Met.YES, "access": Met.MAYBE},
    "use": {"use": Met.YES, "access": Met.YES, "collect": Met.MAYBE},
    "disclose": {"disclose": Met.YES, "access": Met.MAYBE, "use": Met.MAYBE},
}
_ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})


class Condition(Protocol):
    """One element of a provision."""

    @property
    def name(self) -> str:
        """The element's name in FHIR."""
        ...

    @property
    def said(self) -> str:
        """What it asks for, in words."""
        ...

    def met(self, question: Question) -> Met:
        """Say whether it is met."""
        ...


@dataclass(frozen=True, slots=True)
class InForce:
    """Now is within `period`."""

    period: Span
    name: str = "period"

    @property
    def said(self) -> str:
        """From when until when."""
        return _said_span(self.period)

    def met(self, question: Question) -> Met:
        """Compare with now: both ends belong to it."""
        return Met.YES if self.period.first <= question.now <= self.period.last else Met.NO


@dataclass(frozen=True, slots=True)
class PurposeIs:
    """The purpose is one of these, or a kind of one."""

    codes: tuple[tuple[str, str], ...]
    name: str = "purpose"

    @property
    def said(self) -> str:
        """The purposes."""
        return ", ".join(code for _, code in self.codes)

    def met(self, question: Question) -> Met:
        """Compare within HL7's hierarchy; another system's code may be any purpose."""
        found = Met.NO
        for system, code in self.codes:
            if system == ACT_REASON and is_known(code):
                if covers(code, question.asker.purpose):
                    return Met.YES
            else:
                found = Met.MAYBE
        return found


@dataclass(frozen=True, slots=True)
class ActionIs:
    """The deed is one of these; each entry is the codes of one CodeableConcept."""

    codes: tuple[tuple[str, ...], ...]
    name: str = "action"

    @property
    def said(self) -> str:
        """The actions."""
        return ", ".join("/".join(concept) or "in words" for concept in self.codes)

    def met(self, question: Question) -> Met:
        """Look it up; an action that is not one of HL7's five may be any."""
        known = _DEEDS[question.deed]
        return max(
            max((known.get(code, Met.NO) if code in _ACTIONS else Met.MAYBE for code in concept), default=Met.MAYBE)
            for concept in self.codes
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is meant: the codes of a role, with a reference or an identifier."""

    roles: frozenset[str]
    reference: str
    identifier: str


@dataclass(frozen=True, slots=True)
class ActorIs:
    """One of these asks, or, where the role is an author's, one of these wrote the data."""

    actors: tuple[Actor, ...]
    name: str = "actor"

    @property
    def said(self) -> str:
        """Who, in which role."""
        return ", ".join(f"{'/'.join(sorted(a.roles)) or '?'} {a.reference or a.identifier}" for a in self.actors)

    def met(self, question: Question) -> Met:
        """Compare with who asks; whoever has the data, or another role, cannot be told from here."""
        return max(self._one(actor, question) for actor in self.actors)

    def _one(self, actor: Actor, question: Question) -> Met:
        if actor.roles & RECIPIENTS:
            return _asks(actor, question)
        if actor.roles & AUTHORS:
            return _written_by(question, frozenset({actor.reference})) if actor.reference else Met.MAYBE
        return Met.MAYBE


def _asks(actor: Actor, question: Question) -> Met:
    asker = question.asker
    if actor.reference in asker.references or (actor.identifier and actor.identifier in asker.identifiers):
        return Met.YES
    if actor.identifier:
        known = actor.identifier.startswith(("urn:fhirtwin:client|", "urn:fhirtwin:user|"))
        return Met.NO if known and not actor.reference else Met.MAYBE
    type_ = actor.reference.partition("/")[0]
    return Met.NO if type_ in asker.kinds and actor.reference.count("/") == 1 else Met.MAYBE


@dataclass(frozen=True, slots=True)
class ClassIs:
    """The resource is of one of these types or profiles."""

    codes: tuple[tuple[str, str], ...]
    name: str = "class"

    @property
    def said(self) -> str:
        """The types."""
        return ", ".join(code for _, code in self.codes)

    def met(self, question: Question) -> Met:
        """Compare type and `meta.profile`; a kind of document, or a profile that is not claimed, cannot be told."""
        item, found = question.item, Met.NO
        for system, code in self.codes:
            if system == _RESOURCE_TYPES:
                if code == item.type:
                    return Met.YES
                if code in item.contained or item.body is None:
                    found = Met.MAYBE
            elif code.startswith("http") and code in _profiles(question):
                return Met.YES
            else:
                found = Met.MAYBE
        return found


def _profiles(question: Question) -> list[str]:
    meta = (question.item.body or {}).get("meta")
    told = meta.get("profile") if isinstance(meta, Mapping) else None
    return [str(each).partition("|")[0] for each in told] if isinstance(told, list) else []


@dataclass(frozen=True, slots=True)
class CodeIs:
    """One of these codes stands in the resource; each entry is the codings of one CodeableConcept."""

    concepts: tuple[tuple[tuple[str, str], ...], ...]
    name: str = "code"

    @property
    def said(self) -> str:
        """The codes."""
        return ", ".join("/".join(code for _, code in concept) or "in words" for concept in self.concepts)

    def met(self, question: Question) -> Met:
        """Look for them anywhere in it; a category of ICD-10 may mean all that is below it."""
        item = question.item
        if item.body is None or any(
            not concept or not all(system for system, _ in concept) for concept in self.concepts
        ):
            found = Met.MAYBE
        else:
            found = Met.NO
        for concept in self.concepts:
            for system, code in concept:
                if (system, code) in item.codes:
                    return Met.YES
                if system in _ICD10 and any(s == system and c.startswith(code) for s, c in item.codes):
                    found = Met.MAYBE
        return found


@dataclass(frozen=True, slots=True)
class LabelIs:
    """The resource is as confidential, or of a class, as told. `denies`: what is near counts, too.

    It is `None` where nobody tells which it is (a root provision without a type); then it has to be met both ways.
    """

    levels: tuple[str, ...]
    classes: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    denies: bool | None
    name: str = "securityLabel"

    @property
    def said(self) -> str:
        """The labels."""
        return ", ".join((*self.levels, *self.classes, *(code for _, code in self.others)))

    def met(self, question: Question) -> Met:
        """Compare. R4: a level is a high-water mark, and for other labels subsumption applies.

        A permission for N covers what is N or lower. A denial of R covers what is R or higher: read the other way it
        would leave the most confidential out. Where a permission names classes, all of the resource's must be named.
        """
        if question.item.body is None:
            return Met.MAYBE
        if self.denies is not None:
            return self._met(question.item.labels, self.denies)
        both = {self._met(question.item.labels, denies) for denies in (True, False)}
        return both.pop() if len(both) == 1 else Met.MAYBE

    def _met(self, labels: Labels, denies: bool) -> Met:
        rank = LEVELS[labels.level]
        parts: list[Met] = []
        if self.levels:
            told = [LEVELS[level] for level in self.levels]
            parts.append(_met(rank >= min(told) if denies else rank <= max(told)))
        if self.classes:
            if denies:
                parts.append(_met(any(labels.classes & classes_denied_by(label) for label in self.classes)))
            else:
                named = {label for told in self.classes for label in classes_permitted_by(told)}
                whole = _met(labels.classes <= named)
                parts.append((whole or Met.MAYBE) if labels.classes & named else Met.NO)
        if self.others:
            parts.append(_met(any(label in labels.carried for label in self.others)))
        return max(parts) if denies else min(parts)


def _met(holds: bool) -> Met:
    return Met.YES if holds else Met.NO


@dataclass(frozen=True, slots=True)
class DataOf:
    """The resource is about a time within `period`."""

    period: Span
    zone: tzinfo
    name: str = "dataPeriod"

    @property
    def said(self) -> str:
        """From when until when."""
        return _said_span(self.period)

    def met(self, question: Question) -> Met:
        """Compare its clinical time, or that of its writing."""
        return within(question.item.body, self.period, self.zone)


@dataclass(frozen=True, slots=True)
class Target:
    """A resource that is named, and how it is meant (consent-data-meaning)."""

    meaning: str
    reference: str


@dataclass(frozen=True, slots=True)
class DataIs:
    """The resource is one that is named, or hangs together with one."""

    targets: tuple[Target, ...]
    name: str = "data"

    @property
    def said(self) -> str:
        """Which resources."""
        return ", ".join(f"{target.meaning} {target.reference or '?'}" for target in self.targets)

    def met(self, question: Question) -> Met:
        """Follow references in the record, one step far."""
        return max(self._one(target, question) for target in self.targets)

    def _one(self, target: Target, question: Question) -> Met:
        item = question.item
        if target.reference.count("/") != 1:
            return Met.MAYBE  # of another server, or contained: it may be this one
        if target.meaning == "authoredby":
            return _written_by(question, frozenset({target.reference}))
        if target.reference == item.reference:
            return Met.YES
        if target.meaning == "instance":
            return Met.NO
        if target.meaning == "dependents":
            return Met.MAYBE if item.body is None else _met(target.reference in item.references)
        named = item.look(target.reference)  # related: what it refers to
        if named is None:
            return Met.MAYBE
        return _met(item.reference in frozenset(references_in(named)))


def _written_by(question: Question, references: frozenset[str]) -> Met:
    body = question.item.body
    if body is None:
        return Met.MAYBE
    told = frozenset(references_in([body[key] for key in _AUTHOR_KEYS if key in body]))
    if not told:
        return Met.MAYBE  # it does not say who wrote it
    return _met(bool(told & references))


def _said_span(span: Span) -> str:
    first = "" if span.first.year == 1 else f"from {span.first:%Y-%m-%d %H:%M}"
    last = "" if span.last.year == 9999 else f"until {span.last:%Y-%m-%d %H:%M}"
    return f"{' '.join(part for part in (first, last) if part)} UTC"

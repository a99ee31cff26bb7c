"""All Consents of one twin, and what they say together: a denial wins, then a permission, then what holds without."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

from security.consent.default import Without, judge
from security.consent.directive import Directive
from security.consent.provision import Outcome, Step
from security.consent.question import Asker, Deed, Item, Question, references_in
from security.consent.reading import read_consent

__all__ = ["MADE_FROM", "Directives", "Opinion", "Verdict"]

_TICK: Final = timedelta(microseconds=1)
_DEEPEST: Final = 8
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_NOT_FOR_THE_PATIENT: Final = frozenset({(_ACT_CODE, "NOPAT"), (_ACT_CODE, "TBOO")})

MADE_FROM: Final[Mapping[str, tuple[str, ...]]] = {
    "RiskAssessment": ("basis",),
    "Observation": ("derivedFrom", "hasMember"),
    "DiagnosticReport": ("result",),
    "DetectedIssue": ("implicated", "evidence"),
    "Provenance": ("target", "entity"),
    "ClinicalImpression": ("investigation", "finding", "problem"),
    "List": ("entry",),
    "Composition": ("section",),
}
"""The elements by which a resource says what it was made from, or sums up."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided: by which rule, and by which consents ("Consent/1"); `()` where none said anything."""

    permit: bool
    rule: str
    consents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one Consent said, and how it came to that, for an explanation."""

    consent: str
    outcome: Literal["deny", "silent", "permit"]
    why: str
    steps: tuple[Step, ...] = field(default=())


class Directives:
    """What a twin's Consents say. A value: other Consents, another one."""

    def __init__(self, twin: str, directives: Iterable[Directive], without: Without) -> None:
        self.twin, self.without = twin, without
        self.all = tuple(directives)
        self._counting = tuple(each for each in self.all if each.is_in_force)
        ends = {
            moment for each in self._counting for span in each.periods for moment in (span.first, span.last + _TICK)
        }
        self._ends = sorted(ends)

    @classmethod
    def read(cls, twin: str, consents: Iterable[Mapping[str, Any]], without: Without, zone: tzinfo = UTC) -> Directives:
        """Compile the Consent resources of a twin's record."""
        read = (read_consent(body, twin, zone) for body in consents)
        return cls(twin, (each for each in read if each is not None), without)

    @property
    def is_silent(self) -> bool:
        """Say whether no Consent counts, so that what holds without decides."""
        return not self._counting

    @property
    def keeps_out(self) -> bool:
        """Say whether anything in a Consent that counts keeps anything from anybody."""
        return any(each.may_deny for each in self._counting)

    def epoch(self, now: datetime) -> int:
        """Number the span of time in which decisions stay as they are now."""
        return bisect_right(self._ends, now)

    def decide(self, asker: Asker, deed: Deed, item: Item, now: datetime) -> Verdict:
        """Decide about one resource of the twin. What it was made from has to be allowed, too."""
        return self._decide(Question(asker, deed, item, now), frozenset())

    def _decide(self, question: Question, seen: frozenset[str]) -> Verdict:
        verdict = self._own(question)
        if not verdict.permit or verdict.rule in ("own-record", "glass") or self._lets_all(question):
            return verdict
        item = question.item
        seen |= {item.reference}
        for reference in _made_from(item):
            if reference in seen or (body := item.look(reference)) is None:
                continue
            if len(seen) > _DEEPEST:
                return Verdict(False, "made-from-too-much", verdict.consents)
            type_, _, id_ = reference.partition("/")
            inner = Item(type_, id_, body, item.look)
            part = self._decide(Question(question.asker, question.deed, inner, question.now), seen)
            if not part.permit:
                return Verdict(False, "made-from-denied", part.consents)
        return verdict

    def _lets_all(self, question: Question) -> bool:
        return self.is_silent and self.without == "permit"

    def _own(self, question: Question) -> Verdict:
        asker = question.asker
        if asker.glass:
            return Verdict(asker.glass == self.twin, "glass" if asker.glass == self.twin else "glass-of-another")
        if asker.purpose == "BTG":
            return Verdict(False, "no-glass")
        if asker.twin:
            return self._patients(question)
        said = [(each.decide(question), each) for each in self._counting]
        if denying := [each for outcome, each in said if outcome is Outcome.DENY]:
            rule = "consent-not-understood" if all(each.problems for each in denying) else "consent-denies"
            return Verdict(False, rule, tuple(each.reference for each in denying))
        if permitting := tuple(each.reference for outcome, each in said if outcome is Outcome.PERMIT):
            return Verdict(True, "consent-permits", permitting)
        permit, rule = judge(self.without, question)
        return Verdict(permit, rule)

    def _patients(self, question: Question) -> Verdict:
        """Decide for patients: all of their own record, but what their physician has to tell them first."""
        if question.asker.twin != self.twin:
            return Verdict(False, "another-patient")
        if question.item.body is not None and "security" not in (question.item.body.get("meta") or {}):
            return Verdict(True, "own-record")
        if question.item.labels.carried & _NOT_FOR_THE_PATIENT:
            return Verdict(False, "not-for-the-patient")
        return Verdict(True, "own-record")

    def explain(self, asker: Asker, deed: Deed, item: Item, now: datetime) -> tuple[Opinion, ...]:
        """Tell what each Consent said of a resource, with the provisions that were looked at."""
        question = Question(asker, deed, item, now)
        return tuple(self._opinions(question))

    def _opinions(self, question: Question) -> Iterator[Opinion]:
        for each in self.all:
            outcome = each.decide(question)
            said: Literal["deny", "silent", "permit"] = (
                "deny" if outcome is Outcome.DENY else "permit" if outcome is Outcome.PERMIT else "silent"
            )
            yield Opinion(each.reference, said, _why(each, said), tuple(each.steps(question)))


def _why(directive: Directive, said: str) -> str:
    if directive.scope == "none":
        return "its scope is not who may see data"
    if not directive.is_in_force:
        return f"it is not in force: {directive.status}"
    if directive.problems and said == "deny":
        return f"it is not understood: {'; '.join(directive.problems)}"
    if said == "silent" and directive.scope == "research":
        return "it is about research"
    if said == "silent" and not directive.verified:
        return "it is not verified, and so permits nothing"
    if said == "silent" and directive.scope == "unknown":
        return "its scope is not known, and so it permits nothing"
    return {"deny": "it denies", "permit": "it permits", "silent": "none of its provisions is met"}[said]


def _made_from(item: Item) -> list[str]:
    keys = MADE_FROM.get(item.type)
    if not keys or item.body is None:
        return []
    return list(dict.fromkeys(references_in([item.body[key] for key in keys if key in item.body])))

"""One Consent, compiled: whether it is in force, what its base policy is, and its provisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from security.consent.provision import Outcome, Provision, Step
from security.consent.question import Met, Question
from security.consent.when import Span
from security.purposes import OPERATIONS, TREATMENT, covers

__all__ = ["NOT_IN_FORCE", "Base", "Directive", "Scope"]

NOT_IN_FORCE = frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"})
"""The states in which a Consent neither permits nor denies: not yet agreed, refused, withdrawn or over, a mistake."""

Scope = Literal["patient-privacy", "research", "none", "unknown"]
"""What a Consent is about. "none": treatment and adr say nothing of who may see data. "unknown": only denies."""

Base = Literal["permit", "deny", "emergency", "none", "unknown"]
"""The policy that the provisions are exceptions to. "none": there is none, the provisions stand by themselves."""


@dataclass(frozen=True, slots=True)
class Directive:
    """What one Consent says.

    Parameters
    ----------
    reference
        "Consent/1".
    status, scope, base
        As told, read.
    root
        Its provision, where it has one.
    verified
        `False` where it says that it is not verified: it permits nothing then.
    problems
        What of it is not understood, each with its place: it then denies all that it may be about.
    periods
        All spans of time in it on which a decision depends.
    """

    reference: str
    status: str
    scope: Scope
    base: Base
    root: Provision | None
    verified: bool = True
    problems: tuple[str, ...] = ()
    periods: tuple[Span, ...] = ()

    @property
    def is_in_force(self) -> bool:
        """Say whether it counts at all: only where it is about data, and active, or in no state that we know."""
        return self.scope != "none" and self.status not in NOT_IN_FORCE

    @property
    def may_deny(self) -> bool:
        """Say whether there is a question to which it says no."""
        if self.problems or self.base in ("deny", "emergency", "unknown"):
            return True
        return any(each.type != "permit" and (each.type or each.is_limited) for each in self.provisions())

    def decide(self, question: Question) -> Outcome:
        """Say what it says."""
        if not self.is_in_force or (self.scope == "research" and not covers("HRESCH", question.asker.purpose)):
            return Outcome.SILENT
        if self.problems:
            return Outcome.DENY
        said = self._said(question)
        if not self.verified or self.scope == "unknown":
            return min(said, Outcome.SILENT)
        return said

    def _said(self, question: Question) -> Outcome:
        base, root = self._base(question), self.root
        if root is None:
            return base
        if root.type:
            said = root.decide(question)
            return base if said is Outcome.SILENT else said
        return self._untyped(root, base, question)

    def _untyped(self, root: Provision, base: Outcome, question: Question) -> Outcome:
        """Decide a root provision without a type, as R4 has it.

        With a period only it says when the base policy holds. With more it is the limit of the base policy to some
        (example-Emergency, example-Out) and an exception to it to others (example-notThem, example-notThis), and nobody
        tells which: so it permits nothing by itself, and denies where either reading does.
        """
        met = root.met(question)
        if met is Met.NO:
            return min(base, Outcome.SILENT) if root.is_limited else Outcome.SILENT
        said = root.exceptions(question)
        if said is Outcome.SILENT:
            said = Outcome.DENY if root.is_limited and base is not Outcome.SILENT else base
        return said if met is Met.YES else min(said, Outcome.SILENT)

    def _base(self, question: Question) -> Outcome:
        """Say what the base policy says.

        An opt-in that names no purpose is to "sharing allowed for Treatment, Payment, and normal Operations" (R4,
        Consent, notes), and to research where that is its scope: it says nothing of others.
        """
        purpose = question.asker.purpose
        match self.base:
            case "permit":
                is_meant = self.scope == "research" or purpose in TREATMENT or purpose in OPERATIONS
                return Outcome.PERMIT if is_meant else Outcome.SILENT
            case "emergency":
                return Outcome.PERMIT if covers("ETREAT", purpose) else Outcome.DENY
            case "none":
                return Outcome.SILENT
            case _:
                return Outcome.DENY

    def provisions(self) -> Iterator[Provision]:
        """Walk its provisions, each before those in it."""
        waiting = [self.root] if self.root else []
        while waiting:
            each = waiting.pop()
            yield each
            waiting += reversed(each.nested)

    def steps(self, question: Question) -> Iterator[Step]:
        """Tell how its provisions were decided."""
        if self.root is not None and self.is_in_force and not self.problems:
            yield from self.root.steps(question)

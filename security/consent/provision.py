"""A provision and the exceptions to it, decided.

R4: a root provision is "an exception to the base policy", nested ones are "exceptions to the base rule or subrules".
So the innermost that is met decides; of several side by side a denial wins. What cannot be told whether it is met
counts as a denial where it is one, and not as a permission.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from security.consent.criteria import Condition
from security.consent.question import Met, Question

__all__ = ["Outcome", "Provision", "Step"]


class Outcome(IntEnum):
    """What a consent says; from the worst to the best for who asks."""

    DENY = 0
    SILENT = 1
    PERMIT = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One provision that was looked at, for an explanation: where it stands, and what of it was met.

    `checks` has the name of each element with "yes", "no" or "cannot be told"; behind a "no" nothing is looked at.
    """

    path: str
    type: str
    met: str
    checks: tuple[tuple[str, str], ...]
    outcome: str


_SAID = {Met.YES: "yes", Met.NO: "no", Met.MAYBE: "cannot be told"}


@dataclass(frozen=True, slots=True)
class Provision:
    """One rule. `type` is "" at the root only; `conditions` have to be met, all of them."""

    path: str
    type: Literal["permit", "deny", ""]
    conditions: tuple[Condition, ...]
    nested: tuple[Provision, ...]

    @property
    def is_limited(self) -> bool:
        """Say whether it has a condition other than its period."""
        return any(condition.name != "period" for condition in self.conditions)

    def met(self, question: Question) -> Met:
        """Say whether all conditions are met."""
        worst = Met.YES
        for condition in self.conditions:
            found = condition.met(question)
            if found is Met.NO:
                return found
            worst = min(worst, found)
        return worst

    def decide(self, question: Question) -> Outcome:
        """Decide a provision with a type."""
        met = self.met(question)
        if met is Met.NO:
            return Outcome.SILENT
        said = self.exceptions(question)
        if said is Outcome.SILENT:
            said = Outcome.PERMIT if self.type == "permit" else Outcome.DENY
        return said if met is Met.YES else min(said, Outcome.SILENT)

    def exceptions(self, question: Question) -> Outcome:
        """Decide what is nested: a denial wins over a permission."""
        said = Outcome.SILENT
        for each in self.nested:
            one = each.decide(question)
            if one is Outcome.DENY:
                return one
            said = max(said, one)
        return said

    def steps(self, question: Question) -> Iterator[Step]:
        """Tell how this and what is nested in it were decided."""
        checks, worst = [], Met.YES
        for condition in self.conditions:
            found = condition.met(question)
            checks.append((condition.name, _SAID[found]))
            worst = min(worst, found)
            if found is Met.NO:
                break
        outcome = self.decide(question).name.lower() if self.type else "see base policy"
        yield Step(self.path, self.type, _SAID[worst], tuple(checks), outcome)
        if worst is not Met.NO:
            for each in self.nested:
                yield from each.steps(question)

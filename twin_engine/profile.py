"""One patient at one time: the facts, and the answers that they give to the needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from mappers.facts import Fact
from mappers.when import When
from twin_engine.answer import Answer, Found, Lack, age_of
from twin_engine.dates import written_days
from twin_engine.demographics import died_before, find_age, find_sex
from twin_engine.history import Absence, find_medication, find_problem
from twin_engine.measurement import find_measurement, find_status
from twin_engine.model import Need
from twin_engine.translated import as_translated
from twin_engine.uncertainty import of_population, uncertainty_of

__all__ = ["Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts of a twin as seen at a time.

    Parameters
    ----------
    facts
        All facts of the twin, from all its sources, in any order. Those after `at` are not used.
    at
        The time asked for, in UTC. The calendar day for an age is the UTC day.
    closed
        The kinds ("condition", "medication") whose lists are proven whole by complete pull certificates: only then does
        absence mean "none recorded".
    assume_absent
        The user takes what is not recorded as absent. Each such answer carries a sentence that says so.
    """

    facts: Sequence[Fact]
    at: datetime
    closed: frozenset[str] = frozenset()
    assume_absent: bool = False

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("The time of a profile is in UTC.")

    def find(self, need: Need, when: When | None = None) -> Answer:
        """Answer a need: a number with its grounds, or why there is none.

        `when` is the time of another fact at which an age is asked; by default the time of the profile. What is found
        carries its age, and its uncertainty where a source declares one.
        """
        answer = as_translated(need, self._find(need, when), self.facts)
        if not isinstance(answer, Found):
            return answer
        age = age_of(answer.when, self.at) if answer.when else None
        uncertainty = answer.uncertainty
        if answer.basis == "measured":
            uncertainty = uncertainty_of(answer.facts[0].name, answer.value, answer.unit)
        return msgspec.structs.replace(answer, age=age, uncertainty=uncertainty)

    def _find(self, need: Need, when: When | None) -> Answer:
        match need.kind:
            case "measurement":
                return _imputed(need, find_measurement(need, self.facts, self.at))
            case "status":
                return find_status(need, self.facts, self.at)
            case "problem":
                return find_problem(need, self.facts, self.at, self._absence("condition"))
            case "medication":
                return find_medication(need, self.facts, self.at, self._absence("medication"))
            case "demographic":
                if need.names == ("sex",):
                    return find_sex(need, self.facts)
                return find_age(need, self.facts, self._days(when))

    def died(self) -> Fact | None:
        """Return the fact that says the patient was dead at this time, if there is one."""
        return died_before(self.facts, self.at)

    def _absence(self, kind: str) -> Absence:
        return Absence(kind, kind in self.closed, self.assume_absent)

    def _days(self, when: When | None) -> tuple[date, date]:
        return written_days(when) if when else (self.at.date(), self.at.date())


def _imputed(need: Need, answer: Answer) -> Answer:
    """Let the declared population stand in for what was never measured or is too old; a contradiction stays one."""
    if need.imputed is None or not isinstance(answer, Lack) or answer.why not in {"never-measured", "too-old", "after"}:
        return answer
    prior = need.imputed
    said = f"{need.title}: not known; taken from a population ({need.imputed_from}), {prior}."
    known = of_population(prior, need.imputed_from)
    return Found(prior.centre, f"{prior.centre:g}", need.unit, "imputed", assumption=said, uncertainty=known)

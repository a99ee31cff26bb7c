"""Conditions and medicines: is there one, and if none is recorded, may that be taken as none?

Absence is an answer only where the list is proven whole by complete pull certificates, or where the caller says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mappers.concepts import classes_of
from mappers.facts import Fact
from twin_engine.answer import Answer, Found, lack, named, within_bounds
from twin_engine.model import Need

__all__ = ["Absence", "find_medication", "find_problem"]

# FHIR R4 condition-clinical. "Resolved" is "no longer experiencing the condition", so it says no; "inactive" and
# "remission" leave it open ("there could be a risk of the symptoms returning"), and are not decided for the model.
PRESENT = frozenset({"active", "recurrence", "relapse"})
OPEN = frozenset({"inactive", "remission"})
VOID = frozenset({"entered-in-error", "refuted"})


@dataclass(frozen=True, slots=True)
class Absence:
    """What no record means: `closed` where the list is proven whole, `assumed` where the user takes it so."""

    kind: str
    closed: bool
    assumed: bool


def find_problem(need: Need, facts: Sequence[Fact], at: datetime, absence: Absence) -> Answer:
    """Say whether a condition is present at a time (with `need.ever`: now or in the past).

    A diagnosis that an EHR lists without a clinical status and without an end is taken as present. A partial date that
    leaves open whether it had begun, or had ended, leaves the answer open, too ("imprecise").
    """
    told = [fact for fact in named(facts, "condition", need.names) if fact.status not in VOID]
    stands = [(fact, _both(_begun(fact, at), need.ever or _lasts(fact, at, PRESENT | {""}))) for fact in told]
    if present := [fact for fact, holds in stands if holds]:
        return within_bounds(need, _recorded(need, present, 1.0, "yes"))
    if undecided := [fact for fact, holds in stands if holds is None]:
        return _imprecise(need, undecided, at)
    begun = [fact for fact in told if _begun(fact, at) is not False]
    unclear = [fact for fact in begun if fact.status in OPEN and fact.until is None]
    if unclear:
        say = f"{need.title} is recorded as {unclear[0].status}, which does not say whether it is present."
        return lack(need, "unknown-answer", say, since=unclear[0].when, nearest=unclear)
    if begun:
        return within_bounds(need, _recorded(need, begun, 0.0, "no (resolved)"))
    unnamed = sum(fact.kind == "condition" and not fact.name and fact.status not in VOID for fact in facts)
    return _absent(need, absence, unnamed)


def find_medication(need: Need, facts: Sequence[Fact], at: datetime, absence: Absence) -> Answer:
    """Say whether a medicine of a class is taken at a time: its order or statement is active and has not ended.

    A partial date that leaves it open leaves the answer open ("imprecise").
    """
    wanted = frozenset(need.names)
    orders = [fact for fact in facts if fact.kind == "medication" and fact.status not in VOID]
    taken = [(fact, _both(_begun(fact, at), _lasts(fact, at, frozenset({"active"})))) for fact in orders]
    of_class = [(fact, holds) for fact, holds in taken if wanted & classes_of(fact.name)]
    if sure := [fact for fact, holds in of_class if holds]:
        return within_bounds(need, _recorded(need, sure, 1.0, "yes"))
    if undecided := [fact for fact, holds in of_class if holds is None]:
        return _imprecise(need, undecided, at)
    ended = [fact for fact, _ in of_class if _begun(fact, at) is not False]
    unnamed = sum(not fact.name for fact, holds in taken if holds is not False)
    return _absent(need, absence, unnamed, nearest=ended)


def _begun(fact: Fact, at: datetime) -> bool | None:
    """Say whether something had begun by a time, `None` where its date leaves it open; what is undated had."""
    if fact.when is None or fact.when.latest <= at:
        return True
    return None if fact.when.earliest <= at else False


def _lasts(fact: Fact, at: datetime, statuses: frozenset[str]) -> bool | None:
    """Say whether something that has begun goes on at a time: by its end where that is told, else by its status.

    `None` where the date of the end leaves it open.
    """
    if fact.until is None:
        return fact.status in statuses
    if fact.until.earliest > at:
        return True
    return None if fact.until.latest > at else False


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Say whether both are so, `None` where that is open."""
    if one is False or other is False:
        return False
    return True if one and other else None


def _imprecise(need: Need, facts: Sequence[Fact], at: datetime) -> Answer:
    """Leave a question open whose answer hangs on a date that is not precise enough."""
    dates = " to ".join(str(each) for each in (facts[0].when, facts[0].until) if each)
    say = f"{need.title} is recorded with the date {dates}, which does not say whether it was so on {at:%Y-%m-%d}."
    return lack(need, "imprecise", say, since=facts[0].when, nearest=facts)


def _recorded(need: Need, facts: Sequence[Fact], value: float, said: str) -> Found:
    """Answer with the most recent record; one without a date counts as the oldest."""
    last = max(facts, key=lambda fact: (fact.when.latest.timestamp() if fact.when else 0.0, fact.origin.resource))
    return Found(value, said, need.unit, "recorded", (last,), last.when)


def _absent(need: Need, absence: Absence, unnamed: int, nearest: Sequence[Fact] = ()) -> Answer:
    """Answer no where absence may be concluded, and say on which ground."""
    list_of = f"the list of the patient's {absence.kind}s"
    others = (
        f" Recorded {absence.kind}s without a name in our tables, taken to be others: {unnamed}." if unnamed else ""
    )
    if absence.closed:
        said = f"{need.title}: none is recorded.{others}" if others else ""
        return within_bounds(need, Found(0.0, "no", need.unit, "none recorded", assumption=said))
    if need.presume_absent:
        said = f"{need.title}: none is known; {list_of} cannot be proven whole."
        return within_bounds(need, Found(0.0, "no", need.unit, "none recorded", assumption=said))
    if absence.assumed:
        said = f"{need.title}: none is recorded; assumed absent on request: {list_of} cannot be proven whole.{others}"
        return within_bounds(need, Found(0.0, "no", need.unit, "assumed absent", assumption=said))
    say = (
        f"{need.title}: none is recorded, but {list_of} cannot be proven whole. "
        "Pull it completely, or assume absence explicitly."
    )
    return lack(need, "unproven", say, nearest=nearest)

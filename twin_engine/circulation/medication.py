"""Optimised medication: combinations and doses compared for one person's circulation, under what somebody declared.

The answer is a comparison for a clinician, never an order. Only drugs that lie inside published ranges, in people like
this one, and whose conditions are known to be met are compared (`eligible`); the others are named with their reasons.
Each combination is run on every member of the person's ensemble until its reflexes have answered (`regimen`), so that
each number has its interval, and each preference the share of the members that have it. No drug moves potassium or the
kidney here, and nothing is said of survival, which is what most of these drugs are given for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.circulation.candidate import Candidate, better, candidate
from twin_engine.circulation.drugs import Drug, drugs
from twin_engine.circulation.eligible import Known, LeftOut, kind_of, sort_drugs
from twin_engine.circulation.formulary import Scale, formulary
from twin_engine.circulation.objective import USUAL, Objective, check
from twin_engine.circulation.regimen import Tried, with_gains
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.shortlist import front_of, order, shortlist

__all__ = ["Comparison", "ask"]

_EVEN = 0.5  # share of the members above which one is said to be better than another (policy)
_LIMITS = 0.9  # least share of the members that has to keep a limit of the formulary, whatever is declared (policy)
_MOST = 3  # drugs in one combination
_ALWAYS: Final = (
    "A comparison for a clinician, never an order. All is simulated; no patient was followed prospectively.",
    "Potassium and kidney function decide which drugs are compared; they are not simulated, and change under drugs.",
    "What is better is what was declared. Survival, for which most drugs of heart failure are given, is no part of it.",
)
Verdict = Literal["none-eligible", "none-feasible", "none-better", "compared"]
_APART = 0.9  # share of the members that has to agree before two combinations are told apart (policy)
_VERDICTS: Final[Mapping[Verdict, str]] = {
    "none-eligible": "No drug can be compared: see why each was left out.",
    "none-feasible": "No combination keeps the bounds in enough members; nothing is put forward.",
    "none-better": "No combination that keeps the bounds is better than nothing new in more than half of the members.",
    "compared": "By the declared objective, and among what was looked at, the first combination is best.",
}


class Comparison(msgspec.Struct, frozen=True, tag="medication"):
    """What was compared, by whose measure, and what was not.

    Parameters
    ----------
    verdict, said
        The outcome as a code, and in words.
    candidates
        Best first: feasible before those that are not, then by cost. The first is put forward if the verdict is
        "compared", and never else.
    better_than_next
        Share of the members that are better under the first than under the next feasible one of other drugs; `None`
        where there is none.
    assumed
        Conditions that a person assumed to be absent, for drugs that are compared.
    """

    within: Scale
    objective: Objective
    members: int
    verdict: Verdict
    said: str
    nothing: Candidate
    candidates: tuple[Candidate, ...]
    better_than_next: float | None
    left_out: tuple[LeftOut, ...]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]


def ask(
    resting: Resting,
    known: Known,
    objective: Objective = USUAL,
    *,
    within: Scale = "hours",
    only: Iterable[str] | None = None,
    largest: int = 3,
    table: Mapping[str, Drug] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare combinations of up to `largest` drugs for a person at rest. Nothing is changed; the same is the same.

    Parameters
    ----------
    within
        "hours": drugs whose published effect was measured within hours. "weeks": those after weeks, and of the others
        those whose effect somebody showed to last.
    only
        Names of drugs; the others are named as not asked for.
    table
        Drugs by name; those of the package where there is none.

    Raises `Misuse` where the ensemble is not at rest in numbers, the objective or what is known makes no sense, or
    `largest` is not from 1 to 3.
    """
    if not 1 <= largest <= _MOST:
        raise Misuse("From one to three drugs are combined.", hint="Effects of more were never added up by anybody.")
    if not (resting.members and np.isfinite(resting.beats).all() and np.isfinite(resting.parameters).all()):
        raise Misuse("This ensemble is not at rest: some members tell no numbers.", hint="Calibrate it anew.")
    check(objective)
    share = max(_LIMITS, objective.share)
    sorted_ = sort_drugs(resting, known, drugs() if table is None else table, within=within, share=share, only=only)
    found = shortlist(with_gains(resting, kind_of(known)), sorted_.compared, objective, largest, progress)
    nothing, tried = found[0], sorted(found[1:], key=lambda each: order(each, objective))
    feasible = [each for each in found if each.feasible(objective.share)]
    front = {each.regimen for each, open_ in zip(feasible, front_of(feasible, objective), strict=True) if open_}
    entries = {entry.drug: entry for entry in sorted_.compared}

    def told(each: Tried) -> Candidate:
        return candidate(each, nothing, objective, entries, front=each.regimen in front)

    gains = [each for each in tried if each.feasible(objective.share) and better(each, nothing) > _EVEN]
    if gains:
        tried.remove(gains[0])
        tried.insert(0, gains[0])
    verdict = _verdict(tried, gains, objective)
    ahead = _than_next(tried, objective) if gains else None
    return Comparison(
        within=within,
        objective=objective,
        members=resting.members,
        verdict=verdict,
        said=_said(verdict, ahead),
        nothing=told(nothing),
        candidates=tuple(told(each) for each in tried),
        better_than_next=ahead,
        left_out=sorted_.left_out,
        assumed=sorted_.assumed if known.assume_absent else (),
        notes=_notes(known),
    )


def _verdict(tried: list[Tried], gains: list[Tried], objective: Objective) -> Verdict:
    if not tried:
        return "none-eligible"
    if not any(each.feasible(objective.share) for each in tried):
        return "none-feasible"
    return "compared" if gains else "none-better"


def _said(verdict: Verdict, ahead: float | None) -> str:
    said = _VERDICTS[verdict]
    if ahead is None or ahead >= _APART:
        return said
    told = f"{100.0 * ahead:.0f} % of the members"
    return f"{said} It is better than the next one of other drugs in only {told}: the two are not told apart."


def _than_next(tried: list[Tried], objective: Objective) -> float | None:
    drugs_of_first = [name for name, _ in tried[0].regimen]
    for each in tried[1:]:
        if each.feasible(objective.share) and [name for name, _ in each.regimen] != drugs_of_first:
            return better(tried[0], each)
    return None


def _notes(known: Known) -> tuple[str, ...]:
    notes = list(_ALWAYS)
    if kind := kind_of(known):
        gains = read_table("studies")["kinds"][kind]["gains"]
        people = formulary().kinds[kind].title
        notes.append(
            f"Reflexes are {gains:g} of the healthy ones, as in the people with {people} whom drugs were tested in."
        )
    if known.taken:
        taken = ", ".join(sorted(each.replace("-", " ") for each in known.taken))
        notes.append(
            f"The circulation was measured under what is taken ({taken}); what is compared comes on top of it."
        )
    return tuple(notes)

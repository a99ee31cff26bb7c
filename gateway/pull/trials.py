"""The questions by which a server is tried, a function each: what is asked, and what the answer means."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.pull.interview import Answer, Interview, Pairs
from gateway.pull.profile import Truth, Unknown

__all__ = [
    "CATEGORIES",
    "NONSENSE",
    "ONE",
    "can_be_asked",
    "counts_rows",
    "filters_by_last_updated",
    "handles_unknown",
    "largest_page",
    "needs",
    "truth_of",
]

ONE: Pairs = (("_count", "1"),)
NONSENSE: Pairs = (("fhirtwin-no-such-parameter", "1"),)
"""A search parameter that no server has."""

# http://hl7.org/fhir/R4/valueset-observation-category.html, the same codes since STU3. A server may have others.
CATEGORIES = (
    *("laboratory", "vital-signs", "social-history", "imaging", "survey", "exam"),
    *("procedure", "therapy", "activity"),
)

_NEVER = "2999-01-01"  # nothing was changed then; some servers cannot count further than 9999
_PAGES = (50, 10)  # what is tried where a page of the size wanted is refused


async def can_be_asked(interview: Interview, types: Sequence[tuple[str, Pairs]]) -> tuple[str, Pairs, Answer | None]:
    """Find a type that is answered as it is, by GET or else by POST; without one no refusal says anything.

    Returns it, its parameters, and the answer (`None` where there is no such type).
    """
    for by_post in (False, True):
        interview.by_post = by_post
        for type_, params in types[: 1 if by_post else None]:
            answer = await interview.ask(type_, (*params, *ONE))
            if answer is not None and answer.bundle is not None:
                return type_, params, answer
    interview.by_post = False
    return "", (), None


def handles_unknown(answer: Answer | None) -> Unknown:
    """Say what became of a parameter that no server has: who neither refuses nor drops it can prove no filter."""
    if answer is None or (answer.bundle is None and not answer.is_refusal):
        return "unknown"
    if answer.bundle is None:
        return "refused"
    if answer.understood is None:
        return "unknown"
    return "repeated" if NONSENSE[0][0] in answer.understood else "dropped"


async def filters_by_last_updated(
    interview: Interview, type_: str, params: Pairs, plain: Answer, unknown: Unknown
) -> Truth:
    """Ask for what was changed long after today: nothing was. And before that: everything."""
    later = await interview.ask(type_, (*params, *ONE, ("_lastUpdated", f"ge{_NEVER}")))
    if later is None or (later.bundle is None and not later.is_refusal):
        return "unknown"
    if later.is_refusal or later.rows:
        return "no"
    if not plain.rows:  # an empty server: only the self link can tell
        repeats = unknown in ("dropped", "refused") and "_lastUpdated" in (later.understood or {})
        return "yes" if repeats else "unknown"
    before = await interview.ask(type_, (*params, *ONE, ("_lastUpdated", f"lt{_NEVER}")))
    if before is None or before.bundle is None:
        return "unknown"
    return "yes" if before.rows else "no"


def counts_rows(answer: Answer | None, plain: Answer) -> Truth:
    """Say whether `_summary=count` was answered with a number that may be right."""
    if truth_of(answer) != "yes" or answer is None or answer.bundle is None:
        return truth_of(answer)
    return "yes" if answer.bundle.total or (answer.bundle.total == 0 and not plain.rows) else "no"


def truth_of(answer: Answer | None) -> Truth:
    """Say whether a question was answered at all."""
    if answer is None or (answer.bundle is None and not answer.is_refusal):
        return "unknown"
    return "no" if answer.is_refusal else "yes"


async def largest_page(interview: Interview, type_: str, params: Pairs, size: int) -> int:
    """Ask for large pages of nothing: a limit is told by a refusal, or by the self link. 0 where none was seen."""
    for tried in (size, *(smaller for smaller in _PAGES if smaller < size)):
        answer = await interview.ask(type_, (*params, ("_count", str(tried)), ("_lastUpdated", f"ge{_NEVER}")))
        if answer is None:
            return 0
        if answer.bundle is not None:
            said = (answer.understood or {}).get("_count", "")
            taken = int(said[:9]) if said.isdecimal() and 0 < int(said[:9]) < tried else tried
            return taken if taken < size else 0
    return 0


async def needs(interview: Interview, type_: str, patient: str, *, by_post: bool) -> tuple[bool, bool]:
    """Say whether a type is searched by category only, and by patient only; neither, where that cannot be known.

    `patient` is the id of one; an id stands in no URL where the server takes a POST (`by_post`).
    """
    answer = await interview.ask(type_, ONE)
    if answer is None or not answer.is_refusal:
        return False, False
    for by_category, by_patient in ((True, False), (False, True), (True, True)):
        if by_patient and not patient:
            break
        sliced: Pairs = (("category", CATEGORIES[0]),) if by_category else ()
        whose: Pairs = (("patient", patient),) if by_patient else ()
        answer = await interview.ask(type_, (*whose, *sliced, *ONE), by_post=by_post or interview.by_post)
        if answer is not None and answer.bundle is not None:
            return by_category, by_patient
    return False, False

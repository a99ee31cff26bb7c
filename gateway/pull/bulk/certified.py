"""The certificate of an export: for each type, what the manifest says there is, and what came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.pull.bulk.job import DELETIONS, OUTCOMES, Job, Tally
from gateway.pull.bulk.order import BY_PATIENT
from gateway.pull.increment import as_instant
from gateway.pull.page import Asked, Certificate, Sign
from mappers import REFERRING

__all__ = ["certify"]

_DELETIONS = "deletions, as the export tells them"


def certify(name: str, version: str, job: Job, after: str, *, leads_on: bool) -> Certificate:
    """Certify an export as far as it went; where it is not done, all that was asked for is "unfinished".

    The next pull may go on from here (`Certificate.until`) where `leads_on`.
    """
    asked = tuple(_asked(job))
    if job.tallies and not job.when:
        job.remark("The server did not say as of when this is: the next pull asks for everything again.")
    if job.order.level == "group" and job.order.since:
        job.remark("Older data of those who joined the group since then was not asked for.")
    until = _until(job, asked) if leads_on else {}
    return Certificate(name, version, asked, " ".join(job.remarks), way="bulk", until=until, after=after)


def _until(job: Job, asked: Iterable[Asked]) -> dict[str, str]:
    """Say from when on each type may be asked for next.

    It is the instant of the manifest, but not one that is later than the server's clock when the export began. A type
    that lacks something stays where it was: of an export of changes that is the instant from which on it was asked, and
    else it has none. So do all, where deletions are not known or patients are missing, because what is refused for want
    of its patient does not come again; and what refers to medicines, where some of those could not be had. Nothing goes
    on from a group: who joins it brings older data, which no `_since` would ask for (LinuxForHealth/FHIR#3151).
    """
    order, lines = job.order, {each.what if not each.type else each.type: each for each in asked}
    if order.level == "group":
        return {}
    before, when = as_instant(order.since), as_instant(job.when)
    reached = min(when, as_instant(job.started))
    is_short = any(name in lines and not lines[name].leads_on for name in (_DELETIONS, "Patient"))
    lacks = REFERRING if job.filled.came and job.filled.said != job.filled.came else frozenset()
    found: dict[str, str] = {}
    for type_ in dict.fromkeys((*order.types, *job.tallies, *job.refused)):
        line, whose = lines.get(type_), job.told if type_ in job.refused else order
        if line is None or (type_ not in order.types and order.types and type_ not in job.refused):
            continue  # it came along with others, and nobody knows how much of it
        is_empty = line.said is None and not line.came  # nobody said that there is nothing
        goes_on = line.leads_on and not (is_short or is_empty or type_ in lacks)
        found[whose.watermark(type_)] = reached if goes_on else before
    return {name: instant for name, instant in found.items() if instant}


def _asked(job: Job) -> Iterator[Asked]:
    stopped = job.failed or ("" if job.step in ("cleaning", "filling", "done") else "unfinished")
    lost: list[Sign] = ["lost-job"] if job.is_lost else []
    every = [*lost, *_signs_of_all(job)]
    types = dict.fromkeys([*job.order.types, *(t for t in job.tallies if t not in (DELETIONS, OUTCOMES))])
    for type_ in types or dict.fromkeys(job.told.types):
        tally = job.tallies.get(type_, Tally(None))
        signs = list(dict.fromkeys([*tally.signs, *every, *_unproven(job, type_)]))
        yield Asked(
            _what(job, type_),
            None if stopped else tally.said,
            tally.came,
            tally.pages,
            stopped or tally.stopped,
            type_,
            job.order.since,
            job.request,
            tuple(signs),
        )
    for type_, why in job.refused.items():
        yield Asked(_what(job, type_), None, 0, 0, why, type_, job.order.since)
    if job.filled.pages:
        yield Asked("Medication, filled in", job.filled.said, job.filled.came, job.filled.pages)
    if (told := job.tallies.get(DELETIONS)) is not None:
        yield Asked(_DELETIONS, told.said, told.came, told.pages, told.stopped, signs=tuple(told.signs))


def _what(job: Job, type_: str) -> str:
    """Say what was asked; a type alone only where it was all of that type.

    Of a group only its members come, of types that are about no patient only what goes along with them, and where no
    types were told, a server may export what it likes.
    """
    order = job.order
    if order.filtered(type_):
        return f"{type_}, filtered"
    if order.level == "group":
        return f"{type_}, of a group"
    if not order.types:
        return f"{type_}, as far as it is exported"
    if type_ not in order.types:
        return f"{type_}, that came along"
    return f"{type_}, of patients" if order.level == "patient" and type_ not in BY_PATIENT else type_


def _signs_of_all(job: Job) -> list[Sign]:
    """Return the signs of the outcomes: they do not say of which type something is left out."""
    return [*job.tallies[OUTCOMES].signs] if OUTCOMES in job.tallies else []


def _unproven(job: Job, type_: str) -> Iterator[Sign]:
    """Yield what leaves nobody certain: no server says whether it used a filter, or what it hides from our token."""
    if job.order.filtered(type_):
        yield "unproven-filter"
    if type_ in job.narrowed:
        yield "narrowed-scope"

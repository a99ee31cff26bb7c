"""The certificate of an export: for each type, what the manifest says there is, and what came."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.pull.bulk.job import DELETIONS, OUTCOMES, Job, Tally
from gateway.pull.bulk.order import BY_PATIENT
from gateway.pull.increment import as_instant
from gateway.pull.page import Asked, Certificate, Sign

__all__ = ["certify"]

_DELETIONS = "deletions, as the export tells them"


def certify(name: str, version: str, job: Job, after: str, *, leads_on: bool) -> Certificate:
    """Certify an export as far as it went; where it is not done, all that was asked for is "unfinished".

    The next pull may go on from here (`Certificate.until`) where `leads_on`, for each type that lacks nothing, and
    where the deletions are known. Not with a group: who joins it brings older data, which no `_since` would ask for
    (LinuxForHealth/FHIR#3151).
    """
    asked = tuple(_asked(job))
    if job.tallies and not job.when:
        job.remark("The server did not say as of when this is: the next pull asks for everything again.")
    if job.order.level == "group" and job.order.since:
        job.remark("Older data of those who joined the group since then was not asked for.")
    until: dict[str, str] = {}
    knows_deletions = all(each.what != _DELETIONS or each.verdict != "incomplete" for each in asked)
    if leads_on and knows_deletions and job.order.level != "group" and (when := as_instant(job.when)):
        whole = [each.type for each in asked if each.type and each.verdict != "incomplete"]
        until = dict.fromkeys(map(job.order.watermark, whole), when)
    return Certificate(name, version, asked, " ".join(job.remarks), way="bulk", until=until, after=after)


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

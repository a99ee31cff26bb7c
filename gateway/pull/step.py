"""One step of a walk: the next page of one question, read and judged; nothing of the walk changes before it is landed.

Several steps are under way at the same time, and their pages are landed one by one. So a step works on a copy: what was
fetched and never landed leaves no trace in a cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gateway.pull.asking import SAID_NO, Answer, Asker, First, Stopped
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from gateway.pull.fill_ins import ask_by_name
from gateway.pull.increment import as_instant, server_clock, upper_bound
from gateway.pull.inflate import TooLarge
from gateway.pull.links import Links
from gateway.pull.origin import ForeignUrlError
from gateway.pull.page import Entry
from gateway.pull.parts import first_of, name_of_part, names_of
from gateway.pull.reading import Row, Rows, read_rows
from gateway.pull.seen import Fingerprint, Seen, fingerprint
from gateway.pull.walk import Inquiry, Question
from gateway.pull.witness import left_out
from security.errors import NotFhir, Refused, Unreachable

__all__ = ["Step", "Stepper"]

_UNFILLED = 5  # empty pages in a row that we walk through; some servers filter behind the paging (hapi-fhir#5198)
_PAGES = 100_000  # of one question; nobody walks further, and a loop that hides from all else ends here
_ROUND = 1_000  # a number of rows at which servers cut (medplum#6150, blaze#1348, hapi-fhir#3599)
_PAGING = frozenset({"_count", "_skip", "_offset", "_page", "page", "_format", "_total", "_sort"})


@dataclass(slots=True)
class Step:
    """A page, and what the walk is behind it.

    `refiltered` says that the server does not take `filter`; then nothing came, and the question is asked anew.
    `absent` and `unknown` are of names that were asked for.
    """

    question: Question
    name: str
    entries: list[Entry] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    sent: str = ""
    seen: Seen = field(default_factory=Seen)
    urls: Seen = field(default_factory=Seen)
    new: list[Fingerprint] = field(default_factory=list)
    new_urls: list[Fingerprint] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    not_so: bool = False
    filter: str = ""
    refiltered: bool = False
    absent: int = 0
    unknown: int = 0

    @property
    def ended(self) -> bool:
        """Say whether the question has ended."""
        return not self.question.next or bool(self.question.stopped)

    def landed(self) -> None:
        """Remember what was seen: the page is stored now."""
        for seen, keys in ((self.seen, self.new), (self.urls, self.new_urls)):
            for key in keys:
                seen.add(key)


class Stepper:
    """Takes steps of questions to one server.

    Parameters
    ----------
    connection, links, asker
        How the server is asked, and how its links are read.
    version
        Its FHIR version.
    types
        What may come in the record of a patient.
    histories
        The types whose history the server tells.
    is_held
        Says whether a resource ("Patient/1") is held already.
    filters
        Whether it is known that `_lastUpdated` filters; else self link and control must tell.
    estimates
        Whether `Bundle.total` is a guess on all pages but the last one.
    falls_back
        Whether all is asked for where the server does not filter; else the question ends ("unknown-filter").
    longest_url
        From this length on, a search is a POST.
    """

    def __init__(
        self,
        connection: Connection,
        links: Links,
        *,
        version: str,
        types: Sequence[str],
        histories: Collection[str],
        is_held: Callable[[str], bool],
        filters: bool,
        estimates: bool,
        falls_back: bool,
        longest_url: int,
    ) -> None:
        self._connection, self._links, self._version = connection, links, version
        self._asker = Asker(connection, longest_url)
        self._types, self._histories, self._is_held = frozenset(types), histories, is_held
        self._filters, self._estimates, self._falls_back = filters, estimates, falls_back
        self._longest = longest_url
        self.control: Literal["refused", "dropped", "repeated", "unknown"] = "unknown"

    async def take(self, inquiry: Inquiry, question: Question, patients: Sequence[str], seen: Seen, urls: Seen) -> Step:
        """Get the next page of a question. What ends the pull is raised."""
        name = name_of_part(inquiry, question.part, len(patients))
        if inquiry.way == "named":
            return await self._by_name(inquiry, question, name)
        first = first_of(inquiry, question.part, patients, self._is_held)
        step = Step(question, name, seen=seen, urls=urls, sent=question.next or first.target, filter=inquiry.filter)
        try:
            answer = await self._asker.page(question, first)
            if answer.question.again > question.again:
                step.seen, step.urls = Seen(), Seen()
            step.question, step.sent, step.remarks = answer.question, answer.sent, answer.remarks
            if step.question.pages == 0:
                step.question = msgspec.structs.replace(
                    step.question,
                    began=server_clock(answer.reply.headers),
                    self_link=answer.bundle.linked("self"),
                )
            await self._read(inquiry, step, answer, first)
        except Stopped as stop:
            step.question = msgspec.structs.replace(step.question, stopped=stop.reason, next="")
            step.remarks += [stop.said] if stop.said else []
            step.not_so = stop.not_so
            step.refiltered = stop.not_so and first.is_filtered and self._falls_back
        return step

    async def _read(self, inquiry: Inquiry, step: Step, answer: Answer, first: First) -> None:
        question = step.question
        await self._ask_early(step, answer, first)
        others = self._types if inquiry.way == "everything" else ()
        place = f"{step.name} page {question.pages + 1}"
        deepest = self._connection.deepest
        rows = read_rows(answer.bundle, inquiry.type, place, self._version, others=others, deepest=deepest)
        if question.pages == 0 and first.is_filtered:
            question = self._filtered(inquiry, question, rows, step)
            if step.refiltered:
                return
        step.entries, step.rows, step.remarks = rows.entries, rows.rows, [*step.remarks, *rows.remarks]
        question, is_new = _counted(question, rows, step, upper_bound(answer.reply.headers))
        if not (self._estimates and answer.bundle.linked("next")):
            question = _totalled(question, answer.bundle.total)
        step.question = msgspec.structs.replace(
            question,
            pages=question.pages + 1,
            unfilled=0 if answer.bundle.entry else question.unfilled + 1,
            next=answer.bundle.linked("next").strip(),
        ).signed(*rows.signs)
        if step.question.next:
            self._turn(step, answer, first, is_new=is_new or not answer.bundle.entry)
        else:
            step.question = await self._ended(inquiry, step, first)

    async def _ask_early(self, step: Step, answer: Answer, first: First) -> None:
        """Ask for the next page before this one is read, where nothing tells that it may not be wanted."""
        question, url = step.question, answer.reply.url
        said = answer.bundle.linked("next").strip()
        if not said or not answer.bundle.entry or (first.is_filtered and not question.pages):
            return
        try:
            answer.link = link = self._links.next(said, url, answer.bundle.linked("self"))
        except ForeignUrlError:
            return
        if link != url and fingerprint(link.encode()) not in step.urls and question.pages < _PAGES:
            await self._asker.ask_early(question, link, first)

    async def close(self) -> None:
        """Forget what was asked for and is not wanted any more."""
        await self._asker.close()

    def _turn(self, step: Step, answer: Answer, first: First, *, is_new: bool) -> None:
        """Find the next page; raises `Stopped` where it leads astray or in circles."""
        question, url = step.question, answer.reply.url
        try:
            link = answer.link or self._links.next(question.next, url, answer.bundle.linked("self"))
        except ForeignUrlError as error:
            raise Stopped("foreign-next-link") from error
        step.question = msgspec.structs.replace(question, next=link)
        if question.by_post and first.params and _forgets(link):
            step.question = step.question.signed("unproven-filter")  # firely-net-sdk#479
        here, there = fingerprint(url.encode()), fingerprint(link.encode())
        step.new_urls = [here, there]
        is_known = there in step.urls or here == there
        if is_known or not is_new or question.unfilled > _UNFILLED or question.pages >= _PAGES:
            raise Stopped("loop")

    async def _ended(self, inquiry: Inquiry, step: Step, first: First) -> Question:
        """Compare what came with what the server says there is, once more where that may tell something."""
        question, said = step.question, step.question.said
        is_told = said is not None and said >= question.came
        counted = None
        is_poll = first.is_filtered and not self._falls_back  # asked again and again, and soon once more
        if first.target == inquiry.type and ((inquiry.way == "list" and not is_poll) or not is_told):
            counted = await self.count(first)
        if not is_told:
            said = counted
        elif counted is not None and counted > question.came:
            question = question.signed("shifted")
        if question.shifted or (question.repeated and counted != question.came):
            question = question.signed("shifted")
        if said is None and question.came >= _ROUND and not question.came % _ROUND:
            question = question.signed("capped")
        is_by_change = inquiry.way == "list" and inquiry.filter in ("", "_lastUpdated") and not is_poll
        if is_by_change and question.exact and question.began and inquiry.type in self._histories:
            question = await self._witnessed(inquiry, question, step)
        if question.nameless:
            question = question.signed("without-id")
            step.remarks.append(f"{inquiry.type}: some came without an id, and are refused (no-id).")
        return msgspec.structs.replace(question, said=said if question.exact else None)

    async def _witnessed(self, inquiry: Inquiry, question: Question, step: Step) -> Question:
        """See whether the list has what was there, by the server's history, when it was asked; take what it lacks."""
        new = set(step.new)
        found = await left_out(
            self._connection,
            inquiry.type,
            lambda key: key in new or key in step.seen,
            since=as_instant(inquiry.since) if inquiry.filter else "",
            until=question.began,
        )
        if not found:
            return question
        step.entries += found
        missing = tuple(entry.full_url.removeprefix(f"{self._connection.base.url}/") for entry in found)
        return msgspec.structs.replace(question, missing=missing).signed("known-to-be-missing")

    async def count(self, first: First) -> int | None:
        """Ask how many there are: Bundle.total may be left out (HAPI, Medplum, Microsoft), or be wrong."""
        try:
            reply = await self._connection.search(
                first.target, (("_summary", "count"), *first.params), allow=SAID_NO, tries=1, fresh=True
            )
            return read_bundle(reply.body).total if reply.status not in SAID_NO else None
        except (NotReadError, NotFhir, Refused, TooLarge, Unreachable):
            return None

    def _filtered(self, inquiry: Inquiry, question: Question, rows: Rows, step: Step) -> Question:
        """See whether the filter was applied: the self link repeats what was (R4 search.html, "Server Conformance"),
        and rows that are older prove that it was not.
        """
        self_link = question.self_link
        names = {name for name, _ in parse_qsl(urlsplit(self_link).query, keep_blank_values=True)}
        name = "_since" if inquiry.way == "everything" else inquiry.filter
        is_old = inquiry.filter == "_lastUpdated" and any(
            row.is_asked and row.stamp and row.stamp < as_instant(inquiry.since) for row in rows.rows
        )
        if is_old or (self_link and name not in names and inquiry.way != "everything"):
            if not self._falls_back:
                raise Stopped("unknown-filter")
            step.refiltered = True
        elif not self_link and not self._falls_back:
            raise Stopped("unknown-filter")
        elif name not in names or self.control in ("repeated", "unknown"):
            is_known = self._filters and inquiry.filter == "_lastUpdated"
            return question if is_known else question.signed("unproven-filter")
        return question

    async def _by_name(self, inquiry: Inquiry, question: Question, name: str) -> Step:
        ids = names_of(inquiry, question.part)
        found = await ask_by_name(self._connection, inquiry.type, ids, longest_url=self._longest)
        said = len(ids) - found.absent if not found.unknown else None
        done = msgspec.structs.replace(question, said=said, came=len(found.came), pages=max(1, found.pages))
        rows = [Row(inquiry.type, id_, fingerprint(f"{inquiry.type}/{id_}".encode()), True, "") for id_ in ids]
        return Step(
            done, name, found.entries, rows, found.sent or inquiry.type, absent=found.absent, unknown=found.unknown
        )


def _counted(question: Question, rows: Rows, step: Step, bound: str) -> tuple[Question, bool]:
    """Count the rows that were asked for, each once; say whether any is new."""
    here: dict[Fingerprint, None] = {}
    came = repeated = nameless = 0
    newest = question.newest
    for row in rows.rows:
        is_new = row.key not in step.seen and row.key not in here
        here[row.key] = None
        if is_new:
            step.new.append(row.key)
        if row.is_asked:
            came, repeated, nameless = came + is_new, repeated + (not is_new), nameless + (is_new and not row.id)
            if row.stamp and newest < row.stamp <= bound:
                newest = row.stamp
    told = msgspec.structs.replace(
        question,
        came=question.came + came,
        repeated=question.repeated + repeated,
        nameless=question.nameless + nameless,
        newest=newest,
    )
    return told, bool(step.new)


def _totalled(question: Question, total: int | None) -> Question:
    """Take up Bundle.total. What is less than has come counts something else (LinuxForHealth/FHIR#3906)."""
    if total is None or total < question.came:
        return question
    shifted = question.shifted or (question.said is not None and question.said != total)
    return msgspec.structs.replace(question, said=max(total, question.said or 0), shifted=shifted)


def _forgets(link: str) -> bool:
    """Say whether a next link has nothing in it but the number of a page."""
    names = {name for name, _ in parse_qsl(urlsplit(link).query, keep_blank_values=True)}
    return bool(names) and names <= _PAGING

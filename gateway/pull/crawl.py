"""Pull from a server by searching type after type, page after page, and certify what came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import parse_qsl, urlsplit

from gateway.pull.bundle import Bundle, NotReadError, head_of, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import TooLarge
from gateway.pull.metadata import Capability
from gateway.pull.origin import ForeignUrlError
from gateway.pull.outcome import read_outcome
from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.pull.questions import questions
from gateway.pull.walk import Question, Seen, Walk
from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Refused, Unreachable

__all__ = ["SearchCrawl"]

_SAID_NO = frozenset(range(400, 500)) - {401, 408, 425, 429}  # answers about one question; the rest is about all
_EXPIRED = frozenset({400, 404, 410})  # what servers say to a next link that they have forgotten (hapi-fhir#7220)
_UNFILLED = 5  # empty pages in a row that we walk through; some servers filter behind the paging (hapi-fhir#5198)
_PAGES = 100_000  # of one question; nobody walks further, and a loop that hides from all else ends here
_NONSENSE = "fhirtwin-no-such-parameter"


class _Stopped(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SearchCrawl:
    """The plain way to get data, which every certified EHR offers: `GET Type?_count=N`, and next links to the end.

    What ends one question (refused, foreign next link, loop, no FHIR) costs that question only and makes the
    certificate incomplete. What ends everything is raised: `Unreachable` (also "come back later"), and `Denied` where
    the server no longer takes our credentials. The next walk with the last cursor then goes on behind the last page.

    Parameters
    ----------
    capability
        What the server says it can do; decides what is asked where `types` is empty.
    types
        Resource types to ask for, from the settings.
    since
        An instant ("2026-11-24T10:00:00Z"): ask only for what changed since (`_lastUpdated=ge…`), "" for all.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        capability: Capability,
        *,
        types: Sequence[str] = (),
        page_size: int = 200,
        since: str = "",
    ) -> None:
        self.name = name
        self._connection = connection
        self._version = capability.fhir_version
        self._types, self._not_offered = questions(capability, types)
        self._page_size = page_size
        self._filter = (("_lastUpdated", f"ge{since}"),) if since else ()
        self._walk = Walk.resume(None, self._types, self._filter)
        self._open(Question(""))

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Walk the pages, from the start or behind `cursor`."""
        walk = self._walk = Walk.resume(cursor, self._types, self._filter)
        if walk.types and not walk.control:
            walk.control = await self._ask_nonsense(walk.types[0])
        while len(walk.done) < len(walk.types):
            if walk.now is None or self._open_question is not walk.now:
                walk.now = walk.now or Question(walk.types[len(walk.done)])
                self._open(walk.now)
            yield await self._step(walk, walk.now)

    def certificate(self) -> Certificate:
        """Certify the walk; types that were not walked to their end count as "unfinished"."""
        walk = self._walk
        left = [Asked(self._what(t), None, 0, 0, "unfinished") for t in walk.types[len(walk.done) :]]
        if walk.now is not None:
            left[0] = Asked(self._what(walk.now.type), walk.now.said, walk.now.came, walk.now.pages, "unfinished")
        absent = f"The server does not offer: {', '.join(self._not_offered)}." if self._not_offered else ""
        note = " ".join(filter(None, [walk.control, absent, *walk.remarks]))
        return Certificate(self.name, self._version, (*walk.done, *left), note)

    def _open(self, question: Question) -> None:
        """Take up a question: a new one, or one that a cursor brought."""
        self._open_question, self._keys, self._urls = question, Seen(question.keys), Seen(question.urls)
        question.exact = question.exact and len(self._keys) >= question.came

    def _what(self, type_: str) -> str:
        return " ".join([type_, *(f"{name}={value}" for name, value in self._filter)])

    async def _step(self, walk: Walk, question: Question) -> Page:
        """Get one page, and leave the walk behind it."""
        sent = question.next or question.type
        entries: list[Entry] = []
        try:
            reply = await self._ask(walk, question)
            sent = reply.url
            bundle = _read(reply)
            if question.pages == 0 and not self._is_filtered(bundle):
                raise _Stopped("unknown-filter")
            question.pages += 1
            entries, is_new = self._take(walk, question, bundle)
            await self._turn(question, bundle, reply.url, is_new=is_new)
        except _Stopped as stop:
            question.stopped, question.next = stop.reason, ""
        what = f"{question.type}, page {question.pages}"
        if question.stopped:
            what = f"{question.type}, stopped: {question.stopped}"
        question.keys, question.urls = self._keys.carry(), self._urls.carry()
        if not question.next:
            walk.done.append(question.asked(self._what(question.type)))
            walk.now = None
        walk.number += 1
        return Page(walk.number, what, tuple(entries), walk.cursor(), question.type, sent)

    async def _ask(self, walk: Walk, question: Question) -> Reply:
        first = not question.next
        params = (("_count", str(self._page_size)), *self._filter) if first else ()
        try:
            reply = await self._connection.get(question.next or question.type, params, allow=_SAID_NO, fresh=True)
        except (ComeBackLater, Denied):
            raise
        except TooLarge as fault:
            raise _Stopped("too-large") from fault
        except NotFhir as fault:
            raise _Stopped("not-fhir") from fault
        except Refused as fault:
            raise _Stopped("refused") from fault
        except Unreachable as fault:
            if await self._connection.answers():
                raise _Stopped("unreachable") from fault
            raise
        if reply.status in _EXPIRED and not first and not question.again:
            walk.remark(f"A next link of {question.type} was no longer known to the server: started over.")
            question.start_over()
            self._open(question)
            return await self._ask(walk, question)
        if reply.status in _SAID_NO:
            walk.remark(f"{question.type}: status {reply.status}{_codes(reply.body)}.")
            raise _Stopped("denied" if reply.status == 403 else "refused")
        return reply

    def _is_filtered(self, bundle: Bundle) -> bool:
        """Say whether the server's self link repeats our filter, which tells that it was used (R4 search.html, "Server
        Conformance").
        """
        repeated = {name for name, _ in parse_qsl(urlsplit(bundle.linked("self")).query, keep_blank_values=True)}
        return all(name in repeated for name, _ in self._filter)

    def _take(self, walk: Walk, question: Question, bundle: Bundle) -> tuple[list[Entry], bool]:
        """Cut the resources out of a page; say also whether any is new."""
        if bundle.total is not None:
            question.said = max(bundle.total, question.said or 0)
        entries, any_new = [], not bundle.entry
        for number, item in enumerate(bundle.entry, 1):
            raw = bytes(item.resource)
            head = head_of(raw)
            if head is not None and head.resourceType == "OperationOutcome" and question.type != "OperationOutcome":
                walk.remark(f"{question.type}: the server remarked{_codes(raw)}.")
                continue
            if not raw:
                walk.remark(f"{question.type}: an entry without a resource came.")
                continue
            mode, type_ = item.search.mode, head.resourceType if head else ""
            is_asked = type_ == question.type and mode != "include"
            is_new = self._keys.add(f"{type_}/{head.id}".encode() if head and head.id else raw)
            any_new = any_new or is_new
            question.came += is_new and is_asked
            problem = "" if is_asked or mode == "include" else "unexpected-type"
            place = f"{question.type} page {question.pages} entry {number}"
            entries.append(Entry(raw, item.fullUrl, place, problem if head else "not-fhir", self._version))
        question.unfilled = 0 if bundle.entry else question.unfilled + 1
        return entries, any_new

    async def _turn(self, question: Question, bundle: Bundle, url: str, *, is_new: bool) -> None:
        """Find the next page, or end the question."""
        link = bundle.linked("next")
        if not link:
            question.next = ""
            if question.said is None:
                question.said = await self._count(question.type)
            return
        self._urls.add(url.encode())
        try:
            question.next = self._connection.resolve(link, url)
        except ForeignUrlError as error:
            raise _Stopped("foreign-next-link") from error
        is_known = not self._urls.add(question.next.encode())
        if is_known or not is_new or question.unfilled > _UNFILLED or question.pages >= _PAGES:
            raise _Stopped("loop")

    async def _count(self, type_: str) -> int | None:
        """Ask how many there are where Bundle.total is left out (by default so on HAPI, Medplum and Microsoft)."""
        try:
            reply = await self._connection.get(
                type_, (("_summary", "count"), *self._filter), allow=_SAID_NO, tries=1, fresh=True
            )
            return read_bundle(reply.body).total if reply.status == 200 else None
        except (NotReadError, NotFhir, Refused, TooLarge, Unreachable):
            return None

    async def _ask_nonsense(self, type_: str) -> str:
        """Ask with a parameter that no server has: who neither refuses nor drops it cannot prove any filter."""
        try:
            reply = await self._connection.get(type_, (("_count", "1"), (_NONSENSE, "1")), allow=_SAID_NO, tries=1)
            if reply.status in _SAID_NO:
                return "Unknown search parameters are refused."
            is_repeated = _NONSENSE in read_bundle(reply.body).linked("self")
        except (ComeBackLater, Denied):
            raise
        except (NotReadError, Fault):
            return "What the server does with unknown search parameters is not known."
        if is_repeated:
            return "Unknown search parameters are ignored, and repeated in the self link: no filter can be proven."
        return "Unknown search parameters are ignored, and left out of the self link."


def _read(reply: Reply) -> Bundle:
    try:
        return read_bundle(reply.body)
    except NotReadError as error:
        raise _Stopped("not-fhir") from error


def _codes(body: bytes) -> str:
    codes = read_outcome(body).codes
    return f" ({', '.join(codes)})" if codes else ""

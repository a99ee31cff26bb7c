"""Pull from a server by searching: several questions at the same time, page after page, and certify what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec

from gateway.pull.certifying import certify, control_of
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.controls import ask_nonsense
from gateway.pull.fill_ins import FILLED_IN, References
from gateway.pull.history import is_offered
from gateway.pull.increment import Increment
from gateway.pull.links import Links
from gateway.pull.metadata import Capability
from gateway.pull.page import Certificate, Page
from gateway.pull.parts import number_of
from gateway.pull.plan import Plan, filter_of, from_mark
from gateway.pull.profile import Profile
from gateway.pull.recall import Recall
from gateway.pull.sequel import Sequel
from gateway.pull.step import Step, Stepper
from gateway.pull.tokens import remarks_of
from gateway.pull.walk import Inquiry, Question, Walk

__all__ = ["SearchCrawl"]

_PUT_OFF = 64  # questions that are open, with those that the server does not want to be asked now
_SENDING = 3  # turns of the loop until a request is on its way
_Key = tuple[int, int]


class SearchCrawl:
    """The plain way to get data, which every certified EHR offers: `GET Type?_count=N`, and next links to the end.

    What ends one question (refused, foreign next link, loop, no FHIR) costs that question only and makes the
    certificate incomplete. What ends everything is raised: `Unreachable` (also "come back later", where all that is
    left has to wait), and `Denied` where the server no longer takes our credentials. The next walk with the last
    cursor then goes on behind the last page of each question that was open.

    Parameters
    ----------
    capability, profile
        What the server says it can do, and what it can do; decide what is asked, and how.
    types
        Resource types to ask for, from the settings; empty for those of the server.
    page_size
        Rows that are asked for on a page; fewer where the server cannot give so many.
    since
        An instant ("2026-11-24T10:00:00Z"): ask only for what changed since, and end the question where the server
        does not say that it filtered. "" for all.
    increment
        From when on each type is asked; where the server does not filter, all of it is.
    way
        "crawl", type after type, or "patients", patient after patient.
    at_once
        How many questions are open at the same time.
    aliases
        Other base URLs under which the server writes links to itself.
    fills_in
        Whether what others refer to is asked for (`gateway.pull.fill_ins`).
    is_held
        Says whether a resource ("Medication/1") is held already.
    landed
        Reads the pages of this pull that were landed before; without it, a cursor of very many rows proves no count.
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
        profile: Profile | None = None,
        increment: Increment | None = None,
        way: Literal["crawl", "patients"] = "crawl",
        at_once: int = 1,
        aliases: Sequence[str] = (),
        fills_in: bool = False,
        is_held: Callable[[str], bool] = lambda name: False,
        landed: Callable[[], Iterable[Page]] | None = None,
    ) -> None:
        self.name = name
        self._connection, self._capability = connection, capability
        self._profile = profile or Profile()
        self._increment = increment or Increment({"*": since} if since else {})
        self._plan = Plan.make(capability, self._profile, self._increment, types=types, way=way, page_size=page_size)
        self._way, self._at_once, self._fills_in = way, at_once, fills_in
        self._links = Links(connection.base, aliases)
        self._steps = Stepper(
            connection,
            self._links,
            version=capability.fhir_version,
            types=tuple(capability.types) or types,
            histories=[type_ for type_ in capability.types if is_offered(capability, type_)],
            is_held=is_held,
            filters=self._profile.last_updated == "yes",
            estimates=self._profile.totals == "estimate",
            falls_back=increment is not None,
            longest_url=self._profile.longest_url,
        )
        begin = partial(from_mark, profile=self._profile, increment=self._increment)
        self._sequel = Sequel(connection, capability, self._steps, begin, fills_in=fills_in)
        self._is_held, self._landed = is_held, landed
        self._begin(None)

    async def pages(self, cursor: str | None) -> AsyncGenerator[Page, None]:
        """Walk the pages, from the start or behind `cursor`. They come in the order in which they are answered."""
        walk = self._begin(cursor)
        if walk.inquiries and not walk.control:
            walk.control = await ask_nonsense(self._connection, walk.inquiries[0].type)
        self._steps.control = control_of(walk).unknown
        running: dict[_Key, asyncio.Task[Step]] = {}
        late: dict[_Key, ComeBackLater] = {}
        try:
            while True:
                self._open(walk, late)
                self._start(walk, running, late)
                if not running and late:
                    self._once_more(walk, late)
                    continue
                if not running:
                    if await self._sequel.go_on(walk, self._recall.patients, self._references):
                        continue
                    break
                for key in await _first_done(running, walk):
                    try:
                        step = running.pop(key).result()
                    except ComeBackLater as fault:
                        late[key] = fault
                        continue
                    page = self._land(walk, step)
                    self._open(walk, late)
                    self._start(walk, running, late)
                    await _send(running)
                    yield page
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
            await self._steps.close()

    def certificate(self) -> Certificate:
        """Certify the walk; what was not walked to its end counts as "unfinished"."""
        remarks = [*remarks_of(self._connection.auth)]
        if self._links.rewritten:
            remarks.append("Next links named another host; our own was asked for the same path.")
        if self._references.left_out:
            remarks.append("More is referred to than was filled in.")
        return certify(
            self.name,
            self._capability.fhir_version,
            self._walk,
            self._plan,
            self._increment,
            way=self._way,
            patients=len(self._recall.patients),
            remarks=tuple(remarks),
        )

    def _begin(self, cursor: str | None) -> Walk:
        walk = Walk.resume(cursor, self._plan.name) or Walk(self._plan.name)
        if not walk.inquiries:
            walk.inquiries = [msgspec.structs.replace(each) for each in self._plan.inquiries]
        walk.open = [msgspec.structs.replace(each, waited=0) for each in walk.open]
        types = [type_ for type_ in FILLED_IN if self._is_there(type_)] if self._fills_in else []
        self._references = References(str(self._connection.base.url), [*types, "Patient"], self._is_held)
        self._walk = walk
        self._recall = Recall(walk, self._references, self._landed)
        return walk

    def _is_there(self, type_: str) -> bool:
        """Say whether the server may have a type. One that lists nothing may have all."""
        return not self._capability.types or type_ in self._capability.types

    def _open(self, walk: Walk, late: Container[_Key] = ()) -> None:
        """Open as many questions as are asked at the same time, those first of which fewest were asked.

        Those that were put off do not count, but for a server that puts off whatever it is asked.
        """
        while sum(_key(each) not in late for each in walk.open) < self._at_once and len(walk.open) < _PUT_OFF:
            patients = len(self._recall.patients)
            left = [
                (each.opened if each.way in ("patients", "everything") else 0, place)
                for place, each in enumerate(walk.inquiries)
                if each.opened < number_of(each, patients) and self._may_open(walk, each)
            ]
            if not left:
                return
            _, place = min(left)
            inquiry = walk.inquiries[place]
            walk.open.append(
                Question(place, inquiry.opened, size=inquiry.size, by_post=inquiry.by_post, after=walk.number)
            )
            inquiry.opened += 1

    def _may_open(self, walk: Walk, inquiry: Inquiry) -> bool:
        """Say whether an inquiry's questions are known: patients must have come before they are asked for."""
        return inquiry.way not in ("patients", "everything") or _patients_came(walk)

    def _start(self, walk: Walk, running: dict[_Key, asyncio.Task[Step]], late: Mapping[_Key, ComeBackLater]) -> None:
        for question in walk.open:
            key = _key(question)
            if key not in running and key not in late:
                seen, urls = self._recall.of(question)
                inquiry = walk.inquiries[question.inquiry]
                step = self._steps.take(inquiry, question, self._recall.patients, seen, urls)
                running[key] = asyncio.create_task(step)

    def _once_more(self, walk: Walk, late: dict[_Key, ComeBackLater]) -> None:
        """Try what was put off once more, now that all else is done; raises what is left where that did not help."""
        first = next(iter(late.values()))
        again = {_key(each) for each in walk.open if not each.waited}
        if not again & late.keys():
            raise first
        walk.open = [msgspec.structs.replace(each, waited=1) if _key(each) in late else each for each in walk.open]
        late.clear()

    def _land(self, walk: Walk, step: Step) -> Page:
        """Take a step up into the walk, and make the page of it."""
        question, key = step.question, _key(step.question)
        inquiry = walk.inquiries[question.inquiry]
        place = next(i for i, each in enumerate(walk.open) if _key(each) == key)
        if question.again > walk.open[place].again:
            question = msgspec.structs.replace(question, after=walk.number)
        for text in step.remarks:
            walk.remark(text)
        walk.number += 1
        what = f"{step.name}, page {question.pages}"
        if step.refiltered:
            what = f"{step.name}, not filtered"
            self._refilter(walk, inquiry, step.filter)
            walk.open[place] = Question(*key, size=question.size, by_post=question.by_post, after=walk.number)
            self._recall.forget(question)
        else:
            step.landed()
            self._recall.keep(question, step.seen, step.urls)
            self._note(walk, inquiry, step)
            walk.open[place] = question
        if question.stopped and not step.refiltered:
            what = f"{step.name}, stopped: {question.stopped}"
        if step.ended and not step.refiltered:
            del walk.open[place]
            self._recall.forget(question)
            inquiry.end(question)
            inquiry.refused = inquiry.refused or (step.not_so and not question.pages)
        cursor = self._recall.written(walk)
        return Page(walk.number, what, tuple(step.entries), cursor, inquiry.type, step.sent)

    def _note(self, walk: Walk, inquiry: Inquiry, step: Step) -> None:
        """Note who came, and what they refer to."""
        if inquiry.way == "named":
            if inquiry.type == "Patient" and step.entries and not self._recall.lost:
                _lacks_some(walk)
            if step.absent:
                walk.remark(f"{inquiry.type}: others refer to some that the server does not have.")
            if step.unknown:
                walk.remark(f"{inquiry.type}: the server does not give what others refer to.")
        is_list = inquiry.type == "Patient" and inquiry.way == "list"
        is_record = inquiry.way == "everything"
        for row in step.rows:
            self._references.arrived(row.type, row.id)
            if is_list and row.type == "Patient" and row.is_asked and row.id:
                self._recall.meet(row.id)
            if is_record and row.type != "Patient" and row.key not in self._recall.recorded:
                self._recall.recorded.add(row.key)  # one may be in the records of two patients
                inquiry.by_type[row.type] = inquiry.by_type.get(row.type, 0) + 1
        self._references.note_all(entry.raw for entry in step.entries if not entry.problem)

    def _refilter(self, walk: Walk, inquiry: Inquiry, refused: str) -> None:
        """Ask by another date, or for all, where the server does not filter by this one."""
        if inquiry.filter != refused or inquiry.asks_all:
            return  # another question of it has met the same
        created = filter_of(inquiry.type, self._profile, refused=refused)
        if inquiry.way != "list":  # some of its questions may have been filtered: it is no list of all
            inquiry.asks_all, created = True, ""
            inquiry.signs = tuple(dict.fromkeys((*inquiry.signs, "unproven-filter")))
        else:
            inquiry.filter, inquiry.since = created, inquiry.since if created else ""
        instead = f"asked by {created}" if created else "asked for all"
        walk.remark(f"{inquiry.type}: the server does not filter by {refused}; {instead}.")


def _lacks_some(walk: Walk) -> None:
    """Note that a list of patients that was walked to its end lacks some."""
    for each in walk.inquiries:
        if each.type == "Patient" and each.is_plain and not each.stopped:
            each.signs = tuple(dict.fromkeys((*each.signs, "known-to-be-missing")))


def _key(question: Question) -> _Key:
    return question.inquiry, question.part


def _patients_came(walk: Walk) -> bool:
    lists = [each for each in walk.inquiries if each.type == "Patient" and each.way == "list"]
    return all(each.ended for each in lists)


async def _first_done(running: Mapping[_Key, asyncio.Task[Step]], walk: Walk) -> list[_Key]:
    """Wait until something came; return what did, in the order of the plan."""
    await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
    return [key for key in sorted(running) if running[key].done()]


async def _send(running: Mapping[_Key, asyncio.Task[Step]]) -> None:
    """Let the requests out before the page is stored, so that the server works meanwhile."""
    for _ in range(_SENDING):
        if running:
            await asyncio.sleep(0)

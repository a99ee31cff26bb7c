"""FHIR search over the twins that a caller may see: by type, posted, and within the compartment of one patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Pairs, Reply
from gateway.api.paging import Pager, bound_to, no_such_page
from gateway.api.reading import TYPES
from gateway.api.refusal import Refusal
from gateway.api.search.bundle import write_searchset
from gateway.api.search.described import describe
from gateway.api.search.included import Included, include
from gateway.api.search.likely import likely_twins
from gateway.api.search.question import PAGE, read_question
from gateway.api.search.walk import Position, Walk
from gateway.api.shown import Shown
from mappers.search import SEARCHED
from security.compartment import COMPARTMENT

__all__ = ["OFFERS", "SEARCH", "answer_search"]

LIFETIME: Final = timedelta(hours=24)
"""How long a link to a further page is of use."""

_SEARCHED: Final[tuple[str, ...]] = tuple(type_ for type_ in TYPES if type_ in SEARCHED)
_IN_COMPARTMENT: Final[tuple[str, ...]] = tuple(type_ for type_ in _SEARCHED if type_ in COMPARTMENT)

SEARCH: Final[dict[str, dict[str, Any]]] = {type_: describe(type_, _SEARCHED) for type_ in _SEARCHED}
"""What can be searched, as a CapabilityStatement tells it: type to searchParam, searchInclude and searchRevInclude."""


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """What a link to a further page holds, sealed."""

    position: Position
    until: datetime
    lenient: bool
    told: tuple[tuple[str, str], ...]


async def search(call: Call) -> Reply:
    """Answer a search. What opens many twins waits in a thread."""
    asked = _Asked(call)
    return asked.answer() if asked.walk.is_narrow else await run_in_threadpool(asked.answer)


def answer_search(call: Call) -> Reply:
    """Answer a search that is part of something else (an entry of a batch)."""
    return _Asked(call).answer()


class _Asked:
    """One search on its way: understood, with the walk that will answer it. Raises a `Refusal`."""

    def __init__(self, call: Call) -> None:
        self.call = call
        type_, patient = call.path["type"], call.path.get("id", "")
        call.view.demand("s", type_)
        self.path = f"Patient/{patient}/{type_}" if patient else type_
        self.token = self._token(call.parameters)
        lenient = self.token.lenient if self.token else call.prefer.get("handling") == "lenient"
        told: Pairs = self.token.told if self.token else call.parameters
        self.question = read_question(type_, told, lenient=lenient)
        self.lenient = lenient
        twin = call.view.charts.twin_of("Patient", patient) if patient else ""
        likely = () if patient or self.token else likely_twins(call.home.store, self.question, call.view.caller.tenant)
        compartment = f"Patient/{patient}" if patient else ""
        self.walk = Walk(call.view, self.question, call.base, call.now, compartment, twin, likely)

    def answer(self) -> Reply:
        """Find the page, and write it."""
        question = self.question
        if question.summary == "count":
            bundle = write_searchset(self.call.base, question, self._links(None), (), total=self.walk.count())
            return Reply(body=bundle, patient=self._patient())
        found = self.walk.page(self.token.position if self.token else None)
        included = Included()
        if question.including:
            included = include(self.call.view, self.call.base, found.matches, question.including)
        body = write_searchset(
            self.call.base,
            question,
            self._links(found.next),
            found.matches,
            included.found,
            total=found.total,
            is_cut=included.is_cut,
        )
        return Reply(body=body, found=_whose(found.matches, included.found), patient=self._patient())

    def _patient(self) -> str:
        """Name the one twin that was asked about, if the caller may know that there is one."""
        one = self.walk.one
        return one if one and self.call.view.state(one) else ""

    def _links(self, further: Position | None) -> list[tuple[str, str]]:
        first = self._url(self.question.told)
        links = [("self", self._url(self.call.parameters) if self.token else first)]
        if self.token:
            links.append(("first", first))
        if further is not None:
            until = self.token.until if self.token else self.call.now + LIFETIME
            sealed = msgspec.json.encode(_Token(further, until, self.lenient, self.question.told))
            pager = Pager(self.call.home.paging)
            links.append(("next", self._url([(PAGE, pager.seal(bound_to(self.call.view.caller), self.path, sealed))])))
        return links

    def _token(self, pairs: Pairs) -> _Token | None:
        told = [value for name, value in pairs if name == PAGE]
        if not told:
            return None
        if len(pairs) > 1:
            raise Refusal(400, "invalid", "The link to a further page is used as it is.")
        opened = Pager(self.call.home.paging).open(bound_to(self.call.view.caller), self.path, told[0])
        try:
            token = msgspec.json.decode(opened, type=_Token)
        except msgspec.DecodeError as error:
            raise no_such_page() from error
        if token.until < self.call.now:
            raise no_such_page()
        return token

    def _url(self, pairs: Pairs) -> str:
        told = urlencode(list(pairs), safe=":/,|$")
        return f"{self.call.base}/{self.path}?{told}" if told else f"{self.call.base}/{self.path}"


def _whose(*found: Sequence[Shown]) -> Mapping[str, Sequence[str]]:
    whose: dict[str, list[str]] = {}
    for each in found:
        for shown in each:
            whose.setdefault(shown.twin, []).append(shown.reference)
    return whose


OFFERS: Final = (
    Offer(method="GET", path="/{type}", interaction="search-type", answer=search, event="search", types=_SEARCHED),
    Offer(
        method="POST", path="/{type}/_search", interaction="search-type", answer=search, event="search", types=_SEARCHED
    ),
    Offer(
        method="GET",
        path="/Patient/{id}/{type}",
        interaction="search-type",
        answer=search,
        event="search",
        types=_IN_COMPARTMENT,
    ),
    Offer(
        method="POST",
        path="/Patient/{id}/{type}/_search",
        interaction="search-type",
        answer=search,
        event="search",
        types=_IN_COMPARTMENT,
    ),
)

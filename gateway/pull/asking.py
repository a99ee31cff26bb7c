"""One page of a search, asked for in a way that the server takes: by GET or POST, in pages as large as it can give."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import msgspec

from gateway.pull.bundle import Bundle, NotReadError, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.early import Early
from gateway.pull.inflate import TooLarge
from gateway.pull.network import TimedOut
from gateway.pull.outcome import ServerError, read_outcome
from gateway.pull.walk import Parameters, Question
from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Refused, Unreachable

__all__ = ["SAID_NO", "Answer", "Asker", "First", "Stopped", "codes_in"]

SAID_NO: Final = frozenset(range(400, 500)) - {401, 408, 425, 429}
"""Statuses that are about one question; the rest is about all."""
_EXPIRED = frozenset({400, 404, 410})  # what servers say to a next link that they have forgotten (hapi-fhir#7220)
_TOO_LONG = frozenset({404, 414})  # microsoft/fhir-server#2250
_LONG = 1000  # characters from which on a URL may be too long
_NOT_SO = frozenset({400, 422})
_WAYS = 16  # in which one page is asked for, at most
_COUNT = re.compile(r"([?&]_count=)(\d+)")


class Stopped(Exception):
    """A question has ended early.

    `reason` is a key of `gateway.pull.page.STOPS`; `said` is a remark for the certificate. `not_so` says that the
    server refuses the question as it was asked, so that it may answer another one.
    """

    def __init__(self, reason: str, said: str = "", *, not_so: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said
        self.not_so = not_so


@dataclass(frozen=True, slots=True)
class First:
    """How a question begins.

    Parameters
    ----------
    target, params
        What is searched ("Observation"), and by which parameters, without `_count`.
    name
        What it is called in remarks.
    is_filtered
        Whether the server shall refuse a parameter that it does not know, rather than ignore it.
    """

    target: str
    params: Parameters
    name: str
    is_filtered: bool = False


@dataclass(slots=True)
class Answer:
    """A page as it came, the request as it was sent, the question as it is asked now, and where its next link leads."""

    reply: Reply
    bundle: Bundle
    sent: str
    question: Question
    remarks: list[str] = field(default_factory=list)
    link: str = ""


class Asker:
    """Asks for pages. It raises `Stopped` for what ends a question, and lets through what ends a pull.

    Parameters
    ----------
    longest_url
        From this length on, a search is a POST.
    """

    def __init__(self, connection: Connection, longest_url: int) -> None:
        self._connection = connection
        self._longest = longest_url - len(str(connection.base.url))
        self._early = Early[tuple[Reply, Bundle | None]]()

    async def ask_early(self, question: Question, link: str, first: First) -> None:
        """Send the request for the page behind the one that came, so that the server works while that one is read."""
        ahead = msgspec.structs.replace(question, next=link)
        await self._early.send(_key(question), link, self._send(ahead, first, tries=None))

    async def close(self) -> None:
        """Forget what was asked early and is not wanted any more."""
        await self._early.close()

    async def page(self, question: Question, first: First) -> Answer:
        """Ask for the next page of a question, in another way where the server does not take the first one."""
        remarks: list[str] = []
        for way in range(_WAYS):
            length = len(f"{first.target}?{urlencode(_pairs(question, first))}")
            if not question.next and length > self._longest:
                question = msgspec.structs.replace(question, by_post=True)
            try:
                came = await self._early.take(_key(question), question.next)
                reply, bundle = came or await self._send(question, first, tries=1 if way else None)
            except (ComeBackLater, Denied):
                raise
            except TooLarge as fault:
                question = _smaller(question, "too-large", fault)
            except NotFhir as fault:
                raise Stopped("not-fhir") from fault
            except Refused as fault:
                raise Stopped("refused") from fault
            except Unreachable as fault:
                if not await self._connection.answers():
                    raise
                if not _may_be_size(fault):
                    raise Stopped("unreachable") from fault
                question = _smaller(question, "unreachable", fault)
            else:
                if bundle is not None:
                    return Answer(reply, bundle, _sent(reply, question, first), question, remarks)
                question = _otherwise(question, reply, first, length, remarks)
                continue
            remarks.append(f"{first.name}: asked for in smaller pages.")
        raise Stopped("refused")

    async def _send(self, question: Question, first: First, *, tries: int | None) -> tuple[Reply, Bundle | None]:
        """Ask once; no Bundle where the server says no to the question. What is no FHIR is asked for once more."""
        found: list[Bundle] = []

        def check(reply: Reply) -> None:
            try:
                found[:] = [read_bundle(reply.body)]
            except NotReadError as error:
                raise NotFhir("The server's answer is no Bundle.", hint="Run twin doctor.", detail=error) from error

        if question.next and not question.links_by_post:
            reply = await self._connection.get(question.next, allow=SAID_NO, tries=tries, fresh=True, check=check)
        else:
            reply = await self._connection.search(
                question.next or first.target,
                () if question.next else _pairs(question, first),
                allow=SAID_NO,
                tries=tries,
                fresh=True,
                prefer="handling=strict" if first.is_filtered else "",
                by_post=question.links_by_post if question.next else question.by_post,
                check=check,
            )
        return reply, None if reply.status in SAID_NO else found[0]


def codes_in(body: bytes) -> str:
    """Write the issue codes of an OperationOutcome for a remark, "" where it is none."""
    told = read_outcome(body).codes
    return f" ({', '.join(told)})" if told else ""


def _key(question: Question) -> tuple[int, int]:
    return question.inquiry, question.part


def _pairs(question: Question, first: First) -> Parameters:
    return ((("_count", str(question.size)),) if question.size else ()) + first.params


def _sent(reply: Reply, question: Question, first: First) -> str:
    by_form = not question.next and question.by_post
    return f"{reply.url}?{urlencode(_pairs(question, first))}" if by_form else reply.url


def _otherwise(question: Question, reply: Reply, first: First, length: int, remarks: list[str]) -> Question:
    """Say how a question is asked instead after the server said no to it; raises `Stopped` where it is answered."""
    status, is_first = reply.status, not question.next
    said = f"{first.name}: status {status}{codes_in(reply.body)}."
    if status == 413:
        remarks.append(f"{first.name}: asked for in smaller pages.")
        return _smaller(question, "too-large")
    if is_first and not question.by_post and (status == 405 or (status in _TOO_LONG and length > _LONG)):
        remarks.append(f"{first.name}: asked for by POST.")
        return msgspec.structs.replace(question, by_post=True)
    if not is_first and not question.links_by_post and (status == 405 or (question.by_post and status in _EXPIRED)):
        return msgspec.structs.replace(question, links_by_post=True)
    if is_first and status in _NOT_SO and question.size:
        return msgspec.structs.replace(question, size=0)
    if not is_first and status in _EXPIRED and not question.again:
        remarks.append(f"A next link of {first.name} was no longer known to the server: started over.")
        return question.start_over()
    raise Stopped("denied" if status == 403 else "refused", said, not_so=is_first and status in _NOT_SO)


def _smaller(question: Question, reason: str, fault: Fault | None = None) -> Question:
    """Ask for half as many rows a page, from where that can be said; raises `Stopped` where it is one already."""
    told = _COUNT.search(question.next)
    size = int(told[2]) if told else question.size
    if size <= 1:
        raise Stopped(reason) from fault
    if told:
        link = f"{question.next[: told.start()]}{told[1]}{size // 2}{question.next[told.end() :]}"
        return msgspec.structs.replace(question, next=link, size=size // 2)
    return question.start_over(size=size // 2) if question.next else msgspec.structs.replace(question, size=size // 2)


def _may_be_size(fault: Unreachable) -> bool:
    """Say whether a smaller page may be answered: after a time-out, and after a 500, as of a server without memory."""
    return isinstance(fault, TimedOut) or (isinstance(fault, ServerError) and fault.status == 500)

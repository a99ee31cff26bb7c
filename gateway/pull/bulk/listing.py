"""The list of the files of an export: the manifest, all pages of it, asked for afresh whenever we need it."""

from __future__ import annotations

import msgspec

from gateway.pull.bulk.job import Job
from gateway.pull.bulk.manifest import Manifest, read_manifest
from gateway.pull.bulk.polling import Answer, Polls
from gateway.pull.bulk.waiting import LONGEST_S, Waiting
from gateway.pull.bundle import NotReadError
from gateway.pull.connection import Connection
from security.errors import Refused

__all__ = ["Listing"]

_PAGES = 10_000


class Listing:
    """Gets the manifest of a job.

    Parameters
    ----------
    tries
        How often a manifest is asked for that cannot be read.
    """

    def __init__(self, connection: Connection, waiting: Waiting, tries: int) -> None:
        self._connection, self._polls = connection, Polls(connection)
        self._waiting, self._tries = waiting, tries

    async def read(self, job: Job, first: Answer | None = None) -> Manifest | Answer:
        """Return the manifest, or what the status says instead: lost, or failed (also where it cannot be read).

        `first` is the answer of a poll that found the export done, so that it is not asked for twice.
        """
        if job.inline:
            page = read_manifest(job.inline.encode())
            url = str(self._connection.base.url)
        else:
            found = await self._page(job, job.status, first)
            if isinstance(found, Answer):
                return found
            page, url = found
        manifest = msgspec.structs.replace(page, url=url)
        seen = {url, job.status}
        while manifest.next:
            try:
                next_ = self._connection.told(manifest.next, url).url
            except Refused:
                return _unread("a link of it leads nowhere")
            if next_ in seen or len(seen) > _PAGES:
                return _unread("its pages lead in a circle")
            seen.add(next_)
            found = await self._page(job, next_)
            if isinstance(found, Answer):
                return found
            page, url = found
            manifest = manifest.with_page(page)
        return manifest.in_order(job.order.types)

    async def _page(self, job: Job, url: str, answer: Answer | None = None) -> tuple[Manifest, str] | Answer:
        """Ask for one page until it is there, and once more, some times, where it cannot be read."""
        told = self._connection.told(url)
        for attempt in range(self._tries):
            while answer is None or answer.state == "wait":
                if answer is not None:
                    ready = self._waiting.now + answer.wait
                    if ready - job.begun > LONGEST_S:
                        return _unread("a page of it does not come")
                    await self._waiting.until(ready, "the list of files is ready")
                answer = await self._polls.ask(told, self._waiting.now)
            if answer.state != "done":
                return answer
            try:
                return read_manifest(answer.body), answer.url
            except NotReadError:
                answer = None
                await self._waiting.pause(2.0**attempt)
        return _unread("it is cut, or no manifest")


def _unread(why: str) -> Answer:
    return Answer("unread", codes=why)

"""Pull by Bulk Data export: asked for, waited for, fetched, dropped; each step is stored before the next request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from gateway.pull.bulk.cancelling import drop
from gateway.pull.bulk.certified import certify
from gateway.pull.bulk.comparison import Comparison
from gateway.pull.bulk.counting import count
from gateway.pull.bulk.filling import Filling, Landed
from gateway.pull.bulk.job import Job, named
from gateway.pull.bulk.kick_off import Busy, KickOff, NotBegunError
from gateway.pull.bulk.listing import Listing
from gateway.pull.bulk.loading import ExpiredError, Loaded, Loading
from gateway.pull.bulk.manifest import Manifest
from gateway.pull.bulk.order import Order, order_for
from gateway.pull.bulk.polling import Answer, Polls
from gateway.pull.bulk.waiting import LONGEST_S, Waiting
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.metadata import Capability
from gateway.pull.page import Certificate, Entry, Gone, Page
from gateway.pull.profile import Profile
from gateway.pull.tokens import remarks_of
from gateway.source_settings import SourceSettings

__all__ = ["BulkExport"]

_LONG = 60.0  # a pause that is stored, so that a restart keeps to it
_BUSY_S = 3600.0  # how long we wait for another export of ours to end


class BulkExport:
    """The way for many patients: the server writes files, and we fetch them.

    The cursor holds the job. Each change of it is an empty page, stored before the next request is sent: killed at any
    moment, the next walk goes on with the same export. Killed between the request that begins an export and the answer
    to it, nobody knows whether one runs: the certificate says so (`lost-job`).

    Parameters
    ----------
    capability, profile
        What the server says it can do, and what is known of it.
    since
        An instant, or one for each type ("*" for all others): an export has one for all, so that it is the earliest,
        and none where a type has none. "" for all there is.
    after
        The id of the pull that this one goes on from.
    clock, sleep
        The time now (aware), and how to wait; tests bring their own.
    is_held, landed
        As `Filling` has them.

    `waiting` says what is shown while we wait, and whether we wait at all.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        capability: Capability,
        profile: Profile,
        settings: SourceSettings,
        *,
        since: Mapping[str, str] | str = "",
        after: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_held: Callable[[str], bool] = lambda name: False,
        landed: Landed | None = None,
    ) -> None:
        self.name = name
        self.waiting = Waiting(name, clock, sleep)
        self._connection, self._version, self._settings = connection, capability.fhir_version, settings
        self._after, self._capability, self._is_held, self._landed = after, capability, is_held, landed
        order = order_for(settings, capability, profile.bulk)
        wanted = _earliest(since, order)
        self._wish = _wish(settings, since)
        self._ignores_since = bool(wanted) and profile.bulk.since == "no"
        self._order = msgspec.structs.replace(order, since="" if self._ignores_since else wanted)
        # A person's instant may lie behind what the last pull reached: nothing may go on from here.
        self._leads_on = not wanted or (not isinstance(since, str) and "*" not in since)
        self._answer: Answer | None = None
        self._kick_off = KickOff(connection, profile.bulk)
        self._comparison = Comparison(connection, capability, profile)
        self._start(None)

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Walk from the start or behind `cursor`; raises what ends everything, and the next walk goes on."""
        job, unwanted = self._start(cursor)
        if unwanted:
            await self._drop(unwanted)
        if job.step == "asking":
            job.is_lost, job.step = True, "new"
        steps = {
            "new": self._begin,
            "polling": self._poll,
            "loading": self._load,
            "cleaning": self._clean,
            "filling": self._fill,
        }
        while job.step != "done":
            async for page in steps[job.step](job):
                yield page

    def certificate(self) -> Certificate:
        """Certify the walk; it is complete only where each file was read to its end, and holds what was said."""
        for text in remarks_of(self._connection.auth):
            self._job.remark(text)
        return certify(self.name, self._version, self._job, self._after, leads_on=self._leads_on)

    async def _begin(self, job: Job) -> AsyncIterator[Page]:
        """Ask for the export. Where the server refused, for sure none is under way; else one may be."""
        left = job.not_before - self.waiting.now
        if left > self._settings.come_back_s:
            raise ComeBackLater(left)
        await self.waiting.until(job.not_before, "another export ends")
        if self._ignores_since:
            job.remark("This server cannot export changes alone: everything is asked for.")
        job.step = "asking"
        yield self._page("asked for", job)
        try:
            answer = await self._kick_off(job, self.waiting.now)
        except NotBegunError as refusal:
            job.step = "new"
            yield self._page("not begun", job)
            raise refusal.fault from refusal
        if isinstance(answer, Busy):
            self._busy += 1
            seconds = max(min(60.0, 2.0 ** min(self._busy, 6)), answer.seconds or 0.0)
            job.step, job.not_before = "new", self.waiting.now + seconds
            yield self._page("not begun yet", job)
            if seconds > self._settings.come_back_s or self.waiting.waited > _BUSY_S:
                raise ComeBackLater(seconds)
            return
        job.begun, job.not_before = self.waiting.now, 0.0
        job.started = answer.started or datetime.fromtimestamp(job.begun, UTC).isoformat()
        job.status, job.inline = answer.status, answer.inline
        job.step = "loading" if answer.inline else "polling"
        if not answer.inline and not answer.status:
            job.is_lost = True
            job.fail("export-failed", answer.why or "The server began an export and did not say where.")
        yield self._page("begun", job)

    async def _poll(self, job: Job) -> AsyncIterator[Page]:
        """Ask until it is done, lost or failed, never sooner than the server wants it."""
        await self.waiting.until(job.not_before, "the export is ready")
        answer = await self._polls.ask(self._connection.told(job.status), self.waiting.now)
        if answer.state == "done":
            job.step, job.not_before, self._answer = "loading", 0.0, answer
            yield self._page("ready", job)
            return
        if answer.state != "wait":
            self._end(job, answer)
            yield self._page("not to be had", job)
            return
        job.not_before, self.waiting.progress = self.waiting.now + answer.wait, answer.progress
        if job.not_before - job.begun > LONGEST_S:
            job.fail("export-failed", "The export is not ready within 30 days.")
        if answer.wait >= _LONG or job.failed or not self.waiting.is_allowed:
            yield self._page("under way", job)

    async def _load(self, job: Job) -> AsyncIterator[Page]:
        """Fetch the files. Where addresses have expired, the list is asked for again and we go on with fresh ones."""
        listing = Listing(self._connection, self.waiting, self._settings.tries)
        files = await listing.read(job, self._answer)
        self._answer = None
        if isinstance(files, Answer):
            self._end(job, files)
            yield self._page("without files", job)
            return
        job.take_up(files)
        if not files.has_output:
            job.remark("The list of files did not say what was exported.")
            job.failed = "" if job.order.since else "no-manifest"  # of changes there may be none
        loading = Loading(self._connection, self._settings, self._version, job, files, self._blamed)
        try:
            async with aclosing(loading.parts()) as parts:
                async for part in parts:
                    yield self._loaded(job, files, part)
        except ExpiredError as expired:
            self._blamed.add(expired.index)
            return
        if not job.failed:
            await self._comparison(job)
        job.step = "cleaning"
        yield self._page("all fetched", job)

    async def _clean(self, job: Job) -> AsyncIterator[Page]:
        """Drop the job: all that we want of it is stored."""
        if job.status:
            await self._drop(job.status)
        job.step, job.status, job.inline = "done" if job.failed else "filling", "", ""
        yield self._page("dropped", job)

    async def _fill(self, job: Job) -> AsyncIterator[Page]:
        """Ask for what is referred to and did not come."""
        if self._is_resumed:
            self._filling.recall()
        async for type_, found in self._filling.steps(job):
            yield self._page(f"{type_}, filled in", job, found.sent or type_, found.entries, type_=type_)
        job.step = "done"
        yield self._page("done", job)

    async def _drop(self, status: str) -> None:
        if not await drop(self._connection, status):
            self._job.remark("The server was not told that the export is no longer needed: it expires by itself.")

    def _start(self, cursor: str | None) -> tuple[Job, str]:
        """Take up a cursor; return its job, and the status of another one that nobody wants any more."""
        self._job, unwanted = Job.resume(cursor, self._wish, self._order)
        self._is_resumed = cursor is not None
        self._filling = Filling(self._connection, self._capability, self._is_held, self._landed)
        self._polls = Polls(self._connection)
        self._answer = None
        self._blamed: set[int] = set()
        self.waiting.progress, self.waiting.waited, self._busy = "", 0.0, 0
        return self._job, unwanted

    def _end(self, job: Job, answer: Answer) -> None:
        """Take the answer that there is nothing to fetch: begin again where the server forgot us, once, or give up."""
        if answer.state == "lost" and not job.again:
            job.forget()
            job.remark("The server no longer knew the export: it was begun again.")
            self._polls = Polls(self._connection)
        elif answer.state == "lost":
            job.fail("export-failed", "The server no longer knew the export, twice.")
        elif answer.state == "unread":
            job.fail("no-manifest", f"The list of files could not be read: {answer.codes}.")
        else:
            job.fail("export-failed", f"The server says that the export failed ({answer.codes}).")

    def _loaded(self, job: Job, files: Manifest, part: Loaded) -> Page:
        """Make the page of a part of a file, and count it."""
        file = files.files[part.index]
        number = count(job, file, part)
        what = f"{file.type or named(file)}, file {part.index + 1} of {len(files.files)}"
        what += f", page {number}" if number > 1 or not part.is_end else ""
        what += f", stopped: {part.stopped}" if part.stopped else ""
        self._filling.note(file.type, part.content.entries)
        return self._page(what, job, _plain(file.url), part.content.entries, part.content.gone, file.type)

    def _page(
        self,
        what: str,
        job: Job,
        query: str = "",
        entries: Iterable[Entry] = (),
        gone: Iterable[Gone] = (),
        type_: str = "",
    ) -> Page:
        job.number += 1
        asked = query or job.status or f"{self._connection.base.url}/{job.order.path}"
        what = what if query else f"bulk export, {what}"
        return Page(job.number, what, tuple(entries), job.cursor(), type_, asked, tuple(gone))


def _wish(settings: SourceSettings, since: Mapping[str, str] | str) -> str:
    """Name what is wanted, to know an export again that was begun for it."""
    instants = since if isinstance(since, str) else sorted(since.items())
    told = (settings.export, settings.group, settings.types, settings.filters, instants)
    return msgspec.json.encode(told).decode()


def _earliest(since: Mapping[str, str] | str, order: Order) -> str:
    """Return the one instant of an export: before it nothing is missing of any type."""
    if isinstance(since, str):
        return since
    found = [
        since.get(order.watermark(type_))
        or (since.get(type_) if not order.filtered(type_) else None)
        or since.get("*", "")
        for type_ in order.types
    ]
    return min(found, key=datetime.fromisoformat) if found and all(found) else ""


def _plain(url: str) -> str:
    """Write an address without its query, which may be the key to it."""
    return urlsplit(url)._replace(query="", fragment="").geturl()

"""Pull and map: pages are sealed as they come, then become facts of twins, page by page.

Nothing is mapped before it is safe on disk, so that killing the process costs at most what is in flight (the page, or
the few pages that are being mapped), and running it again goes on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from gateway.absence import ask_for_absent
from gateway.census import Census
from gateway.home import Home, now
from gateway.merges import merge_patients, part_patients, plan_merges
from gateway.pull.ahead import ahead
from gateway.pull.crawl import SearchCrawl
from gateway.pull.folder import Folder
from gateway.pull.page import Certificate, Page, Source
from gateway.recalled import recall
from gateway.retractions import end_patients, ends, holders_of, retraction_events
from gateway.store import Ends, Pull, StoredResource
from gateway.store.holders import Holders
from gateway.store.values import AnyResource
from gateway.understanding import understand_by_forms
from mappers.forms import Forms
from mappers.ledger import Ledger
from security.audit import certificate_event, import_event, query_event
from security.errors import Fault

__all__ = ["Report", "ingest", "land", "recorded"]

Progress = Callable[[str], None]
_TOGETHER = 10_000  # entries, after which mapped pages are stored
_LANDED_TOGETHER = 4_000  # entries of files, after which they are stored
_LANDED_BYTES = 4 << 20  # of them, or so


@dataclass(frozen=True)
class Report:
    """What one pull brought: twins that it `touched`, and those that it `changed`, which have a new version now."""

    source: str
    fhir_version: str
    certificate: Certificate
    ledger: Ledger
    touched: frozenset[str]
    changed: frozenset[str]
    resumed: bool

    def as_json(self) -> dict[str, Any]:
        """Write it with the keys that scripts rely on; counts only."""
        counts = self.ledger
        return {
            "name": self.source,
            "fhir_version": self.fhir_version,
            "resources": counts.resources,
            "understood": counts.understood,
            "refused": counts.refused,
            "facts": counts.facts,
            "links": counts.links,
            "retracted": self.certificate.retracted,
            "refusals": dict(sorted(counts.refusals.items())),
            "certificate": self.certificate.verdict,
            "stopped": {asked.what: asked.stopped for asked in self.certificate.asked if asked.stopped},
            "note": self.certificate.note,
            "resumed": self.resumed,
        }


async def ingest(home: Home, source: Source, progress: Progress, *, ask_all: bool = False) -> Report:
    """Pull from one source to its end, or from where the last try stopped, and map what came.

    With `ask_all`, all that is not listed any more is asked for, however much it is (`gateway.absence`).
    """
    home.codes.current()  # a table with mistakes is told before anything is asked
    pull = home.store.begin_pull(source.name, now())
    resumed = pull.pages > 0
    settings = home.settings.sources.get(pull.source)
    census = Census(pull.source, settings.base_url if settings else "").read(home.store.landed_pages(pull))
    if pull.state == "fetching":
        pull = await _fetch(home, source, pull, progress, census, ask_all=ask_all)
    report = _map(home, pull, progress, census, resumed=resumed)
    _review(home, report, progress)
    return report


def _review(home: Home, report: Report, progress: Progress) -> None:
    """Look at what was delivered of the twins that have changed; what fails here is found again by the next look."""
    if not report.changed or not home.store.outbox_counts():
        return
    from gateway.deliver.review import review_all  # noqa: PLC0415 - most pulls never need it, nor the models

    try:
        review_all(home, report.changed)
    except Fault as fault:  # the pull is done all the same
        progress(f"{report.source}: what was delivered could not be looked at: {fault}")


async def land(home: Home, source: Source, pull: Pull, progress: Progress, census: Census | None = None) -> int:
    """Walk a source to its end, from where the last try stopped, and store what comes; returns how many entries came.

    A search walks on while its pages are stored in a thread: those that come meanwhile are stored together, and so are
    several pages of files, which are there to be read again. A `census`
    that has read what landed before reads what lands, so that no page is opened for that once more.
    """
    came = 0
    if not isinstance(source, SearchCrawl):
        waiting: list[Page] = []
        try:
            async for page in source.pages(pull.cursor):
                came += len(page.entries)
                waiting.append(page)
                if not isinstance(source, Folder) or _are_enough(waiting):
                    ready, waiting = waiting, []
                    _land(home, source, pull, ready, progress, census)
        finally:
            if waiting:
                _land(home, source, pull, waiting, progress, census)
        return came
    async with aclosing(ahead(source.pages(pull.cursor))) as walking:
        async for ready in walking:
            await _finished(asyncio.to_thread(_land, home, source, pull, ready, progress, census))
            came += sum(len(page.entries) for page in ready)
    return came


def _are_enough(pages: Sequence[Page]) -> bool:
    """Say whether pages of files are worth a transaction of their own, and no more of them should wait in memory."""
    entries = [entry for page in pages for entry in page.entries]
    return len(entries) >= _LANDED_TOGETHER or sum(len(entry.raw) for entry in entries) >= _LANDED_BYTES


def _land(
    home: Home, source: Source, pull: Pull, pages: Sequence[Page], progress: Progress, census: Census | None
) -> None:
    peer, events = home.peer(source.name), []
    pages = home.store.admit(source.name, pages)
    for page in pages:
        progress(f"{source.name}: {page.what}")
        if page.query:
            events.append(query_event(home.access(peer=peer, query=f"GET {page.query}".encode())))
        else:
            events.append(import_event(home.access(peer=peer)))
    home.store.land_all(pull, pages, events)
    if census is not None:
        census.read(pages)


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Wait for what is done in a thread, even where we are to stop: the store may be closed afterwards."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _fetch(home: Home, source: Source, pull: Pull, progress: Progress, census: Census, *, ask_all: bool) -> Pull:
    await land(home, source, pull, progress, census)
    landed = home.store.begin_pull(source.name, now())
    certificate = await ask_for_absent(home, landed, source.certificate(), progress, ask_all=ask_all)
    return home.store.finish_fetch(pull, certificate)


def _map(home: Home, pull: Pull, progress: Progress, census: Census, *, resumed: bool) -> Report:
    census.read(home.store.landed_pages(pull, leaving_out=census.pages))
    plan_merges(home, census)
    changed = part_patients(home, pull, census)
    census.settle(home)
    changed |= merge_patients(home, pull, census)
    changed |= end_patients(home, pull, census.left, census.plain, census.last)
    repeated = census.last.repeated
    census.last.close([*(one.resource for one in census.gone), *census.copies])
    holders = holders_of(home, pull.source)
    touched = set(changed)
    told_of: set[tuple[str, str]] = set()
    batch = _Batch(unlinked=[*recall(home, census, holders)])
    forms = Forms(pull.source, home.codes.current())
    for page in home.store.landed_pages(pull, only_unmapped=True):
        progress(f"{pull.source}: mapping page {page.number}")
        theirs = None if census.is_promise else holders
        writes, unlinked, ledger = understand_by_forms(home, pull.source, census, page, theirs, forms)
        ended = _ended(pull.source, census, holders, page, writes, unlinked)
        events = recorded(home, pull.source, _not_told(told_of, page, writes), page.query)
        events += retraction_events(home, pull.source, ended)
        batch.add(page, writes, unlinked, ledger, ended, events)
        if batch.is_full:
            changed.update(batch.append(home, pull))
            touched.update(batch.writes)
            batch = _Batch()
    if batch.numbers:
        changed.update(batch.append(home, pull))
        touched.update(batch.writes)
    touched |= changed
    if pull.certificate is None:
        raise RuntimeError("a pull is finished only after `finish_fetch`")
    certificate = pull.certificate
    if certificate.way == "bulk":
        certificate = certificate.with_repeats(repeated)
    told = home.access(peer=home.peer(pull.source))
    event = certificate_event(told, pull=pull.id, verdict=certificate.verdict)
    done_pull = home.store.finish_pull(pull, now(), [event], seen=len(census.last), certificate=certificate)
    return Report(
        source=pull.source,
        fhir_version=pull.fhir_version,
        certificate=done_pull.certificate or pull.certificate,
        ledger=Ledger.from_counts(done_pull.ledger),
        touched=frozenset(touched),
        changed=frozenset(changed),
        resumed=resumed,
    )


@dataclass
class _Batch:
    """Mapped pages that are stored together: the more of one twin is sealed at once, the quicker, and the smaller."""

    numbers: list[int] = field(default_factory=list)
    writes: dict[str, list[AnyResource]] = field(default_factory=lambda: defaultdict(list))
    unlinked: list[AnyResource] = field(default_factory=list)
    ended: dict[str | None, list[StoredResource]] = field(default_factory=lambda: defaultdict(list))
    events: list[Mapping[str, Any]] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    entries: int = 0

    @property
    def is_full(self) -> bool:
        """Say whether it is time to store them."""
        return self.entries >= _TOGETHER

    def add(
        self,
        page: Page,
        writes: Mapping[str, Sequence[AnyResource]],
        unlinked: Sequence[AnyResource],
        ledger: Ledger,
        ended: Ends,
        events: Iterable[Mapping[str, Any]],
    ) -> None:
        """Add what became of a page."""
        self.numbers.append(page.number)
        for twin, resources in writes.items():
            self.writes[twin] += resources
        self.unlinked += unlinked
        for holder, resources in ended.items():
            self.ended[holder] += resources
        self.events += events
        self.ledger.merge(ledger)
        self.entries += len(page.entries)

    def append(self, home: Home, pull: Pull) -> Iterable[str]:
        """Store them, all or none; returns the twins that changed."""
        done = home.store.append(
            pull,
            self.numbers,
            self.writes,
            self.unlinked,
            self.ledger.counts(),
            now=now(),
            events=self.events,
            ended=self.ended,
        )
        return done.twins


def _not_told(told_of: set[tuple[str, str]], page: Page, twins: Iterable[str]) -> list[str]:
    """Name the twins of which the audit does not say yet, in this pull, that this question brought something.

    One event tells it for all pages of a question: that a page was asked for is an event of its own.
    """
    question = (page.type or page.query) if page.query else ""
    found = [twin for twin in twins if (question, twin) not in told_of]
    told_of.update((question, twin) for twin in found)
    return found


def _ended(
    source: str,
    census: Census,
    holders: Holders,
    page: Page,
    writes: Mapping[str, Sequence[AnyResource]],
    unlinked: Sequence[AnyResource],
) -> Ends:
    """Say what a page takes back. In files, an id that names something else than before says nothing of that."""
    gone = [one for one in page.gone if one.resource not in census.last]
    if not census.is_promise:
        return ends(source, holders, {}, (), gone)
    return ends(source, holders, writes, unlinked, gone)


def recorded(home: Home, source: str, twins: Iterable[str], query: str = "") -> list[Mapping[str, Any]]:
    """Write for the audit that resources of some twins came from a source, by a question or without one."""
    peer = home.peer(source)
    return [
        query_event(home.access(peer=peer, patient=twin, query=f"GET {query}".encode()))
        if query
        else import_event(home.access(peer=peer, patient=twin))
        for twin in twins
    ]

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

from msgspec.structs import replace

from gateway.absence import ask_for_absent
from gateway.census import Census, origin_of
from gateway.home import Home, now
from gateway.merges import merge_patients, part_patients, plan_merges
from gateway.pull.ahead import ahead
from gateway.pull.crawl import SearchCrawl
from gateway.pull.folder import Folder
from gateway.pull.page import Certificate, Entry, Page, Source
from gateway.recalled import recall
from gateway.retractions import end_patients, ends, holders_of, retraction_events
from gateway.store import Ends, Pull, StoredResource, name_of
from gateway.store.holders import Holders
from gateway.store.values import AnyResource, FilledResource
from mappers import Unreadable, as_fhir_version, as_link, by_resource, map_resource, read_json, subject_of
from mappers.bundles import items_of, place_of
from mappers.codes import Codes
from mappers.facts import Fact, Link, Origin, Outcome, Refusal
from mappers.forms import Form, Forms
from mappers.ledger import Ledger
from security.audit import certificate_event, import_event, query_event

__all__ = ["Report", "ingest", "land", "recorded", "understand"]

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
    return _map(home, pull, progress, census, resumed=resumed)


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
        writes, unlinked, ledger = _understand(home, pull.source, census, page, theirs, forms)
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


def understand(
    home: Home, source: str, census: Census, page: Page, holders: Holders | None = None
) -> tuple[dict[str, list[StoredResource]], list[StoredResource], Ledger]:
    """Map one page: what belongs to which twin, what belongs to none, and the count.

    `holders` are given for files: what another twin holds under the same id is not taken over, and not counted twice.
    """
    writes, unlinked, ledger = _understand(home, source, census, page, holders, None)
    return {twin: _written_out(theirs) for twin, theirs in writes.items()}, _written_out(unlinked), ledger


def _written_out(resources: Iterable[AnyResource]) -> list[StoredResource]:
    return [each if isinstance(each, StoredResource) else each.stored() for each in resources]


def _understand(
    home: Home, source: str, census: Census, page: Page, holders: Holders | None, forms: Forms | None
) -> tuple[dict[str, list[AnyResource]], list[AnyResource], Ledger]:
    """Map one page, by `forms` where they are given: it is worth learning them where many resources come."""
    writes: dict[str, list[AnyResource]] = defaultdict(list)
    unlinked: list[AnyResource] = []
    ledger = Ledger()
    filled_in: dict[Form, int] = {}
    codes = home.codes.current()
    who: dict[str, tuple[str | None, bool]] = {"": (None, False)}  # by reference, as it is written
    is_held = holders if holders is not None and len(holders) else None
    again, mixed, number = census.last.again, census.mixed, page.number
    for index, entry in enumerate(page.entries):
        filled = forms.read(entry.raw, entry.version) if forms is not None and not entry.problem else None
        if filled is not None:
            subject, form = filled.subject, filled.form
            if subject not in who:
                who[subject] = census.twin_of(home, subject), census.is_mixed(subject)
            twin, is_mixed = who[subject]
            is_plain = not is_mixed and (twin is not None or not form.facts)
            if is_plain and (again or mixed or is_held is not None):
                key = filled.key
                is_plain = (
                    key not in mixed
                    and (key not in again or again[key] == (number, index))
                    and (is_held is None or not twin or not _is_anothers(is_held, source, key, twin))
                )
            if is_plain:
                filled_in[form] = filled_in.get(form, 0) + 1
                (writes[twin] if twin else unlinked).append(
                    FilledResource(filled, entry.raw, entry.full_url, entry.place)
                )
                continue
        place = entry.place or f"page {page.number} entry {index}"
        origin, outcomes, subject = _outcomes(entry, source, census, place, codes)
        if subject not in who:
            who[subject] = census.twin_of(home, subject), census.is_mixed(subject)
        twin, is_mixed = who[subject]
        key = origin.resource
        if (
            is_mixed
            or key in census.mixed
            or (twin and holders is not None and origin.id and _is_anothers(holders, source, key, twin))
        ):
            twin, outcomes = None, [Refusal("reused-id", origin)]
        elif twin is None and any(isinstance(outcome, Fact) for outcome in outcomes):
            outcomes = [Refusal("unknown-patient", origin)]
        if not census.is_newest(key, page.number, index):
            # it comes again further on: counted as a link to that occurrence, so that no fact is counted twice
            ledger.add(origin.type, [o for o in outcomes if isinstance(o, Refusal)] or [Link(origin, key)])
            continue
        for type_, some in by_resource(origin, outcomes):
            ledger.add(type_, some)
        stored = StoredResource(source, key, entry.version, entry.raw, tuple(outcomes), entry.full_url, entry.place)
        (writes[twin] if twin else unlinked).append(stored)
    for form, times in filled_in.items():
        ledger.add(form.type, form.outcomes, times)
    return dict(writes), unlinked, ledger


def _without_copies(
    outcomes: list[Outcome], census: Census, origin: Origin, bundle: Mapping[str, Any]
) -> list[Outcome]:
    """Take what stands in a document and came by itself, too, for a link to what came: one statement is one fact."""
    came = {item.place: name for item in items_of(bundle) if (name := census.own_name(item)) and name in census.last}
    kept = [outcome for outcome in outcomes if place_of(outcome) not in came]
    return kept + [Link(replace(origin, path=place), name) for place, name in came.items()]


def _is_anothers(holders: Holders, source: str, key: str, twin: str) -> bool:
    held = {holder for holder in holders.of(name_of(source, key)) if holder}
    return bool(held) and twin not in held


def _outcomes(entry: Entry, source: str, census: Census, place: str, codes: Codes) -> tuple[Origin, list[Outcome], str]:
    nameless = Origin(source, "", "", place=place)
    if entry.problem:
        return nameless, [Refusal(entry.problem, nameless)], ""
    try:
        resource = read_json(entry.raw)
    except Unreadable as error:
        return nameless, [Refusal(error.reason, nameless)], ""
    origin = origin_of(entry, resource, source)
    if census.is_promise and not origin.id:  # kept by its place, it would count again as soon as it has one
        return origin, [Refusal("no-id", origin)], ""
    version = as_fhir_version(entry.version)
    if version is None:
        return origin, [Refusal("version-unknown", origin)], subject_of(resource) or ""
    outcomes = map_resource(resource, version, origin, census.resolved, codes)
    if census.copies and origin.type == "Bundle":
        outcomes = _without_copies(outcomes, census, origin, resource)
    if outcomes == [Refusal("unused-link", origin)] and (user := census.user_of(entry, origin, resource)) is not None:
        outcomes = [as_link(origin, user)]
    key = origin.resource
    if key in census.merged:  # who they are, the survivor says
        outcomes = [Link(origin, census.merged[key])]
    if key in census.doubtful:
        outcomes = [*outcomes, Refusal("identity-conflict", origin)]
    if key in census.unmet:
        outcomes = [*outcomes, Refusal("unresolved-reference", origin)]
    return origin, outcomes, key if origin.type == "Patient" else subject_of(resource) or ""

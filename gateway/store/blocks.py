"""Writing resources: sealed blocks, appended and never changed, one or more for each owner on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, bindparam, func, update
from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.contents import Contents, Remembered
from gateway.store.key_table import KeyTable
from gateway.store.layers import blocks, open_contents
from gateway.store.owners import Owner, batches
from gateway.store.pulls import Pulls
from gateway.store.tables import BlockRow, PageRow, PullRow, SourceKeyRow, TwinRow, TwinSourceRow
from gateway.store.values import AnyResource, Changes, Pull, StoredResource, sources_of
from gateway.store.writing import Fresh, Writing, pick_fresh
from security.errors import Erased, Misuse
from security.keys import KeyRing
from security.vault import SealingKey

__all__ = ["Blocks", "Ends"]

Ends = Mapping[str | None, Sequence[StoredResource]]
"""Ends of resources, by twin; under `None` those of what belongs to no twin."""

_OWNERS = select(TwinRow.id, TwinRow.version).where(col(TwinRow.id).in_(bindparam("names", expanding=True)))
_HOME: Any = select(SourceKeyRow.version).where(col(SourceKeyRow.source) == bindparam("of_source"))
_LAST: Any = select(func.max(BlockRow.id))
_SO_FAR = select(TwinSourceRow.twin, TwinSourceRow.resources, TwinSourceRow.facts, TwinSourceRow.refusals).where(
    col(TwinSourceRow.source) == bindparam("of_source"),
    col(TwinSourceRow.twin).in_(bindparam("names", expanding=True)),
)


class Blocks(Pulls):
    """Appends what was understood of a page to the twins that it is about."""

    def __init__(self, reader: Engine, writer: Engine, keyring: KeyRing, log_id: str, keys: KeyTable) -> None:
        super().__init__(reader, writer, keyring, log_id, keys)
        self._remembered = Remembered()

    def _forget(self) -> None:
        super()._forget()
        self._remembered.clear()

    def append(
        self,
        pull: Pull,
        page_numbers: int | Sequence[int],
        writes: Mapping[str, Sequence[AnyResource]],
        unlinked: Sequence[AnyResource],
        counts: Mapping[str, Any],
        *,
        now: datetime,
        events: Events = (),
        ended: Ends | None = None,
    ) -> Changes:
        """Store the resources of one landed page, or of several, all or none, and mark them as mapped.

        `writes` goes by twin id; `unlinked` belongs to no twin. A resource whose bytes and meaning are those that its
        owner holds already is not stored again; a twin that something was stored for has a new version. `counts`
        (numbers, nested) is added to the ledger of the pull. For pages that are mapped already, nothing happens.
        `ended` are ends of resources, by twin (`None`: they belonged to none); what is not there is not ended, and how
        many were is counted beside the ledger ("retracted").
        """
        ended = ended or {}
        numbers = [page_numbers] if isinstance(page_numbers, int) else list(page_numbers)
        if not sources_of(*writes.values(), unlinked, *ended.values()) <= {pull.source}:
            raise ValueError("a page holds resources of its own source only")
        with self.transaction() as work:
            session = work.session
            row = session.get(PullRow, pull.id)
            pages = (col(PageRow.pull) == pull.id, col(PageRow.number).in_(numbers))
            mapped = list(session.exec(select(PageRow.mapped).where(*pages)).all())
            if any(mapped) or (row is not None and row.state == "done"):
                if not all(mapped):
                    raise Misuse(
                        "Two pulls from one source ran at the same time.", hint="Let one end, then run it again."
                    )
                return Changes()
            if row is None or len(mapped) != len(set(numbers)):
                raise ValueError("only a landed page can be mapped")
            work.record(events)
            session.exec(update(PageRow).where(*pages).values(mapped=True))
            changes = self._append(session, pull.source, writes, unlinked, now, ended)
            told = {**counts, "retracted": changes.retracted} if changes.retracted else counts
            self._count_pages(session, pull.id, pull.source, told, len(numbers))
            return changes

    def _append(
        self,
        session: Session,
        source: str,
        writes: Mapping[str, Sequence[AnyResource]],
        unlinked: Sequence[AnyResource],
        now: datetime,
        ended: Ends | None = None,
    ) -> Changes:
        ended = ended or {}
        last = session.connection().scalar(_LAST) or 0
        writing = Writing(source, now, last + 1)
        twins = {**writes, **{twin: () for twin in ended if twin is not None and twin not in writes}}
        owners, counts = self._owners(session, twins), _counts(session, source, twins)
        if not twins.keys() <= owners.keys():
            raise Erased("A twin was erased while this ran.", hint="Run the same command again: it goes on without it.")
        held, home = self._held(session, owners.values()), self._home(session, source)
        strays = self._held_unlinked(session, home)

        changed: dict[str, int] = {}
        moved: list[StoredResource] = []
        stored = retracted = 0
        for twin, resources in twins.items():
            fresh = pick_fresh([*resources, *ended.get(twin, ())], held[twin])
            if not fresh:
                continue
            writing.add_blocks(owners[twin], twin, fresh)
            writing.add_counts(twin, counts.get(twin), fresh)
            changed[twin] = owners[twin].version + 1
            self._remembered.keep(twin, changed[twin], held[twin], may_lighten=True)
            if not strays.is_empty:
                moved += _moved(fresh, strays)
            retracted += fresh.ended
            stored += len(fresh) - fresh.ended

        astray = pick_fresh([*unlinked, *moved, *ended.get(None, ())], strays)
        if astray:
            writing.add_blocks(home, None, astray)
            session.exec(
                update(SourceKeyRow).where(col(SourceKeyRow.source) == source).values(version=home.version + 1)
            )
            self._remembered.keep(_stray(source), home.version + 1, strays, may_lighten=True)
            stored += len(astray) - astray.ended
            retracted += sum(bool(each.retracted) for each in astray.resources)
        writing.write(session)
        given = sum(map(len, writes.values())) + len(unlinked)
        return Changes(twins=changed, stored=stored, unchanged=given - stored, retracted=retracted)

    def _owners(self, session: Session, twins: Iterable[str]) -> dict[str, Owner]:
        owners = {}
        for names in batches(twins):
            rows = session.connection().execute(_OWNERS, {"names": names}).all()
            self._open_keys(session, names)
            owners.update({twin: self._owner(session, twin, version) for twin, version in rows})
        return owners

    def _home(self, session: Session, source: str) -> Owner:
        version = session.connection().scalar(_HOME, {"of_source": source})
        return Owner(source, version or 0, self._source_key(session, source))

    def _held(self, session: Session, owners: Iterable[Owner]) -> dict[str, Contents]:
        """Say what each twin holds now: remembered, or read from the contents of its blocks."""
        return {
            owner.name: self._contents(
                session, owner, owner.name, partial(self._twin_key, twin=owner.name), BlockRow.twin == owner.name
            )
            for owner in owners
        }

    def _held_unlinked(self, session: Session, owner: Owner) -> Contents:
        which = (col(BlockRow.twin).is_(None), BlockRow.source == owner.name)
        return self._contents(session, owner, _stray(owner.name), partial(self._source_key, source=owner.name), *which)

    def _contents(
        self, session: Session, owner: Owner, name: str, key: Callable[[Session], SealingKey], *which: Any
    ) -> Contents:
        def again() -> list[bytes]:
            """Read them once more, in whatever operation that is: neither its session nor a key is kept for it."""
            with self._reading() as later:
                opened = key(later)
                return [open_contents(opened, block) for block in blocks(later, *which, contents=True)]

        known = self._remembered.get(name, owner.version)
        if known is None:
            found = blocks(session, *which, contents=True) if owner.version else []  # at version 0 nothing is there
            known = Contents(open_contents(owner.key, block) for block in found)
            self._remembered.keep(name, owner.version, known)
        known.again = again
        return known


def _moved(fresh: Fresh, strays: Contents) -> list[StoredResource]:
    """End what belonged to no twin and now does."""
    names = fresh.names
    if strays.are_new(names):
        return []
    strays.expect(names)
    pairs = zip(fresh.resources, names, strict=True)
    return [_end_of(resource) for resource, name in pairs if name in strays and not resource.ended]


def _end_of(resource: AnyResource) -> StoredResource:
    return StoredResource(resource.source, resource.key, resource.fhir_version, b"", (), moved=True)


def _counts(session: Session, source: str, twins: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Say how much each twin has of a source so far: resources, facts, refusals."""
    found: dict[str, tuple[int, int, int]] = {}
    for names in batches(twins):
        rows = session.connection().execute(_SO_FAR, {"of_source": source, "names": names})
        found.update((twin, (resources, facts, refusals)) for twin, resources, facts, refusals in rows)
    return found


def _stray(source: str) -> str:
    return f"source:{source}"

"""Reading resources back: a twin as it is, or as it was known at a past instant; what belongs to no twin; refusals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from msgspec.structs import replace
from sqlalchemy import func
from sqlmodel import col, select

from gateway.store.blocks import Blocks
from gateway.store.layers import Layer, blocks, open_layers, read_resources
from gateway.store.tables import BlockRow, SourceKeyRow, TwinRow, TwinSourceRow
from gateway.store.values import ListedRefusal, StoredResource, TwinNews, TwinRecord, TwinVersion
from security.reidentification import Reidentify

__all__ = ["History"]

_OF_NOBODY = Reidentify("map again what belonged to no twin, once it can be told whose it is")


class History(Blocks):
    """Opens what `Blocks` stored. Record the access first: `append_audit` with a read event."""

    def twin_record(self, twin: str, as_of: datetime | None = None, *, leave: Reidentify | None = None) -> TwinRecord:
        """Open a twin: the latest version of each resource, as it is known now or was known at `as_of`.

        "Known" goes by when we received it, not by the clinical time. Without `leave` to open who it is, Patients come
        without their bytes. Raises `KeyError` for an id that `find_twin` does not give.
        """
        with self._reading() as session:
            row = session.get(TwinRow, twin)
            if row is None:
                raise KeyError(twin)
            which: list[Any] = [BlockRow.twin == twin]
            if as_of is not None:
                which.append(func.coalesce(BlockRow.begun, BlockRow.created) <= as_of)
            found, key = blocks(session, *which, sealed=True), self._twin_key(session, twin)
        layers = [one for block in found for one in open_layers(key, block) if as_of is None or one.created <= as_of]
        current, ended, history = _latest(layers, leave)
        return TwinRecord(
            id=twin,
            version=max((layer.version for layer in layers), default=0),
            created=row.created,
            resources=current,
            history=history,
            as_of=as_of,
            retracted=ended,
        )

    def twin_news(self, twin: str, after: int) -> TwinNews:
        """Open what came to a twin after a version, and count what it has: all that is read to go on from there.

        Record the access as for `twin_record`. Raises `KeyError` as that does.
        """
        with self._reading() as session:
            owner = self._owners(session, [twin])[twin]
            counts = select(TwinSourceRow.source, TwinSourceRow.resources).where(TwinSourceRow.twin == twin)
            sources = {source: count for source, count in session.exec(counts) if count}
            newer = (BlockRow.twin == twin, BlockRow.version > after)
            found = blocks(session, *newer, sealed=True) if owner.version > after else []
        layers = [layer for block in found for layer in open_layers(owner.key, block) if layer.version > after]
        news = tuple(_withheld(read_resources(layers), None))
        return TwinNews(owner.version, sum(sources.values()), frozenset(sources), news)

    def twin_versions(self, twin: str, *, leave: Reidentify | None = None) -> list[TwinVersion]:
        """Open what each version of a twin brought, oldest first; `leave` and `KeyError` as for `twin_record`."""
        with self._reading() as session:
            key = self._twin_key(session, twin)
            found = blocks(session, BlockRow.twin == twin, sealed=True)
        layers = (layer for block in found for layer in open_layers(key, block))
        versions = []
        for version, group in groupby(layers, key=lambda layer: layer.version):
            parts = list(group)
            brought = tuple(_withheld(read_resources(parts), leave))
            versions.append(TwinVersion(version, parts[0].created, parts[0].source, brought))
        return versions

    def unlinked(self, source: str) -> tuple[StoredResource, ...]:
        """Open what a source sent that belongs to no twin: Medications, Organizations, what names nobody we know."""
        with self._reading() as session:
            row = session.get(SourceKeyRow, source)
            if row is None:
                return ()
            found = blocks(session, col(BlockRow.twin).is_(None), BlockRow.source == source, sealed=True)
            key = self._source_key(session, source)
        return _latest((layer for block in found for layer in open_layers(key, block)), _OF_NOBODY)[0]

    def sources(self) -> list[str]:
        """Name the sources that something was stored of."""
        with self._reading() as session:
            return list(session.exec(select(SourceKeyRow.source).order_by(SourceKeyRow.source)).all())

    def refusals(self, source: str | None = None, reason: str | None = None) -> Iterator[ListedRefusal]:
        """Walk all current refusals, of one source or for one reason where told; one twin is opened at a time."""
        for twin in self._twins_with_refusals(source):
            yield from _listed(twin, self.twin_record(twin).resources, source, reason)
        with self._reading() as session:
            names = session.exec(select(SourceKeyRow.source).order_by(SourceKeyRow.source)).all()
        for name in names:
            if source in (None, name):
                yield from _listed(None, self.unlinked(name), source, reason)

    def refused_resources(self, source: str | None = None) -> Iterator[StoredResource]:
        """Walk the current resources that have refusals, of one source where told; one twin is opened at a time."""
        for twin in self._twins_with_refusals(source):
            yield from _refused(self.twin_record(twin).resources, source)
        for name in self.sources():
            if source in (None, name):
                yield from _refused(self.unlinked(name), source)

    def _twins_with_refusals(self, source: str | None) -> list[str]:
        statement = select(TwinSourceRow.twin).where(TwinSourceRow.refusals > 0).distinct().order_by(TwinSourceRow.twin)
        if source is not None:
            statement = statement.where(TwinSourceRow.source == source)
        with self._reading() as session:
            return list(session.exec(statement).all())


def _withheld(resources: Iterable[StoredResource], leave: Reidentify | None) -> Iterator[StoredResource]:
    """Take the bytes from Patients where nobody has leave to open who a person is."""
    if leave is not None:
        Reidentify.check(leave)
        return iter(resources)
    return (replace(each, raw=b"") if each.key.startswith("Patient") and each.raw else each for each in resources)


def _latest(
    layers: Iterable[Layer], leave: Reidentify | None = None
) -> tuple[tuple[StoredResource, ...], tuple[StoredResource, ...], int]:
    """Return what is current after some layers, what was retracted, and how many versions of resources they hold."""
    current: dict[tuple[str, str], StoredResource] = {}
    count = 0
    for resource in _withheld(read_resources(layers), leave):
        current[resource.source, resource.key] = resource
        count += not resource.ended
    last = current.values()
    return tuple(r for r in last if not r.ended), tuple(r for r in last if r.retracted), count


def _refused(resources: Iterable[StoredResource], source: str | None) -> Iterator[StoredResource]:
    return (one for one in resources if source in (None, one.source) and any(one.refusals))


def _listed(
    twin: str | None, resources: Iterable[StoredResource], source: str | None, reason: str | None
) -> Iterator[ListedRefusal]:
    for resource in resources:
        if source in (None, resource.source):
            for refusal in resource.refusals:
                if reason in (None, refusal.reason):
                    yield ListedRefusal(twin, refusal)

"""Reading resources back: a twin as it is, or as it was known at a past instant; what belongs to no twin; refusals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

import msgspec
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway.store.blocks import Blocks
from gateway.store.tables import BlockRow, SourceKeyRow, TwinRow, TwinSourceRow
from gateway.store.values import ListedRefusal, StoredResource, TwinRecord, TwinVersion
from gateway.store.writing import block_place
from security.vault import SealingKey

__all__ = ["History", "read_block"]

_block = msgspec.msgpack.Decoder(tuple[StoredResource, ...])


class History(Blocks):
    """Opens what `Blocks` stored. Record the access first: `append_audit` with a read event."""

    def twin_record(self, twin: str, as_of: datetime | None = None) -> TwinRecord:
        """Open a twin: the latest version of each resource, as it is known now or was known at `as_of`.

        "Known" goes by when we received it, not by the clinical time. Raises `KeyError` for an id that `find_twin` does
        not give.
        """
        with self._reading() as session:
            row = session.get(TwinRow, twin)
            if row is None:
                raise KeyError(twin)
            statement = _blocks().where(BlockRow.twin == twin)
            if as_of is not None:
                statement = statement.where(BlockRow.created <= as_of)
            blocks, key = session.exec(statement).all(), self._twin_key(session, twin)
        return TwinRecord(
            id=twin,
            version=max((block.version for block in blocks), default=0),
            created=row.created,
            resources=_latest(key, blocks),
            history=sum(block.count for block in blocks),
            as_of=as_of,
        )

    def twin_versions(self, twin: str) -> list[TwinVersion]:
        """Open what each version of a twin brought, oldest first. Raises `KeyError` as `twin_record` does."""
        with self._reading() as session:
            key = self._twin_key(session, twin)
            blocks = session.exec(_blocks().where(BlockRow.twin == twin)).all()
        versions = []
        for version, group in groupby(blocks, key=lambda block: block.version):
            parts = list(group)
            places = (block_place(part.id, part.version, part.created, "sealed") for part in parts)
            opened = (read_block(key.open(part.sealed, place)) for part, place in zip(parts, places, strict=True))
            resources = tuple(resource for block in opened for resource in block)
            versions.append(TwinVersion(version, parts[0].created, parts[0].source, resources))
        return versions

    def unlinked(self, source: str) -> tuple[StoredResource, ...]:
        """Open what a source sent that belongs to no twin: Medications, Organizations, what names nobody we know."""
        with self._reading() as session:
            row = session.get(SourceKeyRow, source)
            if row is None:
                return ()
            blocks = session.exec(_blocks().where(col(BlockRow.twin).is_(None), BlockRow.source == source)).all()
        return _latest(self._source(row).key, blocks)

    def refusals(self, source: str | None = None, reason: str | None = None) -> Iterator[ListedRefusal]:
        """Walk all current refusals, of one source or for one reason where told; one twin is opened at a time."""
        for twin in self._twins_with_refusals(source):
            yield from _listed(twin, self.twin_record(twin).resources, source, reason)
        with self._reading() as session:
            names = session.exec(select(SourceKeyRow.source).order_by(SourceKeyRow.source)).all()
        for name in names:
            if source in (None, name):
                yield from _listed(None, self.unlinked(name), source, reason)

    def _twins_with_refusals(self, source: str | None) -> list[str]:
        statement = select(TwinSourceRow.twin).where(TwinSourceRow.refusals > 0).distinct().order_by(TwinSourceRow.twin)
        if source is not None:
            statement = statement.where(TwinSourceRow.source == source)
        with self._reading() as session:
            return list(session.exec(statement).all())


def read_block(opened: bytes) -> tuple[StoredResource, ...]:
    """Read the resources of one opened block."""
    return _block.decode(opened)


def _blocks() -> SelectOfScalar[BlockRow]:
    return select(BlockRow).order_by(col(BlockRow.id))


def _latest(key: SealingKey, blocks: Iterable[BlockRow]) -> tuple[StoredResource, ...]:
    current: dict[tuple[str, str], StoredResource] = {}
    for block in blocks:
        sealed = key.open(block.sealed, block_place(block.id, block.version, block.created, "sealed"))
        current.update({(r.source, r.key): r for r in read_block(sealed)})
    return tuple(resource for resource in current.values() if not resource.moved)


def _listed(
    twin: str | None, resources: Iterable[StoredResource], source: str | None, reason: str | None
) -> Iterator[ListedRefusal]:
    for resource in resources:
        if source in (None, resource.source):
            for refusal in resource.refusals:
                if reason in (None, refusal.reason):
                    yield ListedRefusal(twin, refusal)

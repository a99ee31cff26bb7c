"""Under a new key for a source, without what is about some people: what belongs to no twin, and pages not yet mapped.

Until it is mapped, everything about a patient is sealed with the key of its source, and so is what never found its
patient. When a patient is erased, that key has to go, too; what stays is sealed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, update
from sqlmodel import Session, col, select

from gateway.pull.page import Certificate, Page
from gateway.store.barred import Barred
from gateway.store.columns import pack_resources
from gateway.store.contents import entry_of, pack
from gateway.store.layers import Block, Layer, blocks, open_layers, pack_layers
from gateway.store.names import is_about, names_in
from gateway.store.tables import BlockRow, PageRow, PullRow, SourceKeyRow, StreamMemoRow
from gateway.store.values import StoredResource
from security.vault import Place, SealingKey

__all__ = ["Resealed", "Resealing", "is_about_them"]

_read_page = msgspec.msgpack.Decoder(Page)
_read_certificate = msgspec.json.Decoder(Certificate)
_UNFINISHED = ("fetching", "mapping")
_PAGES: Any = select(PageRow.number, PageRow.sealed).where(col(PageRow.pull) == bindparam("of_pull"))
_PAGE = (
    update(PageRow)
    .where(col(PageRow.pull) == bindparam("of_pull"), col(PageRow.number) == bindparam("of_number"))
    .values(sealed=bindparam("new"))
)
_MEMOS: Any = select(StreamMemoRow.name, StreamMemoRow.sealed).where(
    col(StreamMemoRow.source) == bindparam("of_source")
)
_MEMO = (
    update(StreamMemoRow)
    .where(col(StreamMemoRow.source) == bindparam("of_source"), col(StreamMemoRow.name) == bindparam("of_name"))
    .values(sealed=bindparam("new"))
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """How much was left out: resources that belonged to no twin, entries of pages, pulls given up; and the old key."""

    unlinked: int = 0
    entries: int = 0
    pulls: int = 0
    generation: int = 1

    def __add__(self, other: Resealed) -> Resealed:
        return replace(
            self,
            unlinked=self.unlinked + other.unlinked,
            entries=self.entries + other.entries,
            pulls=self.pulls + other.pulls,
        )


def is_about_them(resource: StoredResource, names: Collection[str]) -> bool:
    """Say whether a stored resource, or the end of one, is about somebody with these names."""
    return resource.key in names or is_about(resource.raw, resource.full_url, names)


class Resealing(Barred):
    """Exchanges the key of a source."""

    def _reseal(self, session: Session, source: str, names: Collection[str], now: datetime) -> Resealed:
        """Draw a new key for a source and seal with it all that does not tell one of these names.

        The old key stays in the key store until the caller destroys it, once this is committed.
        """
        old, generation = self._source_key(session, source), self._generation(session, source)
        following = self._draw_generation(session, source, generation + 1, now)
        new = self._source_key(session, source)
        row = update(SourceKeyRow).where(col(SourceKeyRow.source) == source)
        session.connection().execute(row.values(generation=following, version=col(SourceKeyRow.version) + 1))
        unlinked = self._reseal_blocks(session, source, old, new, frozenset(names))
        entries, pulls = self._reseal_pulls(session, source, old, new, frozenset(names), now)
        self._reseal_memos(session, source, old, new)
        session.expire_all()
        return Resealed(unlinked, entries, pulls, generation)

    def _reseal_blocks(
        self, session: Session, source: str, old: SealingKey, new: SealingKey, names: frozenset[str]
    ) -> int:
        connection, dropped = session.connection(), 0
        which = (col(BlockRow.twin).is_(None), col(BlockRow.source) == source)
        numbers = [block.id for block in blocks(session, *which)]
        for number in numbers:  # one at a time: all of them may be more than memory holds
            [block] = blocks(session, BlockRow.id == number, contents=True, sealed=True)
            kept, left = _without(open_layers(old, block), names)
            dropped += left
            if not left:
                bodies = {
                    column: new.seal(old.open(getattr(block, column), block.place(column)), block.place(column))
                    for column in ("contents", "sealed")
                }
                connection.execute(update(BlockRow).where(col(BlockRow.id) == number).values(**bodies))
                continue
            connection.execute(delete(BlockRow).where(col(BlockRow.id) == number))
            if kept:
                connection.execute(insert(BlockRow), [_sealed_anew(block, kept, new)])
        return dropped

    def _reseal_pulls(
        self, session: Session, source: str, old: SealingKey, new: SealingKey, names: frozenset[str], now: datetime
    ) -> tuple[int, int]:
        dropped = given_up = 0
        rows = session.exec(select(PullRow).where(PullRow.source == source)).all()
        for row in rows:
            cursor = old.open(row.cursor, _pull(row.id, "cursor")) if row.cursor else b""
            if names_in(cursor) & names:
                cursor = b""
                if row.state in _UNFINISHED:  # it could not go on from there
                    row.state, row.finished = "failed", now
                    session.connection().execute(delete(PageRow).where(col(PageRow.pull) == row.id))
                    given_up += 1
            row.cursor = new.seal(cursor, _pull(row.id, "cursor")) if cursor else None
            if row.certificate:
                told = _read_certificate.decode(old.open(row.certificate, _pull(row.id, "certificate")))
                body = msgspec.json.encode(_certificate_without(told, names))
                row.certificate = new.seal(body, _pull(row.id, "certificate"))
            if row.ledger:  # counts only
                row.ledger = new.seal(old.open(row.ledger, _pull(row.id, "ledger")), _pull(row.id, "ledger"))
            session.add(row)
            dropped += self._reseal_pages(session, row, old, new)
        session.flush()
        return dropped, given_up

    def _reseal_pages(self, session: Session, pull: PullRow, old: SealingKey, new: SealingKey) -> int:
        connection, dropped = session.connection(), 0
        for number, sealed in connection.execute(_PAGES, {"of_pull": pull.id}).all():
            place = Place("page", f"{pull.id}:{number}", "sealed")
            page = _read_page.decode(old.open(sealed, place))
            kept = self.without_barred(session, pull.source, page)
            dropped += sum(a is not b for a, b in zip(page.entries, kept.entries, strict=True))
            kept = msgspec.structs.replace(kept, query=page.query.partition("?")[0], cursor="")
            body = new.seal(msgspec.msgpack.encode(kept), place)
            connection.execute(_PAGE, {"of_pull": pull.id, "of_number": number, "new": body})
        return dropped

    def _reseal_memos(self, session: Session, source: str, old: SealingKey, new: SealingKey) -> None:
        connection = session.connection()
        for name, sealed in connection.execute(_MEMOS, {"of_source": source}).all():
            place = Place("stream_memo", f"{source}:{name}", "sealed")
            body = new.seal(old.open(sealed, place), place)
            connection.execute(_MEMO, {"of_source": source, "of_name": name, "new": body})


def _without(layers: Iterable[Layer], names: frozenset[str]) -> tuple[list[tuple[Layer, list[StoredResource]]], int]:
    """Leave resources out of layers; a layer of which nothing is left goes, too."""
    kept, dropped = [], 0
    for layer in layers:
        resources = layer.resources
        left = [one for one in resources if not is_about_them(one, names)]
        dropped += len(resources) - len(left)
        if left:
            kept.append((layer, left))
    return kept, dropped


def _sealed_anew(block: Block, kept: list[tuple[Layer, list[StoredResource]]], key: SealingKey) -> dict[str, Any]:
    """Write a block again in its place, of what is left of it."""
    resources = list(_flat(kept))
    if block.begun is None:
        body = pack_resources(resources)
    else:
        body = pack_layers(
            Layer(layer.version, layer.created, layer.source, msgspec.Raw(pack_resources(left))) for layer, left in kept
        )
    return {
        "id": block.id,
        "twin": block.twin,
        "source": block.source,
        "version": block.version,
        "created": block.created,
        "count": len(resources),
        "first": block.first,
        "begun": block.begun,
        "contents": key.seal(pack(map(entry_of, resources)), block.place("contents")),
        "sealed": key.seal(body, block.place("sealed")),
    }


def _flat(kept: Iterable[tuple[Layer, list[StoredResource]]]) -> Iterator[StoredResource]:
    return (resource for _, resources in kept for resource in resources)


def _certificate_without(certificate: Certificate, names: frozenset[str]) -> Certificate:
    """Leave out which resources a list did not hold, and what was asked, where it tells a name."""
    asked = tuple(
        msgspec.structs.replace(
            each,
            missing=tuple(name for name in each.missing if name not in names),
            self_link="" if names_in(each.self_link.encode()) & names else each.self_link,
        )
        for each in certificate.asked
    )
    return msgspec.structs.replace(certificate, asked=asked)


def _pull(pull: str, column: str) -> Place:
    return Place("pull", pull, column)

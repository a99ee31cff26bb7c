"""What stands in a sealed block: the resources of one version of its owner, or of several that were merged.

A merged block has the place and the number of the last block that went into it, tells beside it with which version and
when it begins, and holds what each version brought as a layer of its own: version, time, source, resources. So the past
of a twin reads the same before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, literal, select
from sqlmodel import Session, col

from gateway.store.columns import unpack_resources
from gateway.store.tables import BlockRow
from gateway.store.values import StoredResource
from security.vault import Place, SealingKey

__all__ = ["Block", "Layer", "block_place", "blocks", "open_contents", "open_layers", "pack_layers", "read_resources"]

_encoder = msgspec.msgpack.Encoder()


class Layer(msgspec.Struct, frozen=True, array_like=True):
    """What one version brought, or a part of it; `packed` is what `gateway.store.columns` writes."""

    version: int
    created: datetime
    source: str
    packed: msgspec.Raw

    @property
    def resources(self) -> tuple[StoredResource, ...]:
        """Read the resources."""
        return unpack_resources(self.packed)


_layers = msgspec.msgpack.Decoder(tuple[Layer, ...])


class Block(NamedTuple):
    """A row of `BlockRow` as it is read; `contents` and `sealed` are empty where they were not asked for."""

    id: int
    twin: str | None
    source: str
    version: int
    created: datetime
    resources: int
    first: int | None
    begun: datetime | None
    contents: bytes
    sealed: bytes

    def place(self, column: str) -> Place:
        """Say what its bytes are bound to."""
        return block_place(self.id, self.version, self.created, column, self.first, self.begun)


def block_place(
    number: int,
    version: int,
    created: datetime,
    column: str,
    first: int | None = None,
    begun: datetime | None = None,
) -> Place:
    """Bind a block's bytes to its number, its version and its time, so that no past can be made up by moving rows.

    A merged one is bound to where it begins, too.
    """
    row = f"{number}:{version}:{_utc(created)}"
    if begun is not None:
        row += f" since {first}:{begun.astimezone(UTC).isoformat()}"
    return Place("block", row, column)


@lru_cache(maxsize=16)
def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def blocks(session: Session, *which: Any, contents: bool = False, sealed: bool = False) -> list[Block]:
    """Read some blocks in order, with what is asked of them."""
    return [Block(*row) for row in session.connection().execute(_statement(contents, sealed).where(*which))]


def open_contents(key: SealingKey, block: Block) -> bytes:
    """Open the packed contents of a block."""
    return key.open(block.contents, block.place("contents"))


def open_layers(key: SealingKey, block: Block) -> Sequence[Layer]:
    """Open a block."""
    opened = key.open(block.sealed, block.place("sealed"))
    if block.begun is None:
        return (Layer(block.version, block.created, block.source, msgspec.Raw(opened)),)
    return _layers.decode(opened)


def pack_layers(layers: Iterable[Layer]) -> bytes:
    """Write the layers of a merged block; no resource is read for it."""
    return _encoder.encode(tuple(layers))


def read_resources(layers: Iterable[Layer]) -> Iterator[StoredResource]:
    """Read the resources of layers in order."""
    return (resource for layer in layers for resource in layer.resources)


@cache
def _statement(contents: bool, sealed: bool) -> Select[Any]:
    row = (
        BlockRow.id,
        BlockRow.twin,
        BlockRow.source,
        BlockRow.version,
        BlockRow.created,
        BlockRow.count,
        BlockRow.first,
        BlockRow.begun,
    )
    empty = literal(b"")
    bodies = (BlockRow.contents if contents else empty, BlockRow.sealed if sealed else empty)
    columns: tuple[Any, ...] = (*row, *bodies)
    return select(*columns).order_by(col(BlockRow.id))

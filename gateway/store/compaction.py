"""Merging the small blocks that values leave which come by themselves, so that a twin is opened in a few reads.

Blocks stand in tiers, each eight times as large as the one before. When eight of a tier stand at the end, they become
one of the next: each resource is sealed anew once a tier, and the number of blocks grows with the logarithm of that of
the values, until blocks are so large that they are left alone. It happens in the transaction that brought the last
value: killed in between, neither has happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlmodel import Session, col

from gateway.store.layers import Block, block_place, blocks, open_contents, open_layers, pack_layers
from gateway.store.tables import BlockRow
from security.vault import Place, SealingKey

__all__ = ["EVERY", "Standing", "compact", "merges"]

EVERY = 8
"""So many versions of a twin, after which it is worth looking."""

_TIER = 8
_LARGEST_BYTES = 256 * 1024  # sealed; a merged block is opened whole to read one resource
_DONE_BYTES = _LARGEST_BYTES // 2  # and more: a block is left alone


class Standing(NamedTuple):
    """One block as it stands: its number, how many resources it has, its sealed size in bytes."""

    id: int
    resources: int
    size: int


def compact(session: Session, key: SealingKey, *which: Any) -> None:
    """Merge what is to be merged of an owner's blocks, `which`. What is read of it stays the same, at any instant."""
    columns = select(BlockRow.id, BlockRow.count, func.length(BlockRow.sealed))  # type: ignore[call-overload]
    rows = session.connection().execute(columns.where(*which).order_by(col(BlockRow.id)))
    for group in merges([Standing(*row) for row in rows]):
        _merge(session, key, [one.id for one in group])


def merges(standing: Sequence[Standing]) -> Iterator[Sequence[Standing]]:
    """Choose which blocks become one, of an owner's in order: runs of neighbours, at the end."""
    begin = len(standing)
    while begin and standing[begin - 1].size < _DONE_BYTES:
        begin -= 1
    tail = standing[begin:]
    chosen: Sequence[Standing] = ()
    for tier in range(max((_tier_of(one.resources) for one in tail), default=-1) + 1):
        run = _run(tail, tier)
        smaller = sum(one.resources for one in run if _tier_of(one.resources) < tier)
        full = sum(_tier_of(one.resources) == tier for one in run) + (smaller >= _TIER**tier and tier > 0)
        if full >= _TIER:
            chosen = run
    group: list[Standing] = []
    for one in chosen:
        if group and sum(each.size for each in group) + one.size > _LARGEST_BYTES:
            if len(group) > 1:
                yield group
            group = []
        group.append(one)
    if len(group) > 1:
        yield group


def _tier_of(count: int) -> int:
    """Return how often eight goes into a count by division: 0 for less than eight, 1 for less than 64."""
    return (max(count, 1).bit_length() - 1) // 3


def _run(tail: Sequence[Standing], tier: int) -> Sequence[Standing]:
    begin = len(tail)
    while begin and _tier_of(tail[begin - 1].resources) <= tier:
        begin -= 1
    return tail[begin:]


def _merge(session: Session, key: SealingKey, numbers: Sequence[int]) -> None:
    """Put blocks into one, in the place of the last of them."""
    old = blocks(session, col(BlockRow.id).in_(numbers), contents=True, sealed=True)
    first, last = old[0], old[-1]
    begun, number = first.begun or first.created, first.first or first.version
    place = partial(_place, last, number, begun)
    contents = b"".join(open_contents(key, block) for block in old)
    body = pack_layers(layer for block in old for layer in open_layers(key, block))
    row = {
        "id": last.id,
        "twin": last.twin,
        "source": last.source,
        "version": last.version,
        "created": last.created,
        "count": sum(block.resources for block in old),
        "first": number,
        "begun": begun,
        "contents": key.seal(contents, place("contents")),
        "sealed": key.seal(body, place("sealed")),
    }
    session.connection().execute(delete(BlockRow).where(col(BlockRow.id).in_(numbers)))
    session.connection().execute(insert(BlockRow), [row])


def _place(last: Block, first: int, begun: datetime, column: str) -> Place:
    return block_place(last.id, last.version, last.created, column, first, begun)

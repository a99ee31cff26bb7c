"""Proofs that the events on which results stand are in the signed log: for a person who has an export and no store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.export.gathering import Gathered
from gateway.home import Home
from gateway.lineage.chain import Chain
from gateway.lineage.kept import Kept, may_name
from gateway.lineage.opening import kept_of
from security.audit import open_checkpoint
from security.audit.inclusion import write_proof

__all__ = ["proofs_of"]


def proofs_of(home: Home, gathered: Gathered) -> Iterator[dict[str, Any]]:
    """Prove each event that the chain of a run or of a delivery names, against the newest checkpoint."""
    numbers = sorted(_named(home, gathered))
    with home.store.audit_view() as view:
        note = view.checkpoint()
        if note is None:
            return
        size = open_checkpoint(note, view.public_key).size
        for number in numbers:
            row = next(view.rows(number - 1))
            proof = write_proof(row.sealed, number - 1, view.tree.inclusion(number - 1, size), note)
            yield {"number": number, "proof": proof}


def _named(home: Home, gathered: Gathered) -> set[int]:
    chain = Chain("", _kept(home, gathered)).of_all()
    return {number for node in chain.nodes for number in node.events}


def _kept(home: Home, gathered: Gathered) -> list[Kept]:
    events = [*gathered.audit, *gathered.certified]
    return [
        kept_of(home, one, versions, gathered.pulls, [each for each in events if may_name(each, one)])
        for one, versions in gathered.versions.items()
    ]

"""A chain as a graph: what there is, what leads to what, and what of it cannot be shown, with the reason why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

__all__ = ["LACKS", "Direction", "Edge", "Graph", "Lineage", "Node", "NodeKind"]

NodeKind = Literal[
    "resource",  # at an EHR: what a result of ours became there
    "delivery",
    "proposal",
    "decision",
    "run",
    "model",
    "calibration",
    "input",
    "fact",
    "mapping",
    "raw",  # one version of a resource, as a source sent it
    "pull",  # or what came by itself
    "event",  # of the audit log
]
Direction = Literal["back", "forth"]

LACKS: Final[Mapping[str, str]] = {
    "not-landed": "It is nowhere yet: nothing of it is known to have arrived.",
    "not-decided": "Nobody has agreed to it or declined it.",
    "no-agreement": "It was sent by a version that kept no agreement: none is on record.",
    "no-run": "The run that it tells of is not kept.",
    "no-inputs": "What is kept of this run does not list its inputs one by one.",
    "readings": "Readings that it followed are not listed one by one: they are those in that version of the record.",
    "no-fact": "It is derived or assumed: no fact of the record stands behind it.",
    "not-kept": "Of what it was read from nothing is kept in this record.",
    "no-pull": "By which pull it came is not on record.",
    "no-certificate": "What came by itself, or by a pull that did not end, has no certificate.",
    "replaced": "What it started from was replaced by a later calibration; inputs and seed make it again.",
    "not-calibrated": "No calibration is kept that it started from; inputs and seed make it again.",
    "withheld": "The patient's consents do not allow it to be shown for this purpose.",
    "elsewhere": "It is of another record than this one.",
    "not-recorded": "The audit log has no event of it.",
}
"""Every reason why something in a chain is not there."""


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing in a chain; `told` is what is said of it. `lacks` are keys of `LACKS`: what of it is missing, and why.

    `events` are the numbers of the audit events that record it.
    """

    id: str
    kind: NodeKind
    told: dict[str, Any]
    lacks: tuple[str, ...] = ()
    events: tuple[int, ...] = ()


class Edge(msgspec.Struct, frozen=True):
    """`of` stands on `to`, or is recorded in it; `how` says it in words."""

    of: str
    to: str
    how: str


class Lineage(msgspec.Struct, frozen=True):
    """A chain: from `start` back to what it stands on, or forth to what stands on it."""

    asked: str
    direction: Direction
    start: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Count the things by kind."""
        return dict(Counter(node.kind for node in self.nodes))

    @property
    def missing(self) -> dict[str, int]:
        """Count what is missing, by reason."""
        return dict(sorted(Counter(lack for node in self.nodes for lack in node.lacks).items()))

    def node(self, id_: str) -> Node:
        """Return a thing by its id."""
        return next(node for node in self.nodes if node.id == id_)

    def of_kind(self, kind: NodeKind) -> list[Node]:
        """List the things of a kind, in the order in which they were met."""
        return [node for node in self.nodes if node.kind == kind]

    def below(self, id_: str) -> Iterator[Edge]:
        """Walk what comes next to a thing in the direction of the chain; events apart."""
        for edge in self.edges:
            if self.direction == "back" and edge.of == id_ and not edge.to.startswith("event "):
                yield edge
            if self.direction == "forth" and edge.to == id_:
                yield edge


class Graph:
    """A chain while it is made: each thing once, each step once."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._nodes

    @property
    def nodes(self) -> list[Node]:
        """List what there is."""
        return [*self._nodes.values()]

    def add(self, node: Node) -> str:
        """Add a thing that is not there yet; returns its id."""
        self._nodes.setdefault(node.id, node)
        return node.id

    def lack(self, id_: str, *lacks: str) -> None:
        """Note what of a thing is missing."""
        node = self._nodes[id_]
        self._nodes[id_] = msgspec.structs.replace(node, lacks=(*dict.fromkeys((*node.lacks, *lacks)),))

    def join(self, of: str, to: str, how: str) -> None:
        """Say that one thing stands on another one."""
        self._edges[Edge(of, to, how)] = None

    def lineage(self, asked: str, direction: Direction, start: tuple[str, ...]) -> Lineage:
        """Finish."""
        return Lineage(asked, direction, start, tuple(self._nodes.values()), tuple(self._edges))

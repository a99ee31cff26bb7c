"""Follows a result at an EHR back to every raw resource that it stands on, and a raw resource forth to every result."""

from gateway.lineage.graph import LACKS, Edge, Lineage, Node
from gateway.lineage.opening import lineage

__all__ = ["LACKS", "Edge", "Lineage", "Node", "lineage"]

"""What goes wrong in the field: each fault a switch, one function in one place, named after the pain that it plays."""

from collections.abc import Mapping
from types import MappingProxyType

from conformance.hostile.faults import (  # noqa: F401 - each registers its faults, which act in this order
    after_writes,
    changes,
    contents,
    export_files,
    keeping,
    kick_offs,
    links,
    manifests,
    polls,
    questions,
    refusals,
    rows,
    statements,
    tokens,
    totals,
    transfer,
    writes,
)
from conformance.hostile.faults.kind import PLACES, Kind, Place, registered

__all__ = ["FAULTS", "PLACES", "Kind", "Place"]

FAULTS: Mapping[str, Kind] = MappingProxyType(registered())

"""What holds of what the resources of one person tell, and what does not: the values of `mappers.duplicates`."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from mappers.evidence import Evidence, inner_resource
from mappers.facts import Fact, Origin

__all__ = ["CORRECTED", "OVERRULED", "Copies", "Overruled", "Settled", "Void"]

Why = Literal["corrected-elsewhere", "withdrawn"]

OVERRULED: Final[Mapping[Why, str]] = MappingProxyType(
    {
        "corrected-elsewhere": "Another copy of this result is marked as corrected and says something else.",
        "withdrawn": "Another copy of it, or what it stands in, is marked as entered in error: it is not used.",
    }
)
"""Why a fact that a source tells is not used."""

CORRECTED: Final = frozenset({"amended", "corrected"})  # FHIR R4 observation-status, diagnostic-report-status


class Overruled(msgspec.Struct, frozen=True, gc=False):
    """A fact that its source still tells and that is not used; `by` says which statement rules it out."""

    fact: Fact
    reason: Why
    by: Origin


class Void(msgspec.Struct, frozen=True, gc=False):
    """A resource that was entered in error: what it would have said; its codes, where it says nothing any more."""

    origin: Origin
    facts: tuple[Fact, ...] = ()
    codes: frozenset[tuple[str, str]] = frozenset()


class Settled(msgspec.Struct, frozen=True):
    """What holds, each statement once; what does not, and why; and groups of facts that may be one.

    `voids` are the resources that were entered in error, whether a copy of them was found or not.
    """

    facts: tuple[Fact, ...] = ()
    overruled: tuple[Overruled, ...] = ()
    possible: tuple[tuple[Origin, ...], ...] = ()
    voids: tuple[Void, ...] = ()

    @property
    def copies(self) -> int:
        """Count the statements that another one stands for."""
        return sum(len(fact.also) for fact in self.facts)

    def errors(self, names: Container[str]) -> tuple[datetime, ...] | None:
        """List the times of measurements that were entered in error: a copy of one that comes later does not hold.

        `None` where one is on record of which nobody can tell when it was.
        """
        if not all(void.facts for void in self.voids):
            return None
        return tuple(f.when.earliest for void in self.voids for f in void.facts if f.when and f.name in names)


class Copies:
    """Looks into the resources that facts come from, each once."""

    def __init__(self, evidence: Callable[[Origin], Evidence]) -> None:
        self._evidence = evidence
        self._known: dict[tuple[str, str, str], Evidence] = {}

    def of(self, origin: Origin) -> Evidence:
        """Read the evidence in one resource, once."""
        name = (origin.source, origin.resource, inner_resource(origin.path))
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._evidence(origin)
        return found

    def is_linked(self, one: Origin, other: Origin) -> bool:
        """Say whether one of two resources of one source names the other."""
        return one.source == other.source and (
            other.resource in self.of(one).linked or one.resource in self.of(other).linked
        )

"""A subscription as the server keeps it: what was asked, what happened, what waits to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from conformance.hostile.store import Held
from conformance.hostile.subscriptions.asked import Asked, without_secrets

__all__ = ["Happening", "Kept", "Notice"]


@dataclass(slots=True)
class Happening:
    """One event of one subscription."""

    number: int
    when: datetime
    held: Held


class Notice(NamedTuple):
    """One notification to be sent; `wrong` is added to the numbers that it tells."""

    type: str
    events: tuple[Happening, ...] = ()
    wrong: int = 0


@dataclass(slots=True)
class Kept:
    """One subscription as the server keeps it; `resource` is as it came, and holds the secret."""

    id: str
    resource: dict[str, Any]
    asked: Asked
    status: str = "requested"
    count: int = 0
    failures: int = 0
    started: datetime | None = None
    sent: datetime | None = None
    events: list[Happening] = field(default_factory=list)
    outbox: list[Notice] = field(default_factory=list)
    held_back: list[Notice] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def is_first(self, what: str) -> bool:
        """Say whether something happens for the first time, and remember that it did."""
        is_new = what not in self.done
        self.done.add(what)
        return is_new

    def err(self) -> None:
        """Go to error: from now on events are counted and none is sent."""
        self.status, self.outbox, self.held_back = "error", [], []

    def shown(self) -> dict[str, Any]:
        """Show the resource without the secrets in its headers."""
        return {**without_secrets(self.resource), "id": self.id, "status": self.status}

    def matches(self, held: Held, types: frozenset[str]) -> bool:
        """Say whether what was written is an event of this subscription; a deletion is none."""
        if held.deleted or held.type not in types:
            return False
        resource = held.resource()
        names = {(resource.get(name) or {}).get("reference") for name in ("subject", "patient")}
        return all(each.value in names for each in self.asked.conditions if each.type == held.type)

"""One EHR that is written to: the connection to it, what it says of itself, and what its answers taught."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.credentials import CHANGED, WRITTEN
from gateway.deliver.journal import Journal
from gateway.deliver.learned import Learned, keep_learned, learned
from gateway.deliver.lease import Leases
from gateway.deliver.refusal import Refusal
from gateway.home import Home
from gateway.profiles import kept
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability, fetch_capability
from gateway.pull.tokens import narrowed
from gateway.pull.wire import Reply
from gateway.source_settings import SourceSettings
from gateway.sources import connect
from gateway.store import Landed
from mappers import FhirVersion, as_fhir_version
from security.errors import Refused

__all__ = ["WRITABLE", "Target", "reach"]

WRITABLE: Final = tuple(dict.fromkeys((*WRITTEN, *CHANGED)))
"""All types that we may write."""

_FORBIDDEN: Final = 403


@dataclass
class Target:
    """A source while it is written to; `holder` is the name under which this worker leases.

    `devices` are the models' Devices that are known to be there, by our name of them; `locks` keep two of us from
    making the same one. `arrived` counts by type what arrived while we are connected.
    """

    home: Home
    name: str
    settings: SourceSettings
    connection: Connection
    capability: Capability
    holder: str
    leases: Leases
    journal: Journal
    learned: Learned = field(default_factory=Learned)
    devices: dict[str, Landed] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    arrived: Counter[str] = field(default_factory=Counter)

    @property
    def version(self) -> FhirVersion:
        """The FHIR version that it speaks."""
        version = as_fhir_version(self.capability.fhir_version)
        if version is None:
            raise Refused("The server speaks a version of FHIR in which nothing can be written.")
        return version

    def takes(self, type_: str) -> bool:
        """Say whether a type can be created: by its statement, by what it refused so far, and by our scopes."""
        told = self.capability.can_create(type_) or not self.capability.is_told
        return told and type_ not in self.learned.refused and type_ not in self.lacking

    @property
    def lacking(self) -> frozenset[str]:
        """The types that our token does not let us create, as far as the server said."""
        return frozenset(word.removesuffix(".c") for word in narrowed(self.connection.auth) if word.endswith(".c"))

    def refuse(self, type_: str, refusal: Refusal) -> None:
        """Learn that the server does not let us create a type."""
        why = "forbidden" if refusal.status == _FORBIDDEN else "not-supported"
        self.learn("answer", refused={**self.learned.refused, type_: why})

    def keeps_one(self, type_: str) -> bool:
        """Say whether a conditional create can be relied on: by its statement, and by what its answers taught."""
        if self.learned.conditional_create != "unknown":
            return self.learned.conditional_create == "yes"
        known = self.capability.types.get(type_)
        return known is not None and known.conditional_create

    def learn(self, because: str, **found: Any) -> None:
        """Keep what its answers taught."""
        known = msgspec.structs.replace(
            self.learned, because={**self.learned.because, **dict.fromkeys(found, because)}, **found
        )
        if known != self.learned:
            self.learned = known
            keep_learned(self.home.settings.home, self.name, known)

    def demand(self, delivery: str) -> None:
        """Raise `LeaseLost` where a delivery is no longer ours: call it right before each request."""
        self.leases.demand(delivery)

    async def write(
        self,
        delivery: str,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        if_none_exist: str = "",
        if_match: str = "",
        prefer: str = "return=minimal",
    ) -> Reply:
        """Write something of a delivery, as long as it is ours; the answer's status is for the caller to judge."""
        return await self.connection.write(
            method,
            target,
            body,
            if_none_exist=if_none_exist,
            if_match=if_match,
            prefer=prefer,
            before=lambda: self.leases.demand(delivery),
        )


@asynccontextmanager
async def reach(home: Home, name: str, holder: str, leases: Leases, journal: Journal) -> AsyncIterator[Target]:
    """Connect to a source, and ask it once what it can do. What was learned of another edition of it is left behind.

    Raises what `gateway.sources.connect` and `fetch_capability` raise.
    """
    settings = home.settings.source(name)
    async with connect(settings, kept(home.settings.home, name), home=home, name=name) as connection:
        capability = await fetch_capability(connection)
        known = learned(home.settings.home, name)
        if known.edition != capability.edition:
            known = Learned(edition=capability.edition)
        target = Target(home, name, settings, connection, capability, holder, leases, journal, known)
        if capability.is_told:
            target.learn("statement", creates=tuple(filter(capability.can_create, WRITABLE)))
        yield target

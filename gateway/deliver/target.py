"""One EHR that is written to, as all that delivers sees it: the connection, what it says of itself, what was learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.deliver.learned import Learned, keep_learned
from gateway.home import Home
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability
from gateway.source_settings import SourceSettings
from mappers import FhirVersion, as_fhir_version
from security.errors import Refused

__all__ = ["Target"]


@dataclass
class Target:
    """A source while it is written to; `holder` is the name under which this worker leases."""

    home: Home
    name: str
    settings: SourceSettings
    connection: Connection
    capability: Capability
    holder: str
    learned: Learned = field(default_factory=Learned)

    @property
    def version(self) -> FhirVersion:
        """The FHIR version that it speaks."""
        version = as_fhir_version(self.capability.fhir_version)
        if version is None:
            raise Refused("The server speaks a version of FHIR in which nothing can be written.")
        return version

    def takes(self, type_: str) -> bool:
        """Say whether a type can be created, by its statement and by what it refused so far."""
        told = self.capability.can_create(type_) or not self.capability.is_told
        return told and type_ not in self.learned.refused

    def learn(self, because: str, **found: Any) -> None:
        """Keep what its answers taught."""
        known = msgspec.structs.replace(
            self.learned, because={**self.learned.because, **dict.fromkeys(found, because)}, **found
        )
        if known != self.learned:
            self.learned = known
            keep_learned(self.home.settings.home, self.name, known)

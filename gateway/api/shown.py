"""What the API shows: R4 resources of twins, each with its version, and what was taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

__all__ = ["Chart", "Charts", "Gone", "Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One version of one resource, as R4, with our id, references and meta. All of it is patient data.

    `twin` is whose it is: "" for what belongs to nobody (Practitioner, Organization, Medication ...). `raw` is the JSON
    of `body`. `version` grows; `updated` is when we received it.
    """

    type: str
    id: str
    version: int
    updated: datetime
    twin: str
    body: Mapping[str, Any]
    raw: bytes

    @property
    def reference(self) -> str:
        """Name it within our base."""
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        """Name its version, as HTTP does (FHIR R4, 3.1.0.1.2: a weak ETag)."""
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Gone:
    """The end of a resource: its source no longer has it."""

    type: str
    id: str
    version: int
    updated: datetime
    twin: str


class Chart(Protocol):
    """All that there is of one twin, or of what belongs to nobody in one tenant. It never changes: it is of a version.

    Nobody is asked here whether it may be seen: `gateway.api.view` is the one way from a request to a chart.
    """

    @property
    def twin(self) -> str:
        """Whose it is; "" for what belongs to nobody."""
        ...

    @property
    def version(self) -> str:
        """Names this state of it: another version, another text."""
        ...

    def of_type(self, type_: str) -> tuple[Shown, ...]:
        """Return the current resources of a type, newest first (`updated`, then id)."""
        ...

    def types(self) -> frozenset[str]:
        """Name the types that there are."""
        ...

    def get(self, type_: str, id_: str) -> Shown | Gone | None:
        """Return a current resource, its end, or nothing."""
        ...

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        """Return all versions of a resource, newest first; empty where there never was one."""
        ...

    def gone(self) -> tuple[Gone, ...]:
        """Return all ends that are current."""
        ...


class Charts(Protocol):
    """Opens charts (`gateway.api.charts.StoreCharts`); keeps those that were used last, opened, in memory."""

    def twins(self, tenant: str, after: str = "") -> Iterator[str]:
        """Walk the twins of a tenant in the order of their ids, behind one of them; nothing is opened."""
        ...

    def chart(self, twin: str) -> Chart:
        """Open the chart of a twin as it is now. Raises `KeyError` for who is not there, or was erased."""
        ...

    def tenant_of(self, twin: str) -> str | None:
        """Say behind which wall a twin is; `None` for who is not there."""
        ...

    def shared(self, tenant: str) -> Chart:
        """Open what belongs to nobody, of the sources of a tenant."""
        ...

    def twin_of(self, type_: str, id_: str) -> str:
        """Say whose resource an id would be, by its shape; "" for one of what belongs to nobody. Nothing is opened."""
        ...

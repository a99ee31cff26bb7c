"""What the faults of an export act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.hostile.bulk.exports import File, Job
from conformance.hostile.faults.subjects import Call

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["FileCall", "Kickoff", "Lines", "Manifest", "OrderCall", "Poll"]


@dataclass(slots=True)
class OrderCall:
    """The parameters of an export, before they are read."""

    ehr: Ehr
    pairs: list[tuple[str, str]]


@dataclass(slots=True)
class Kickoff(Call):
    """A request that begins an export; `headers` go with the 202."""

    job: Job | None = None
    others: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Poll(Call):
    """A request for the status; `wait` is the Retry-After of an answer "in progress"."""

    job: Job = None  # type: ignore[assignment]  # always given
    wait: str = ""
    too_soon: bool = False


@dataclass(slots=True)
class Manifest:
    """A manifest on its way out."""

    ehr: Ehr
    job: Job
    told: dict[str, Any]
    headers: dict[str, str]
    cut: bool = False

    def numbered(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the items of a part, each with the number of its file."""
        items: list[dict[str, Any]] = self.told.get(key, [])
        return [(int(str(item["url"]).rpartition("/")[2].removesuffix(".ndjson")), item) for item in items]

    @property
    def outcomes(self) -> str:
        """What this dialect calls the files of outcomes."""
        return "outcome" if self.ehr.settings.bulk.dialect == "stu4" else "error"


@dataclass(slots=True)
class FileCall(Call):
    """A request for a file."""

    job: Job = None  # type: ignore[assignment]  # always given
    file: File = None  # type: ignore[assignment]  # always given
    takes_ranges: bool = True


@dataclass(slots=True)
class Lines:
    """The lines of a file."""

    ehr: Ehr
    job: Job
    file: File
    rows: list[bytes]
    end: bytes = b"\n"

"""The exports of one server: begun, under way, done, cancelled, expired.

An export is a snapshot of the moment of its kick-off, so that `transactionTime` is true: a write is either wholly in
it, or in the next one by `_since` (2.0.0@154). Files are written when they are asked for.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from conformance.hostile import wire
from conformance.hostile.bulk.order import Order
from conformance.hostile.problem import Problem, operation_outcome
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["Exports", "File", "Job"]

Part = Literal["output", "deleted", "outcome"]


@dataclass(slots=True)
class File:
    """One file: what it holds and how it is called."""

    part: Part
    type: str
    number: int
    rows: list[bytes]
    fetched: int = 0  # how often it was asked for

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return f"{self.number}.ndjson"


@dataclass(slots=True)
class Job:
    """One export."""

    id: str
    client: str
    order: Order
    url: str
    when: datetime
    until: datetime
    files: list[File] = field(default_factory=list)
    left: int = 0  # polls that will still be told "in progress"
    polled: datetime | None = None
    served: int = 0  # manifests given out
    page_size: int = 0  # files on a page of the manifest; 0 for all
    secret: str = ""

    def of(self, part: Part) -> list[File]:
        """Return the files of one part of the manifest."""
        return [file for file in self.files if file.part == part]


class Exports:
    """The exports of one EHR."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def begin(self, order: Order, client: str, url: str) -> Job:
        """Begin an export, and decide what is in it."""
        ehr, habits = self._ehr, self._ehr.settings.bulk
        now = ehr.clock()
        job = Job(
            id=secrets.token_urlsafe(9),
            client=client,
            order=order,
            url=url,
            when=now,
            until=now + timedelta(seconds=habits.lifetime),
            left=habits.polls,
            page_size=habits.files_a_manifest if order.in_parts else 0,
            secret=secrets.token_urlsafe(12),
        )
        with ehr.store.atomic():  # nobody writes meanwhile
            for type_ in order.types:
                self._add(job, "output", type_, [held.body for held in self._live(order, type_)])
            self._add(job, "deleted", "Bundle", [_deletion(ehr, held) for held in self._deleted(order)])
        told = [operation_outcome("not-supported", f"{name} was ignored.", "warning") for name in order.ignored]
        self._add(job, "outcome", "OperationOutcome", [wire.encode(each) for each in told])
        with self._lock:
            self._jobs[job.id] = job
        return job

    def find(self, id_: str, client: str) -> Job:
        """Return an export; 404 where it is not, has expired, or is somebody else's, which nobody may tell apart."""
        job = self._jobs.get(id_)
        if job is None or job.client != client or job.until <= self._ehr.clock():
            raise Problem(404, "not-found", "There is no such export.")
        return job

    def named(self, id_: str) -> Job | None:
        """Return an export by its id alone."""
        return self._jobs.get(id_)

    def running(self, client: str) -> int:
        """Count the exports of a client that are not done."""
        return sum(job.client == client and job.left > 0 for job in self._jobs.values())

    def end(self, job: Job) -> None:
        """Forget an export and its files."""
        with self._lock:
            self._jobs.pop(job.id, None)

    def _live(self, order: Order, type_: str) -> Iterator[Held]:
        for held in self._ehr.store.live(type_):
            if (order.since is None or held.when > order.since) and order.takes(held):
                yield held

    def _deleted(self, order: Order) -> Iterator[Held]:
        """Yield the deletions since, of what would have been exported."""
        if order.since is None:
            return
        for held in self._ehr.store.changes(order.types, order.since):
            if held.deleted and held.when > order.since and held is self._ehr.store.last(held.type, held.id):
                before = self._ehr.store.history(held.type, held.id)[1]
                if order.takes(before):
                    yield held

    def _add(self, job: Job, part: Part, type_: str, rows: list[bytes]) -> None:
        size = self._ehr.settings.bulk.lines_a_file
        for start in range(0, len(rows), size):
            job.files.append(File(part, type_, len(job.files) + 1, rows[start : start + size]))


def _deletion(ehr: Ehr, held: Held) -> bytes:
    """Write one line of a deleted file: a transaction that deletes (2.0.0@187 to @190)."""
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": ehr.new_id("Bundle"),
        "meta": {"lastUpdated": wire.instant(held.when)},
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": held.reference}}],
    }
    return wire.encode(bundle)

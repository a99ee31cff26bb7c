"""What an export makes of each fault of the simulator: the table in docs/bulk.md.

`python -m tests.gateway.pull.bulk.bulk_table` writes it anew; `test_bulk_faults.py` says when that is due.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.hostile import FAULTS, BulkHabits, Ehr, EhrSettings, Misbehaviour
from gateway.pull.bulk import BulkExport
from gateway.pull.connection import Connection
from gateway.pull.keys import SigningKey, new_key
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Certificate, Page
from gateway.pull.profile import Profile
from gateway.pull.tokens import BackendServices
from gateway.pull.wire import Patience
from gateway.source_settings import SourceSettings
from security.errors import Fault
from tests.conformance.desk import Socket, sockets
from tests.gateway.pull.conftest import Clock
from tests.gateway.pull.written_table import WrittenTable, names_in

__all__ = ["BULK", "TABLE", "Desk", "Seen", "export_once", "rows", "write"]

TABLE = WrittenTable(Path(__file__).resolve().parents[4] / "docs" / "bulk.md", "what our export does")
TYPES = ("Patient", "Observation")
BULK = tuple(
    name
    for name, kind in FAULTS.items()
    if kind.place in ("order", "kick-off", "poll", "manifest", "file", "lines", "cancel")
)
_VALUES = {"line-that-is-huge": "1", "kick-off-throttled": "100", "second-job-refused": "100"}
_HABITS: dict[str, dict[str, Any]] = {"job-stuck": {"retry_after": 43_200}}
_GUARDED = frozenset({"token-flag-as-text", "token-flag-wrong", "no-token-flag", "signed-file-url", "files-elsewhere"})
_CHANGES = frozenset({"since-ignored", "deletes-not-told"})
_FILTERED = frozenset({"type-filter-refused", "type-filter-ignored"})
_PASSING = ("kick-off", "poll", "manifest", "file")
_PRIVATE, _PUBLIC = new_key()


def record() -> list[dict[str, Any]]:
    """Make five patients with three observations each."""
    found: list[dict[str, Any]] = []
    for p in range(5):
        found.append({"resourceType": "Patient", "id": f"p{p}", "gender": "female"})
        found += [
            {
                "resourceType": "Observation",
                "id": f"p{p}-o{o}",
                "status": "final",
                "category": [{"coding": [{"code": "laboratory"}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
                "subject": {"reference": f"Patient/p{p}"},
            }
            for o in range(3)
        ]
    return found


@dataclass
class Desk:
    """An EHR, the time, and what an export is made of."""

    ehr: Ehr
    time: Clock
    guarded: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, socket: Socket, *thrown: Misbehaviour, guarded: bool = False, **changes: Any) -> Desk:
        """Put an EHR there that exports five lines a file."""
        time = Clock()
        habits = {"lines_a_file": 5, "lifetime": 1e8, **changes.pop("bulk", {})}
        told = {"name": "sim", "require_auth": guarded, "bulk": BulkHabits(**habits), **changes.pop("ehr", {})}
        ehr = Ehr(EhrSettings(**told), clock=time)
        ehr.load(*record())
        ehr.smart.register("fhirtwin", json.loads(_PUBLIC))
        ehr.misbehaviours.add(*thrown)
        socket.insert(ehr)
        return cls(ehr, time, guarded, {"types": TYPES, "way": "bulk", **changes})

    def connect(self) -> Connection:
        """Open a connection to it."""
        base, key = self.ehr.base_url, SigningKey.read(_PRIVATE)
        auth = (
            BackendServices(base, "fhirtwin", key, read=TYPES, clock=self.time, sleep=self.time.sleep)
            if self.guarded
            else None
        )
        patience = Patience(tries=3, longest=8.0)
        dice = random.Random(1)  # noqa: S311 - pauses, no secrets
        return Connection(base, None, auth, patience=patience, clock=self.time, sleep=self.time.sleep, dice=dice)

    async def source(self, connection: Connection, profile: Profile | None = None, **more: Any) -> BulkExport:
        """Make the export."""
        capability = await fetch_capability(connection)
        settings = SourceSettings(url=self.ehr.base_url, **self.settings)
        return BulkExport(
            "sim",
            connection,
            capability,
            profile or Profile(),
            settings,
            clock=self.time,
            sleep=self.time.sleep,
            **more,
        )

    def asked(self, method: str = "", part: str = "") -> list[str]:
        """Return the paths that were asked for."""
        return [s.path for s in self.ehr.seen if method in ("", s.method) and part in s.path]

    @property
    def there(self) -> set[str]:
        """Return what the EHR holds."""
        return {held.reference for type_ in TYPES for held in self.ehr.store.live(type_)}


@dataclass(frozen=True, slots=True)
class Seen:
    """What one export came to."""

    pages: tuple[Page, ...]
    certificate: Certificate | None
    came: frozenset[str]
    gone: frozenset[str]
    there: frozenset[str]
    fault: Fault | None
    jobs: int

    @property
    def verdict(self) -> str:
        """The verdict, or that there is none."""
        return self.certificate.verdict if self.certificate and not self.fault else "no certificate"

    @property
    def problems(self) -> list[str]:
        """What is known of what cannot be understood."""
        return [entry.problem for page in self.pages for entry in page.entries if entry.problem]

    @property
    def why(self) -> list[str]:
        """Why it is not complete."""
        if self.fault is not None or self.certificate is None:
            return [type(self.fault).__name__]
        told = [asked.stopped for asked in self.certificate.asked] + [
            s for a in self.certificate.asked for s in a.signs
        ]
        return list(dict.fromkeys(each for each in told if each))

    @property
    def is_wrong(self) -> bool:
        """Say whether something is called complete that is not."""
        return self.verdict == "complete" and bool(self.there - self.came)

    def words(self) -> str:
        """Tell it in a cell."""
        told = ", ".join([self.verdict, *self.why])
        missing = self.there - self.came
        told += f"; {len(self.came & self.there)} of {len(self.there)}" if missing else ""
        told += f"; exit {self.status}" if self.status else ""
        return f"**{told}**" if self.is_wrong else told

    @property
    def status(self) -> int:
        """The exit status of a pull."""
        return self.fault.exit_status if self.fault else 5 if self.verdict == "incomplete" else 0


async def walk(
    desk: Desk,
    cursor: str | None = None,
    *,
    tell: Callable[[str], None] = lambda text: None,
    waits: bool = True,
    **more: Any,
) -> Seen:
    """Walk an export to its end, or to the fault that ends it."""
    connection = desk.connect()
    pages: list[Page] = []
    fault, source = None, None
    try:
        source = await desk.source(connection, **more)
        source.waiting.tell, source.waiting.is_allowed = tell, waits
        async for page in source.pages(cursor):
            pages.append(page)
    except Fault as found:
        fault = found
    finally:
        await connection.close()
    certificate = source.certificate() if source else None
    came = {name for page in pages for entry in page.entries if not entry.problem for name in names_in(entry.raw)}
    gone = {one.resource for page in pages for one in page.gone}
    kicked = sum(s.path.endswith("/$export") and s.status == 202 for s in desk.ehr.seen)
    return Seen(tuple(pages), certificate, frozenset(came), frozenset(gone), frozenset(desk.there), fault, kicked)


def export_once(socket: Socket, name: str, times: int | None = None, **changes: Any) -> Seen:
    """Export from an EHR with one fault thrown."""
    more: dict[str, Any] = {}
    if name in _FILTERED:
        changes["filters"] = ("Observation?category=laboratory",)
    desk = Desk.open(socket, guarded=name in _GUARDED, bulk=_HABITS.get(name, {}), **changes)
    if name in _CHANGES:  # all of it is newer than what is asked for
        more["since"] = "2026-11-01T00:00:00Z"
        before, desk.time.now = desk.time.now, datetime(2026, 10, 1, tzinfo=UTC)
        desk.ehr.load({"resourceType": "Patient", "id": "old"})
        desk.time.now = before
        desk.ehr.store.remove("Patient", "old")
    if name == "second-job-refused":
        asyncio.run(_another_job(desk))
    desk.ehr.misbehaviours.add(Misbehaviour(name, "Export", 0, times or FAULTS[name].times, _VALUES.get(name, "")))
    return asyncio.run(walk(desk, **more))


async def _another_job(desk: Desk) -> None:
    """Begin an export and leave it."""
    connection = desk.connect()
    source = await desk.source(connection)
    async for page in source.pages(None):
        if page.what.endswith("begun"):
            break
    await connection.close()


def rows(socket: Socket) -> Iterator[tuple[str, Seen, Seen]]:
    """Return for each fault what an export makes of it: where it strikes once, and for good.

    Where it cannot pass, because nothing is asked twice, the two are one.
    """
    for name in BULK:
        always = export_once(socket, name)
        yield name, export_once(socket, name, 1) if FAULTS[name].place in _PASSING else always, always


def write() -> None:
    """Write the table into the document."""
    with sockets() as socket:
        TABLE.write(TABLE.of(rows(socket)))


if __name__ == "__main__":
    write()

"""What a pull makes of each fault of the simulator: the table in docs/hostile.md.

`python -m tests.gateway.pull.fault_table` writes it anew; `test_faults.py` says when that is due.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conformance.hostile import FAULTS, Ehr, EhrSettings, Misbehaviour
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.keys import SigningKey, new_key
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Certificate, Page
from gateway.pull.tokens import BackendServices
from gateway.pull.wire import Patience
from security.errors import Fault
from tests.conformance.desk import Socket, sockets
from tests.gateway.pull.written_table import WrittenTable, names_in

__all__ = ["MET", "TABLE", "Seen", "pull_once", "rows", "write"]

TABLE = WrittenTable(Path(__file__).resolve().parents[3] / "docs" / "hostile.md", "what our pull does")
_TYPES = ("Patient", "Observation")
# Where a fault bites that a pull which crawls can meet.
_READING = ("request", "token", "asked", "found", "count", "turn", "page", "body", "statement", "discovery")
# What a crawl does not ask for yet.
_ELSEWHERE = frozenset(name for name in FAULTS if name.startswith(("history-", "everything-"))) | {"next-after-post"}
MET = tuple(sorted(name for name, kind in FAULTS.items() if kind.place in _READING and name not in _ELSEWHERE))
_VALUES = {
    "huge-body": "2",
    "huge-row": "1",
    "gzip-in-gzip": "2",
    "slow-drip": "0.001",
    "slow-loris": "0.02",
    "throttling-storm": "20",
    "unavailable": "5",
}
_PATIENT = Patience(tries=3, longest=8.0)
_HASTY = Patience(read=0.5, total=1.0, tries=3, longest=8.0)  # for answers that do not end
_ENDLESS = ("silent-stall", "never-answers", "slow-loris")
_PRIVATE, _PUBLIC = new_key()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one pull came to: its verdict, why a question stopped, how many came, and of how many there are now.

    Where it was kept, `held` has how many facts stand of each resource, and `copies` how often each is held.
    """

    verdict: str
    stopped: str
    came: int
    there: int
    missing: int
    stray: int
    status: int
    said: str = ""
    hint: str = ""
    held: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    report: Report | None = None

    @property
    def is_wrong(self) -> bool:
        """Say whether something is called complete that is not."""
        return self.verdict == "complete" and bool(self.missing)

    def words(self) -> str:
        """Tell it in a cell."""
        told = self.verdict + (f", {self.stopped}" if self.stopped else "")
        told += f"; {self.came} of {self.there}" if self.missing else ""
        told += f", {self.stray} that are no more" if self.stray else ""
        told += f"; exit {self.status}" if self.status else ""
        return f"**{told}**" if self.is_wrong else told


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
                "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
                "subject": {"reference": f"Patient/p{p}"},
                "effectiveDateTime": f"2024-01-0{o + 1}",
                "valueQuantity": {
                    "value": 1.1,
                    "unit": "mg/dL",
                    "system": "http://unitsofmeasure.org",
                    "code": "mg/dL",
                },
            }
            for o in range(3)
        ]
    return found


class _Noted:
    """A crawl, and what came by it."""

    def __init__(self, crawl: SearchCrawl) -> None:
        self.name, self._crawl = crawl.name, crawl
        self.came: set[str] = set()

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        async for page in self._crawl.pages(cursor):
            self.came |= {each for entry in page.entries if not entry.problem for each in names_in(entry.raw)}
            yield page

    def certificate(self) -> Certificate:
        return self._crawl.certificate()


async def pull_once(
    socket: Socket, name: str, *, times: int | None = None, after: int | None = None, home: Home | None = None
) -> Seen:
    """Pull from an EHR with one fault thrown; what the EHR holds in the end is what should have come.

    `after` is by default 1 where the fault strikes requests, pages or bodies, so that something has come before. With
    `home` it is kept there, and mapped.
    """
    slept = [0.0]

    async def sleep(seconds: float) -> None:
        slept[0] += seconds

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=slept[0])

    kind = FAULTS[name]
    guarded = kind.place in ("token", "discovery") or name == "expired-token"
    ehr = Ehr(EhrSettings(name="sim", page_size=4, require_auth=guarded), clock=clock)
    stamp = (clock() - timedelta(seconds=45)).isoformat(timespec="milliseconds")  # before the pull, by any clock
    ehr.load(*({**each, "meta": {"lastUpdated": stamp}} for each in record()))
    ehr.smart.register("fhirtwin", json.loads(_PUBLIC))
    if name == "unmerged-patient":
        ehr.merge("p0", "p1")
    everywhere = kind.place in ("token", "statement", "discovery")
    later = int(kind.place in ("request", "page", "body") and kind.times is None)
    type_ = "" if everywhere else "Patient" if name in ("patients-not-listed",) else "Observation"
    skipped = later if after is None or everywhere else after
    ehr.misbehaviours.add(Misbehaviour(name, type_, skipped, times or kind.times, _VALUES.get(name, "")))
    socket.insert(ehr)
    key = SigningKey.read(_PRIVATE)
    auth = BackendServices(ehr.base_url, "fhirtwin", key, read=_TYPES, clock=clock, sleep=sleep) if guarded else None
    connection = Connection(
        ehr.base_url,
        None,
        auth,
        patience=_HASTY if name in _ENDLESS else _PATIENT,
        clock=clock,
        sleep=sleep,
        dice=random.Random(1),  # noqa: S311 - pauses, no secrets
    )
    verdict, stopped, status, said, hint = "no certificate", "", 0, "", ""
    source, report = None, None
    label = f"{name}-{times or 'always'}"
    try:
        source = _Noted(SearchCrawl(label, connection, await fetch_capability(connection), types=_TYPES, page_size=4))
        if home is not None:
            report = await ingest(home, source, lambda text: None)
        else:
            async for _ in source.pages(None):
                pass
    except Fault as fault:
        stopped, status, said, hint = type(fault).__name__, fault.exit_status, str(fault), fault.hint
    finally:
        await connection.wire.close()
    if source is not None:
        certificate = source.certificate()
        verdict = certificate.verdict
        stops = dict.fromkeys(asked.stopped for asked in certificate.asked if asked.stopped)
        stopped = stopped or ", ".join(stops)
    came = source.came if source is not None else set()
    there = {held.reference for type_ in _TYPES for held in ehr.store.live(type_)}
    status = status or (5 if verdict == "incomplete" else 0)
    missing, stray = len(there - came), len(came - there)
    held, copies = _standing(home, label, report) if home is not None and report is not None else (Counter(), Counter())
    counts = (len(came & there), len(there), missing, stray)
    return Seen(verdict, stopped, *counts, status, said, hint, held, copies, report)


def _standing(home: Home, source: str, report: Report) -> tuple[Counter[str], Counter[str]]:
    """Count of each resource of a source how many facts stand, and how often it is held."""
    records = [home.store.twin_record(twin) for twin in report.touched]
    held = [each for record in records for each in record.resources if each.source == source]
    held += home.store.unlinked(source)
    facts, copies = Counter[str](), Counter[str]()
    for each in held:
        facts[each.key] += sum(1 for _ in each.facts)
        copies[each.key] += 1
    return facts, copies


def rows(socket: Socket, home: Home | None = None) -> Iterator[tuple[str, Seen, Seen]]:
    """Return for each fault that a crawl can meet what a pull makes of it: where it strikes once, and for good."""
    for name in MET:
        always = asyncio.run(pull_once(socket, name, home=home))
        once = always if FAULTS[name].times else asyncio.run(pull_once(socket, name, times=1, home=home))
        yield name, once, always


def write() -> None:
    """Write the table into the document."""
    with sockets() as socket:
        TABLE.write(TABLE.of(rows(socket)))


if __name__ == "__main__":
    write()

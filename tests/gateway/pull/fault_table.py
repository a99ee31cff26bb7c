"""What a pull makes of each fault of the simulator: the table in docs/hostile.md.

`python -m tests.gateway.pull.fault_table` writes it anew; `test_faults.py` says when that is due.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conformance.hostile import FAULTS, Ehr, EhrSettings, Misbehaviour
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.keys import SigningKey, new_key
from gateway.pull.metadata import fetch_capability
from gateway.pull.tokens import BackendServices
from gateway.pull.wire import Patience
from security.errors import Fault
from tests.conformance.desk import Socket, sockets

__all__ = ["DOCUMENT", "MET", "Seen", "pull_once", "rows", "table", "write", "written"]

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "hostile.md"
BEGIN, END = "<!-- what our pull does: begin -->", "<!-- what our pull does: end -->"
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
    """What one pull came to: its verdict, why a question stopped, how many came, and of how many there are now."""

    verdict: str
    stopped: str
    came: int
    there: int
    missing: int
    stray: int
    status: int
    said: str = ""
    hint: str = ""

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
            }
            for o in range(3)
        ]
    return found


async def pull_once(socket: Socket, name: str, *, times: int | None = None, after: int | None = None) -> Seen:
    """Pull from an EHR with one fault thrown; what the EHR holds in the end is what should have come.

    `after` is by default 1 where the fault strikes requests, pages or bodies, so that something has come before.
    """
    slept = [0.0]

    async def sleep(seconds: float) -> None:
        slept[0] += seconds

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=slept[0])

    kind = FAULTS[name]
    guarded = kind.place in ("token", "discovery") or name == "expired-token"
    ehr = Ehr(EhrSettings(name="sim", page_size=4, require_auth=guarded), clock=clock)
    ehr.load(*record())
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
    came: set[str] = set()
    verdict, stopped, status, said, hint = "no certificate", "", 0, "", ""
    source = None
    try:
        source = SearchCrawl("sim", connection, await fetch_capability(connection), types=_TYPES, page_size=4)
        async for page in source.pages(None):
            came |= {each for entry in page.entries if not entry.problem for each in _key(entry.raw)}
    except Fault as fault:
        stopped, status, said, hint = type(fault).__name__, fault.exit_status, str(fault), fault.hint
    finally:
        await connection.wire.close()
    if source is not None:
        certificate = source.certificate()
        verdict = certificate.verdict
        stops = dict.fromkeys(asked.stopped for asked in certificate.asked if asked.stopped)
        stopped = stopped or ", ".join(stops)
    there = {held.reference for type_ in _TYPES for held in ehr.store.live(type_)}
    status = status or (5 if verdict == "incomplete" else 0)
    missing, stray = len(there - came), len(came - there)
    return Seen(verdict, stopped, len(came & there), len(there), missing, stray, status, said, hint)


def rows(socket: Socket) -> Iterator[tuple[str, Seen, Seen]]:
    """Return for each fault that a crawl can meet what a pull makes of it: where it strikes once, and for good."""
    for name in MET:
        always = asyncio.run(pull_once(socket, name))
        yield name, always if FAULTS[name].times else asyncio.run(pull_once(socket, name, times=1)), always


def table(found: Iterable[tuple[str, Seen, Seen]]) -> str:
    """Write the rows as a table."""
    lines = ["| fault | once | for good |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {once.words()} | {always.words()} |" for name, once, always in found)])


def written() -> str:
    """Return the table as it stands in the document."""
    match = re.search(f"{BEGIN}\n(.*?)\n{END}", DOCUMENT.read_text("utf-8"), re.DOTALL)
    return match[1] if match else ""


def write() -> None:
    """Write the table into the document."""
    with sockets() as socket:
        told = table(rows(socket))
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(text.replace(f"{BEGIN}\n{written()}\n{END}", f"{BEGIN}\n{told}\n{END}"), "utf-8")


def _key(raw: bytes) -> list[str]:
    try:
        resource = json.loads(raw)
    except ValueError:
        return []
    return [f"{resource.get('resourceType')}/{resource.get('id')}"]


if __name__ == "__main__":
    write()

"""One patient at one EHR, of whom there is a result to tell: what the tests of deliveries begin with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from conformance.hostile import Ehr, EhrSettings, Seen, serve
from gateway.cli import main
from gateway.deliver import propose
from gateway.deliver.approval import approve
from gateway.deliver.worker import Tally, work
from gateway.home import Home
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from gateway.store import Delivery
from security.audit.entry import read_entry
from tests.gateway.consenting import CREATININE, PATIENT
from tests.security.consent.saying import consent

__all__ = ["Gate", "Ward", "ward_with"]

WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Gate:
    """Keeps requests to one path waiting until it is opened, so that something can happen while they are under way."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path
        self.reached = asyncio.Event()
        self._opened = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.is_shut = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_shut and scope.get("method") in WRITES and scope.get("path") == self._path:
            self._loop.call_soon_threadsafe(self.reached.set)
            wait = asyncio.run_coroutine_threadsafe(self._opened.wait(), self._loop)
            await asyncio.wrap_future(wait)
        await self._app(scope, receive, send)

    def open(self) -> None:
        """Let them through, and all that come."""
        self._opened.set()


class Ward:
    """The EHR "ward" with one patient, and a home that pulled from it."""

    def __init__(self, folder: Path, ehr: Ehr, base: str, more: str) -> None:
        self.folder, self.ehr, self.base, self._more = folder, ehr, base, more
        self.settings()
        self.home = Home.open(load_settings(folder))
        self.twin = ""
        self.gate: Gate | None = None

    def settings(self, section: str | None = None, *, more: str | None = None) -> None:
        """Write twin.toml: the source's section, and what stands behind it."""
        told = f'url = "{self.base}"\n' if section is None else section
        text = f"[sources.ward]\n{told}\n" if told else ""
        (self.folder / "twin.toml").write_text(f"{text}{self._more if more is None else more}\n", "utf-8")

    def reopen(self) -> None:
        """Open the home anew, as a process that begins now does."""
        self.home.store.close()
        self.home = Home.open(load_settings(self.folder))

    def run(self, *arguments: str) -> int:
        """Run a command of ours on this home."""
        return main([*arguments, "--home", str(self.folder)])

    async def pull(self) -> None:
        """Pull all that the EHR has."""
        async with open_source("ward", self.home.settings.source("ward")) as source:
            await ingest(self.home, source, lambda text: None)
        [self.twin] = [twin.id for twin in self.home.store.twins()]

    def propose(self) -> Delivery:
        """Run a model, and propose its result."""
        record = open_twin(self.home, self.twin)
        run_model(self.home, record, "kidney")
        propose(self.home, record)
        [delivery] = self.home.store.outbox(states=("proposed",))
        return delivery

    def agree(self) -> Delivery:
        """Propose it, and agree to it as the person at the terminal."""
        delivery = self.propose()
        approve(self.home, delivery)
        return self.delivery

    @property
    def delivery(self) -> Delivery:
        """The only delivery, as it is now."""
        [delivery] = self.home.store.outbox()
        return delivery

    async def deliver(self) -> Tally:
        """Deliver what may leave now."""
        return await work(self.home)

    async def consent(self, base: str, **changes: Any) -> None:
        """Let the patient say something at the EHR, and pull it."""
        self.ehr.load(consent(base, id="c1", patient={"reference": "Patient/p1"}, **changes))
        await self.pull()

    def writes(self, *, of_anybody: bool = False) -> list[Seen]:
        """What was written at the EHR about the patient; `of_anybody`: the model's Device, too."""
        seen = [each for each in self.ehr.seen if each.method in WRITES and not each.path.endswith("_search")]
        return [each for each in seen if of_anybody or not each.path.endswith("/Device")]

    def asked_since(self, count: int) -> list[Seen]:
        """What was asked of the EHR since so many requests, but for what it says of itself."""
        return [seen for seen in self.ehr.seen[count:] if "metadata" not in seen.path]

    def results(self) -> Sequence[Mapping[str, Any]]:
        """The simulated results that the EHR has now."""
        return [one for one in self.ehr.store.all("Observation") if one["id"] != CREATININE["id"]]

    def audited(self) -> list[tuple[str, str, str]]:
        """The events of the log: kind, outcome and reason."""
        page = self.home.store.search_audit(limit=1000)
        read = [read_entry(each.sequence, each.event) for each in page.entries]
        return [(entry.kind, entry.outcome, entry.reason) for entry in read]


@asynccontextmanager
async def ward_with(folder: Path, more: str = "", *, gate: str = "", **habits: Any) -> AsyncIterator[Ward]:
    """Open a ward whose patient was pulled. `gate` is a path of the EHR at which writes can be kept waiting."""
    ehr = Ehr(EhrSettings(name="ward", fhir_version="r4", require_auth=False, **habits))
    ehr.load(PATIENT, CREATININE)
    shut = Gate(ehr.app, gate) if gate else None
    if shut is not None:
        ehr.app = shut  # type: ignore[assignment]  # an ASGI application is all that a server needs
    with serve([ehr]) as [base]:
        ward = Ward(folder, ehr, base, more)
        ward.gate = shut
        try:
            await ward.pull()
            yield ward
        finally:
            if shut is not None:
                shut.open()
            ward.home.store.close()

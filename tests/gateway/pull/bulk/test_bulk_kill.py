"""kill -9 at each request of an export, before the server has it or behind: the next pull goes on with that export."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from conformance.hostile import BulkHabits, Ehr, EhrSettings, serve
from gateway.ingest import Report, ingest
from gateway.pull.bulk import BulkExport
from gateway.pull.metadata import fetch_capability
from gateway.pull.profile import Profile
from gateway.sources import connect
from tests.gateway.warding import NOON, Ward

NINE = {f"o{n}" for n in range(9)}


def pull(ward: Ward) -> Report:
    """Pull by bulk export."""
    with ward.home() as home:

        async def run() -> Report:
            settings = home.settings.source("ward")
            async with connect(settings) as connection:
                capability = await fetch_capability(connection)
                source = BulkExport("ward", connection, capability, Profile(), settings)
                return await ingest(home, source, lambda text: None)

        return asyncio.run(run())


class Gallows:
    """Kills a child when it comes to its `last` request, before the server has it, or when it has answered."""

    def __init__(self) -> None:
        self.child = self.last = self.came = 0
        self.is_late = False

    def kill(self) -> None:
        os.kill(self.child, signal.SIGKILL)


@pytest.fixture(scope="module")
def hanging(tmp_path_factory) -> Iterator[tuple[Ward, Gallows]]:
    gallows = Gallows()
    folder = tmp_path_factory.mktemp("ward")
    habits = BulkHabits(lines_a_file=4, retry_after=0)
    ehr = Ehr(EhrSettings(name="ward", require_auth=False, bulk=habits), clock=lambda: NOON)
    inner = ehr.app

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        gallows.came += 1
        if gallows.came == gallows.last and not gallows.is_late:
            gallows.kill()
            return

        async def sent(message: Any) -> None:
            if gallows.came == gallows.last and message["type"] == "http.response.start":
                gallows.kill()
            await send(message)

        await inner(scope, receive, sent)

    ehr.app = app  # type: ignore[assignment]  # an ASGI app, as the server takes it
    with serve([ehr]) as [base]:
        ward = Ward(ehr, folder, base, {}, [])
        ward.configure(more='way = "bulk"\nat_once = 1\n')
        with ward.home():
            pass
        yield ward, gallows


def new_home(hanging: tuple[Ward, Gallows], folder: Path) -> Ward:
    """Return a home that has pulled nothing, at an EHR that was asked nothing."""
    ward, gallows = hanging
    ward.ehr.seen.clear()
    ward.ehr.exports._jobs.clear()
    gallows.came = gallows.last = 0
    return ward.copied(folder)


def pull_in_a_child(ward: Ward, gallows: Gallows, last: int, *, is_late: bool) -> int:
    """Pull in a process that is killed; return how it ended."""
    gallows.last, gallows.is_late = last, is_late
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)
        try:
            pull(ward)
        finally:
            os._exit(0)
    gallows.child = child
    os.write(writing, b"!")
    _, status = os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    gallows.came = gallows.last = 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def kicked_off(ward: Ward) -> int:
    return sum(seen.path.endswith("$export") for seen in ward.ehr.seen)


REQUESTS = ["metadata", "$export", "status", "status", *["file"] * 4, *["count"] * 2, "DELETE"]
KICK_OFF = 2


def test_killed_at_any_request_a_pull_goes_on_with_the_same_export(hanging, tmp_path):
    _, gallows = hanging
    ward = new_home(hanging, tmp_path / "undisturbed")
    undisturbed = pull(ward)
    assert (undisturbed.certificate.verdict, gallows.came) == ("complete", len(REQUESTS))
    moments = [(last, False) for last in (2, 3, 4, 5, 7, 9, 11)] + [(KICK_OFF, True), (5, True), (11, True)]
    for last, is_late in moments:
        ward = new_home(hanging, tmp_path / f"{last}{is_late}")
        assert pull_in_a_child(ward, gallows, last, is_late=is_late) == signal.SIGKILL
        report = pull(ward)
        assert ward.facts() == {"p0": NINE, "p1": set()}
        assert report.ledger == undisturbed.ledger
        if last == KICK_OFF:
            assert kicked_off(ward) == 1 + is_late
            assert report.certificate.verdict == "unprovable"
            assert [asked.signs for asked in report.certificate.asked] == [("lost-job",)] * 2
        else:
            assert kicked_off(ward) == 1
            assert report.certificate.verdict == "complete"
        assert len(ward.ehr.exports._jobs) == (last == KICK_OFF and is_late)  # the lost one alone is left behind

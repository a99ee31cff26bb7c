"""Pulls in processes that a test may kill, each forked from one that has everything imported already.

`python -m tests.gateway.pull.killable CLOCK` reads a JSON object a line: `home`, the folder to pull into, and `commit`,
before which of its commits the process is to be killed (0: none). It answers with a line that has the id of the
process, and to the next line with how it ended: 0 where the pull is complete, else the exit status of `twin pull`, 5
also where nobody can know, or minus the signal. Pauses take no time: the clock is a number in a file, which moves when
somebody sleeps.
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine, event

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull import connection, line
from gateway.pull.bulk import export
from gateway.pull.folder import Folder
from gateway.pull.trust import tls_context
from gateway.settings import load_settings
from gateway.sources import open_source
from security.errors import Fault

__all__ = ["Clock", "Killable"]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """The time, in a file: for all processes the same."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._passed = mmap.mmap(opened.fileno(), 8)

    def __call__(self) -> datetime:
        """Tell the time."""
        return NOON + timedelta(seconds=struct.unpack("d", self._passed[:])[0])

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._passed[:] = struct.pack("d", (self() - NOON).total_seconds() + seconds)

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others have a turn."""
        self.wait(seconds)
        await asyncio.sleep(0)


class Killable:
    """The process that forks those that pull."""

    def __init__(self, clock: Path) -> None:
        command = [sys.executable, "-m", __spec__.name, str(clock)]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, home: Path, commit: int = 0) -> int:
        """Begin to pull; return the id of the process, which waits for `go`."""
        self._tell({"home": str(home), "commit": commit})
        return int(self._hear())

    def go(self) -> int:
        """Let it pull until it ends; return its exit status, or minus the signal that killed it."""
        self._tell({})
        return int(self._hear())

    def close(self) -> None:
        """End it."""
        self._server.communicate()

    def _tell(self, told: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(told) + "\n")
        self._server.stdin.flush()

    def _hear(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()


async def _pull(folder: Path) -> int:
    with Home.open(load_settings(folder)) as home:
        async with open_source("ward", home.settings.source("ward"), home) as source:
            report = await ingest(home, source, lambda text: None)
    return 0 if report.certificate.verdict == "complete" else 5


def _kill_before(commit: int) -> None:
    left = [commit]

    def count(_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", count)


def _warm_up() -> None:
    """Pull something, so that what is made once in a process is made before it forks."""
    tls_context()
    with TemporaryDirectory() as folder:
        home, file = Path(folder, "home"), Path(folder, "a.json")
        file.write_text('{"resourceType": "Patient", "id": "p", "birthDate": "1970-01-01"}', "utf-8")
        with Home.open(load_settings(home)) as opened:
            asyncio.run(ingest(opened, Folder("files", file, "r4"), lambda text: None))


def _serve(clock: Clock) -> None:
    for made in (
        connection.Connection,
        line.Line,
        export.BulkExport,
    ):  # what `open_source` makes tells time by our clock
        told = made.__init__.__kwdefaults__ or {}
        ours = {"clock": clock, "sleep": clock.sleep, "dice": random.Random(1)}  # noqa: S311 - pauses, no secrets
        told.update({name: value for name, value in ours.items() if name in told})
    _warm_up()
    gc.disable()  # a child that lives for a moment need not collect, nor touch what it shares with us
    for asked in sys.stdin:
        told = json.loads(asked)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)
            try:
                if told["commit"]:
                    _kill_before(told["commit"])
                status = asyncio.run(_pull(Path(told["home"])))
            except Fault as fault:
                status = fault.exit_status
            except BaseException as error:
                sys.stderr.write(f"{error!r}\n")
                status = 99
            os._exit(status)
        os.close(reading)
        _say(child)
        sys.stdin.readline()
        os.close(writing)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Clock(Path(sys.argv[1])))

"""Commands of `twin` in processes that something happens to, at any call by which they reach the disk.

`python -m tests.gateway.struck.injured` forks one process for each command from one that has imported everything.
Before it goes, `strace` is attached, which makes its Nth call of a kind fail, or kills it there (strace(1), "Syscall
tampering"): at that very call and not a moment later.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Injured", "Ordeal", "Outcome", "demand_strace"]

SYNCS = "fsync,fdatasync"
WRITES = "fsync,fdatasync,pwrite64,ftruncate,unlink,rename,linkat"
"""By which SQLite and we change what is on disk (sqlite.org/atomiccommit.html)."""

_INSTALL = Path(__file__).with_name("install.sh")


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What happens at the Nth of some calls: an error ("EIO"), or the end ("SIGKILL")."""

    calls: str
    what: str
    at: int

    @property
    def option(self) -> str:
        """Say it to strace."""
        means = f"signal={self.what}" if self.what.startswith("SIG") else f"error={self.what}"
        return f"inject={self.calls}:{means}:when={self.at}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its status, or minus the signal, what it said, and how many calls of a kind it made.

    `struck` names the file of the call at which something happened, "" where none did: strace counts by thread, so that
    an ordeal may come too late. `after` counts the calls that were made afterwards all the same.
    """

    status: int
    said: str
    calls: int
    struck: str
    after: int


def demand_strace() -> None:
    """Install strace where it is missing; skip where that cannot be, and fail in CI."""
    ran = subprocess.run(["sh", str(_INSTALL)], capture_output=True, text=True, check=False)
    if ran.returncode:
        message = f"strace cannot be had: {ran.stderr.strip()}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


class Injured:
    """The process that forks commands."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", __spec__.name]
        self._trace, self._said = folder / "trace", folder / "said"
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str, ordeal: Ordeal | None = None, count: str = WRITES) -> Outcome:
        """Run a command to its end; without an ordeal, count the calls of some kinds that it makes."""
        pid = self._ask({"arguments": arguments, "said": str(self._said)})
        calls = ordeal.calls if ordeal else count
        what = ["-y", "-e", f"trace={calls}", *(("-e", ordeal.option) if ordeal else ())]
        command = ["strace", "-f", "-qq", *what, "-o", str(self._trace), "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            self._wait_for(pid, strace)
            status = self._ask({})
        lines = self._trace.read_text("utf-8", "replace").splitlines()
        made = [line for line in lines if "(" in line and "resumed>" not in line and " +++ " not in line]
        struck = next((number for number, line in enumerate(made) if "(INJECTED)" in line), len(made))
        named = re.search(r"<([^>]*)>", made[struck]) if struck < len(made) else None
        return Outcome(
            status, self._said.read_text("utf-8"), len(made), named[1] if named else "", len(made) - struck - 1
        )

    def close(self) -> None:
        """End it."""
        self._server.communicate()

    @staticmethod
    def _wait_for(pid: int, strace: subprocess.Popen[str]) -> None:
        status = Path("/proc", str(pid), "status")
        while f"TracerPid:\t{strace.pid}" not in status.read_text():
            if strace.poll() is not None:
                raise RuntimeError(f"strace ended: {strace.stderr.read() if strace.stderr else ''}")

    def _ask(self, told: object) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(told) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def _serve() -> None:
    from gateway.cli import main

    _warm_up()
    gc.disable()
    for asked in sys.stdin:
        told = json.loads(asked)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(writing)
            said = os.open(told["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.read(reading, 1)
            try:
                status = main(told["arguments"])
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException as error:
                os.write(2, f"{error!r}\n".encode())
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


def _warm_up() -> None:
    """Run commands once, so that what is made once in a process is made before it forks."""
    from gateway.cli import main

    folder = Path(tempfile.mkdtemp())
    (folder / "a.json").write_text('{"resourceType": "Patient", "id": "p", "birthDate": "1970-01-01"}', "utf-8")
    home = ("--home", str(folder / "home"))
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    for line in ("pull --folder {} --fhir-version r4 --name files", "list", "erase --help", "audit verify"):
        main([*(word.format(folder / "a.json") for word in line.split()), *(home if "--help" not in line else ())])
    sys.stdout.flush()
    os.dup2(kept, 1)
    os.close(null)
    shutil.rmtree(folder)


if __name__ == "__main__":
    _serve()

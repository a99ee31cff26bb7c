"""One run of `twin demo` for all tests that look at what it did, with what could be seen of it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

__all__ = ["Demonstration", "Watched", "watch"]

_PAUSE = 0.1  # seconds between two looks


@dataclass(frozen=True)
class Watched:
    """What a process said, how it ended, and what anybody could see of it and of its children meanwhile."""

    status: int
    out: bytes
    err: bytes
    seen: frozenset[bytes]


@dataclass(frozen=True)
class Demonstration:
    """One run of the demonstration: its folder, and what it used beside."""

    home: Path
    temp: Path
    caches: Path
    watched: Watched
    today: date
    environment: dict[str, str] = field(repr=False)


def watch(
    command: list[str],
    environment: dict[str, str],
    *,
    meanwhile: Callable[[subprocess.Popen[bytes]], bytes] | None = None,
) -> Watched:
    """Run a command to its end, or run `meanwhile` beside it; look at what other accounts might see of it.

    That is command lines, environments and names of open files, as Linux tells them in /proc (proc(5)).
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    seen: set[bytes] = set()
    looking = threading.Thread(target=_look, args=(process, seen))
    looking.start()
    said = meanwhile(process) if meanwhile else b""
    out, err = process.communicate(timeout=1200)
    looking.join()
    return Watched(process.returncode, said + out, err, frozenset(seen))


def _look(process: subprocess.Popen[bytes], seen: set[bytes]) -> None:
    while process.poll() is None:
        for pid in _family(process.pid):
            for name in ("cmdline", "environ", "comm"):
                seen.add(_read(Path("/proc", pid, name)))
            try:
                opened = list(Path("/proc", pid, "fd").iterdir())
            except OSError:
                continue
            for file in opened:
                with suppress(OSError):
                    name = str(file.readlink())
                    if not name.startswith((sys.prefix, sys.base_prefix)):  # code that is being loaded is nobody's data
                        seen.add(name.encode())
        time.sleep(_PAUSE)


def _family(pid: int) -> list[str]:
    found = [str(pid)]
    for member in found:
        for task in Path("/proc", member, "task").glob("*/children"):
            found += _read(task).decode().split()
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    """Run `twin demo --headless --format json` in a folder that is kept."""
    places = {name: tmp_path_factory.mktemp(name) for name in ("home", "temp", "caches")}
    apart = {"TMPDIR": str(places["temp"]), "XDG_CACHE_HOME": str(places["caches"])}
    apart |= {"XDG_DATA_HOME": str(places["caches"]), "XDG_STATE_HOME": str(places["caches"])}
    ours = ("LANG", "NUMBA_CACHE_DIR", "OPENBLAS_CORETYPE")
    environment = {name: os.environ[name] for name in ours if name in os.environ} | apart | {"PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "gateway.cli", "demo", "--headless", "--format", "json"]
    today = datetime.now(UTC).date()
    watched = watch([*command, "--home", str(places["home"])], environment)
    return Demonstration(places["home"], places["temp"], places["caches"], watched, today, environment)

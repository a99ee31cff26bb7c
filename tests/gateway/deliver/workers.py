"""Workers in processes that may be killed at any moment, each forked from one that has everything imported already.

`python -m tests.gateway.deliver.workers` reads a JSON object a line: `home`, and `lease_s`, after which others take up
what a killed worker had. It answers with the id of the process, which delivers until it is killed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.deliver.worker import work
from gateway.home import Home
from gateway.pull.trust import tls_context
from gateway.settings import load_settings
from gateway.store import ON_ITS_WAY

__all__ = ["Course", "Foreman", "deliver_all", "foreman"]

_LOOK_S = 0.02
_LOOKING = 0.1  # of the time goes into looking, at most: to count ten thousand takes long


class Foreman:
    """The process that forks workers, and those of them that are left; several threads may ask it."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._asks, self._hears = _open(server.stdin), _open(server.stdout)
        self._lock = threading.Lock()
        self._running: set[int] = set()

    def begin(self, home: Path, lease_s: float) -> int:
        """Let one more worker begin; return the id of its process."""
        with self._lock:
            self._asks.write(json.dumps({"home": str(home), "lease_s": lease_s}) + "\n")
            self._asks.flush()
            worker = int(self._hears.readline())
            self._running.add(worker)
            return worker

    def kill(self, worker: int) -> None:
        """Kill one of them, as nobody can prepare for."""
        with self._lock:
            self._running.discard(worker)
        os.kill(worker, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill all that are left."""
        for worker in [*self._running]:
            self.kill(worker)


@contextmanager
def foreman() -> Iterator[Foreman]:
    """Start the process that forks workers; in the end none of them is left."""
    command = [sys.executable, "-m", __spec__.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        made = Foreman(server)
        try:
            yield made
        finally:
            made.kill_all()


@dataclass(frozen=True)
class Course:
    """How it went: the deliveries by state in the end, how many workers were killed, and how long it took."""

    states: Counter[str]
    killed: int
    seconds: float


def deliver_all(
    home: Home,
    men: Foreman,
    *,
    seed: int,
    workers: int = 2,
    kills: int = 3,
    lease_s: float = 3.0,
    most_s: float = 300.0,
) -> Course:
    """Let workers deliver all that is agreed to, and kill one (and start another) so many times on the way.

    When is drawn from the seed: once so many have arrived, and a moment later. It ends when nothing waits any more, or
    after `most_s` seconds.
    """
    dice, folder = random.Random(seed), home.settings.home  # noqa: S311 - a test's choice
    waiting, killed = _waiting(home), 0
    moments = sorted(dice.randrange(max(1, waiting * 3 // 4)) for _ in range(kills))  # there is enough left to do then
    crew = [men.begin(folder, lease_s) for _ in range(workers)]
    begun = time.monotonic()
    while (looked := time.monotonic()) - begun < most_s and (left := _waiting(home)):
        pause = max(_LOOK_S, (time.monotonic() - looked) / _LOOKING)
        if moments and waiting - left >= moments[0]:
            moments.pop(0)
            time.sleep(dice.uniform(0.0, 0.05))
            place = dice.randrange(workers)
            men.kill(crew[place])
            crew[place] = men.begin(folder, lease_s)
            killed += 1
        time.sleep(pause)
    seconds = time.monotonic() - begun
    for worker in crew:
        men.kill(worker)
    states: Counter[str] = Counter()
    for (_, state), number in home.store.outbox_counts().items():
        states[state] += number
    return Course(states, killed, seconds)


def _waiting(home: Home) -> int:
    return sum(number for (_, state), number in home.store.outbox_counts().items() if state in ON_ITS_WAY)


def _open(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the process has no pipe")
    return stream


async def _work(folder: Path, lease_s: float) -> None:
    with Home.open(load_settings(folder), create=False) as home:
        await work(home, forever=True, lease_s=lease_s)


def _serve() -> None:
    tls_context()  # it takes long, and is the same for all
    gc.disable()  # a child that lives for a moment need not collect, nor touch what it shares with us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for asked in sys.stdin:
        told = json.loads(asked)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(_work(Path(told["home"]), told["lease_s"]))
            except BaseException as error:  # so that whoever waits for it sees why nothing comes
                sys.stderr.write(f"a worker ended: {error!r}\n")
            os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()

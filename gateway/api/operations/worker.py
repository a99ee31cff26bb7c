"""Working on jobs beside answering: each process that serves takes one job at a time that nobody holds.

What a killed process began, another one takes up within seconds, from what was kept last. A cancelled job stops at its
next step. Old jobs and their files are removed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

from gateway.api.operations.bench import Bench, Cancelled
from gateway.api.operations.job_files import purge
from gateway.api.operations.work import work_on
from security.errors import Fault

__all__ = ["Worker", "wake"]

_IDLE: Final = 1.0  # seconds between two looks for jobs; who asks for one in this process wakes it at once
_BEAT: Final = 1.5  # seconds between two signs of life of a job in work
_TIDY: Final = 60.0
_woken: Final[set[threading.Event]] = set()


def wake() -> None:
    """Tell the workers of this process that there is something to do; others look by themselves."""
    for each in list(_woken):
        each.set()


class Worker:
    """Works on the jobs of a bench, one at a time, in a thread of its own. It is started and ended with the server."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._name = bench, uuid4().hex
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._beaten = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while a server runs; a job that is in work when it ends is taken up by the next."""
        self.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Begin to work."""
        _woken.add(self._wake)
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 8.0) -> None:
        """End after the step in work."""
        self._bench.ending.set()
        self._wake.set()
        _woken.discard(self._wake)
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        tidied = 0.0
        while not self._bench.ending.is_set():
            worked = False
            with suppress(Fault):  # the store cannot be reached or written now: look again
                worked = self.work_once()
                seconds = self._bench.clock().timestamp()
                if seconds - tidied > _TIDY:
                    self.tidy()
                    tidied = seconds
            if not worked:
                self._wake.wait(_IDLE)
                self._wake.clear()

    def work_once(self) -> bool:
        """Take the oldest job that nobody holds, and work on it to its end; `False` where there is none."""
        jobs, clock = self._bench.jobs, self._bench.clock
        for job in jobs.all(clock()):
            if job.state in ("waiting", "running") and jobs.take(job, self._name, clock()):
                try:
                    if self._work(job.id):
                        return True
                finally:
                    jobs.let_go(job.id, self._name, clock())
        return False

    def tidy(self) -> None:
        """Remove what is past its end: jobs, and the files of those that are no more."""
        now = self._bench.clock()
        self._bench.home.store.strike_ended(now)
        purge(self._bench.home.settings.home, lambda: {job.id for job in self._bench.jobs.all(now)})

    def _work(self, id_: str) -> bool:
        bench = replace(self._bench, ending=threading.Event())
        job = bench.jobs.job(id_, bench.clock())  # as it is now that we hold it
        if job is None or job.state not in ("waiting", "running"):
            return False
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(id_, bench, done), name="job-beat", daemon=True)
        beat.start()
        try:
            work_on(bench, job)
        except Cancelled:
            if bench.jobs.job(id_, bench.clock()) is None:
                bench.files(id_).remove()
        finally:
            done.set()
            beat.join()
        return True

    def _beat(self, id_: str, bench: Bench, done: threading.Event) -> None:
        """Hold a job while it is in work; tell it to stop where it was cancelled, another one has it, or we end."""
        while not done.wait(_BEAT / 10):
            if self._bench.ending.is_set():
                bench.ending.set()
            now = time.monotonic()
            if now - self._beaten < _BEAT:
                continue
            self._beaten = now
            with suppress(Fault):
                if not bench.jobs.hold_on(id_, self._name, bench.clock()):
                    bench.ending.set()

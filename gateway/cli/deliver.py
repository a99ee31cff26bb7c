"""twin deliver."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from gateway.cli.terminal import Options, note, print_json, print_table, progress, say
from gateway.deliver.ended import Ended
from gateway.deliver.letters import as_seen, meaning
from gateway.deliver.worker import Tally, work
from gateway.home import Home
from gateway.settings import load_settings
from gateway.store import ON_ITS_WAY, Delivery
from security.audit import read_event

__all__ = ["deliver_"]

_Flag = Annotated[bool, Parameter(negative="")]
_RECENT_S = 10.0  # over how long the rate is measured
_LOOK_S = 1.0  # how often it is seen whether twin.toml was changed
_SHORT = 12


def deliver_(*, forever: _Flag = False, source: tuple[str, ...] = (), options: Options = Options()) -> int:
    """Deliver what was agreed to, to all EHRs. Several processes may do it at the same time.

    Ends when nothing more may leave now, and tells what waits, until when and why. Exit status 0 where all arrived, 3
    where something is tried again later, 5 where something was laid aside or may not leave. Stopped by Ctrl-C or
    SIGTERM it finishes what is under way; killed, it loses nothing. See docs/delivery.md.

    Parameters
    ----------
    forever
        Go on until stopped: what is agreed to meanwhile leaves within seconds. twin.toml is read again when it changes.
        With --format json each attempt is one line.
    source
        Only to this source; may be said several times.
    """
    return asyncio.run(_until_stopped(source, options) if forever else _once(source, options))


async def _once(sources: tuple[str, ...], options: Options) -> int:
    stop = _stopped_by_signals()
    with Home.open(load_settings(options.home), create=False) as home, progress("Delivering") as show:
        _demand(home, sources)
        home.store.append_audit([read_event(home.access(what=("Basic/outbox",)))])
        course = _Course(home, show)
        tally = await work(home, sources=sources or None, stop=stop, tell=course.heard)
        waits = _waiting(home, sources)
    return _tell(course, tally, waits, options, stopped=stop.is_set())


async def _until_stopped(sources: tuple[str, ...], options: Options) -> int:
    stop = _stopped_by_signals()
    while not stop.is_set():
        settings = load_settings(options.home)
        with Home.open(settings, create=False) as home, progress("Delivering") as show:
            _demand(home, sources)
            home.store.append_audit([read_event(home.access(what=("Basic/outbox",)))])
            course = _Course(home, show)
            hear = course.heard_as_lines if options.json else course.heard_aloud
            async with _also_when_changed(settings.home / "twin.toml", stop) as end:
                await work(home, sources=sources or None, forever=True, stop=end, tell=hear)
        if not stop.is_set():
            note("twin.toml was changed, and is read again.")
    return 0


def _demand(home: Home, sources: tuple[str, ...]) -> None:
    for each in sources:
        home.must_know(each)


def _stopped_by_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # where the loop has no signals, Ctrl-C ends it the harder way: as safe
            loop.add_signal_handler(each, stop.set)
    return stop


@asynccontextmanager
async def _also_when_changed(file: Path, stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set when we are to stop, or when a file is another one than it was."""
    end, before = asyncio.Event(), _edition(file)

    async def look() -> None:
        while not stop.is_set() and _edition(file) == before:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)
        end.set()

    looking = asyncio.create_task(look())
    try:
        yield end
    finally:
        looking.cancel()


def _edition(file: Path) -> tuple[int, int]:
    try:
        told = file.stat()
    except OSError:
        return 0, 0
    return told.st_mtime_ns, told.st_size


class _Course:
    """What a run did so far, by source and state, for who watches."""

    def __init__(self, home: Home, show: Callable[[str], None]) -> None:
        self._home, self._show = home, show
        self._recent: deque[float] = deque()
        self.ended: dict[str, Counter[str]] = {}
        self.created: Counter[str] = Counter()
        self.existed: Counter[str] = Counter()

    def heard(self, delivery: Delivery, ended: Ended) -> None:
        """Count an attempt, and show how far we are."""
        state = ended.attempt.state
        self.ended.setdefault(delivery.source, Counter())[state] += 1
        self.created += ended.counted("created")
        self.existed += ended.counted("existed")
        moment = time.monotonic()
        self._recent.append(moment)
        while self._recent[0] < moment - _RECENT_S:
            self._recent.popleft()
        span = max(moment - self._recent[0], 1.0)
        told = "; ".join(f"{name}: {_words(counts)}" for name, counts in sorted(self.ended.items()))
        self._show(f"{told} ({len(self._recent) / span:.0f} a second)")

    def heard_aloud(self, delivery: Delivery, ended: Ended) -> None:
        """Count it, and say what did not arrive."""
        self.heard(delivery, ended)
        if ended.attempt.state != "sent":
            note(f"{delivery.source} {delivery.id[:_SHORT]}: {ended.attempt.state}, {_why(ended.attempt.reason)}")

    def heard_as_lines(self, delivery: Delivery, ended: Ended) -> None:
        """Count it, and write it as a line for scripts: no patient data in it."""
        self.heard(delivery, ended)
        told = {
            "source": delivery.source,
            "delivery": delivery.id,
            "state": ended.attempt.state,
            "reason": ended.attempt.reason or None,
            "next": ended.attempt.not_before,
            "attempts": delivery.attempts + 1,
        }
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Deliveries to one source that did not arrive, for one reason; `next` is when the first of them is taken up."""

    source: str
    state: str
    reason: str
    number: int
    next: datetime | None


def _waiting(home: Home, sources: tuple[str, ...]) -> list[_Waiting]:
    groups: dict[tuple[str, str, str], list[datetime | None]] = {}
    for each in as_seen(home, home.store.outbox_listed(states=ON_ITS_WAY)):
        if not sources or each.source in sources:
            until = each.lease_until if each.state == "sending" else each.not_before
            groups.setdefault((each.source, each.state, each.reason), []).append(until)
    return [
        _Waiting(*group, len(times), min((each for each in times if each), default=None))
        for group, times in sorted(groups.items())
    ]


def _tell(course: _Course, tally: Tally, waits: list[_Waiting], options: Options, *, stopped: bool) -> int:
    if options.json:
        print_json(
            {
                "ended": {name: dict(counts) for name, counts in sorted(course.ended.items())},
                "created": dict(course.created),
                "existed": dict(course.existed),
                "waiting": [asdict(each) for each in waits],
                "faults": {name: {"code": f.code, "say": str(f)} for name, f in sorted(tally.faults.items())},
                "stopped": stopped,
            }
        )
        return _status(tally, waits)
    if course.ended:
        print_table(
            "Delivered" if set(tally.ended) == {"sent"} else "Attempts, as they ended",
            ["Source", "Ended"],
            ((name, _words(counts)) for name, counts in sorted(course.ended.items())),
        )
        say(f"Created: {_words(course.created) or '–'}. There already: {_words(course.existed) or '–'}.")
    elif not waits:
        say("Nothing waits to be delivered.")
    for name, fault in sorted(tally.faults.items()):
        say(f"{name}: {fault}")
    if waits:
        print_table(
            "Not there yet",
            ["Source", ">Count", "State", "Next (UTC)", "Why"],
            (
                (e.source, e.number, e.state, f"{e.next:%Y-%m-%d %H:%M:%S}" if e.next else "now", _why(e.reason))
                for e in waits
            ),
        )
    if tally.ended["dead"]:
        say(f"{tally.ended['dead']} laid aside. Why, and what would help: twin outbox list --state dead")
    return _status(tally, waits)


def _status(tally: Tally, waits: list[_Waiting]) -> int:
    """Tell how it went: 5 where something was laid aside or may not leave, 3 where something is tried again later."""
    if tally.ended["dead"] or any(each.state == "held" for each in waits):
        return 5
    return 3 if waits or tally.faults else 0


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


def _why(reason: str) -> str:
    return meaning(reason)[0] if reason else ""

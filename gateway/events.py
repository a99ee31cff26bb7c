"""What happens now, to whoever listens: a hub of server-sent events (WHATWG HTML, section 9.2).

Events are kept for a while, so that a browser that was cut off goes on after the last one that it saw. One that was
away for longer gets the event "gap", and has to read the state again: nothing is left out unsaid. A listener that does
not read is let go instead of holding up the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

__all__ = ["Event", "Hub"]

_KEPT = 1000
_WAITING = 256  # events that a listener may be behind
_HEARTBEAT_SECONDS = 15.0


class Event(msgspec.Struct, frozen=True):
    """One event: its number, its name, and its content as JSON."""

    number: int
    name: str
    content: bytes

    def encode(self) -> bytes:
        """Write it as the stream wants it. JSON from msgspec has no line breaks."""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.number, self.name.encode(), self.content)


class Hub:
    """Hands events to all listeners of one process. It lives in one event loop.

    Events are numbered from `start` on, by default the milliseconds of the clock: an earlier life of the server has
    ended before, so that a number of it is never taken for one of this life, in which others were missed.
    """

    def __init__(self, start: int | None = None) -> None:
        self._start = time.time_ns() // 1_000_000 if start is None else start
        self._kept: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._last = self._start

    def publish(self, name: str, content: object) -> None:
        """Tell everybody. Call it in the loop of the hub."""
        self._last += 1
        event = Event(self._last, name, msgspec.json.encode(content))
        self._kept.append(event)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def close(self) -> None:
        """Let all listeners go, so that a server can end. Call it in the loop of the hub."""
        for queue in list(self._listeners):
            self._listeners.discard(queue)
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def listen(self, after: int | None = None, *, heartbeat: float = _HEARTBEAT_SECONDS) -> AsyncIterator[bytes]:
        """Yield the stream: what came after number `after` where that is told, then what comes, and a sign of life.

        0 is before the first of this life.
        """
        after = self._start if after == 0 else after
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)
        missed = [event for event in self._kept if after is not None and event.number > after]
        lost = after is not None and after != self._last and (not missed or missed[0].number != after + 1)
        self._listeners.add(queue)
        try:
            yield b": fhirtwin\nretry: 3000\n\n"
            if lost:
                yield Event(self._last, "gap", b"{}").encode()
            for event in () if lost else missed:
                yield event.encode()
            while True:
                told: Event | None = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(heartbeat):  # asyncio.wait_for may swallow a cancellation
                        told = await queue.get()
                    if told is None:
                        return
                yield told.encode() if told else b": alive\n\n"
        finally:
            self._listeners.discard(queue)

"""A proxy that loses things, between a client and any server: refusals, swallowed answers, resets, storms of 429.

What it does to a request is drawn from a seed, in the order in which requests arrive; `counts` says what it did.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from conformance.hostile.server import bound
from security.errors import BadSettings, Unreachable

__all__ = ["FaultProxy", "Weather", "proxied"]

_START: Final = 10.0  # seconds that a start may take on a busy machine
_LARGEST: Final = 64 * 1024 * 1024  # bytes of a head, or of a line of a chunked body
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST and not with FIN
_ANSWER: Final = "HTTP/1.1 {}\r\nContent-Type: text/plain\r\n{}Content-Length: {}\r\n\r\n{}"

Fate = Literal["passed", "refused", "swallowed", "reset-before", "reset-after", "throttled"]


@dataclass(frozen=True, slots=True)
class Weather:
    """How often what goes wrong: shares of all requests, and seconds.

    Parameters
    ----------
    refused
        503, and the server hears nothing.
    swallowed
        The server does it; the answer is swallowed, the connection held for `hold_s` and dropped then.
    reset
        The connection is reset: of each two, one before the server hears of it and one after it was done.
    storm
        A storm begins: for `storm_s`, everything is answered 429 with `Retry-After: 1`.
    """

    refused: float = 0.02
    swallowed: float = 0.01
    reset: float = 0.005
    storm: float = 0.001
    storm_s: float = 1.0
    hold_s: float = 1.0

    def __post_init__(self) -> None:
        shares = (self.refused, self.swallowed, self.reset, self.storm)
        if min(shares) < 0 or sum(shares) > 1:
            raise BadSettings("The shares of a proxy's faults are between 0 and 1 in sum.")


class FaultProxy:
    """One proxy before one server. `origin` is where clients go; `counts` what was done to requests, by fate."""

    def __init__(self, upstream: str, weather: Weather, seed: int) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise BadSettings("The server behind the proxy has an http:// address.")
        self.weather = weather
        self.counts: Counter[Fate] = Counter()
        self.origin = ""
        self.is_calm = False  # nothing happens while this is set
        self._path = parts.path
        self._upstream = (parts.hostname, parts.port or 80)
        self._dice = random.Random(seed)  # noqa: S311 - faults, no secrets
        self._storm_ends = 0.0

    @property
    def base_url(self) -> str:
        """The address of what is behind it, by way of it."""
        return f"{self.origin}{self._path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (message := await _message(reader, is_answer=False)) is not None:
                fate = self._fate()
                self.counts[fate] += 1
                if fate == "refused":
                    writer.write(_answer("503 Service Unavailable", "the proxy cannot reach the server"))
                elif fate == "throttled":
                    writer.write(_answer("429 Too Many Requests", "a storm", "Retry-After: 1\r\n"))
                elif fate == "reset-before":
                    _reset(writer)
                    return
                else:
                    if server is None or server[0].at_eof():
                        server = await asyncio.open_connection(*self._upstream, limit=_LARGEST)
                    server[1].write(message)
                    answer = await _message(server[0], is_answer=True, method=message.partition(b" ")[0])
                    if fate == "swallowed":
                        await asyncio.sleep(self.weather.hold_s)
                        return
                    if answer is None or fate == "reset-after":
                        _reset(writer)
                        return
                    writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # somebody went away, as people do
        finally:
            for each in (writer, server[1] if server else None):
                if each is not None:
                    each.close()

    def _fate(self) -> Fate:
        drawn, now = self._dice.random(), asyncio.get_running_loop().time()
        if self.is_calm:
            return "passed"
        if now < self._storm_ends:
            return "throttled"
        weather = self.weather
        if drawn < (reached := weather.refused):
            return "refused"
        if drawn < (reached := reached + weather.swallowed):
            return "swallowed"
        if drawn < (reached := reached + weather.reset):
            return "reset-before" if drawn < reached - weather.reset / 2 else "reset-after"
        if drawn < reached + weather.storm:
            self._storm_ends = now + weather.storm_s
            return "throttled"
        return "passed"


@contextmanager
def proxied(
    upstream: str, weather: Weather | None = None, *, seed: int, host: str = "127.0.0.1", port: int = 0
) -> Iterator[FaultProxy]:
    """Run a proxy before a server (its base URL) in a thread of its own while the block runs."""
    proxy = FaultProxy(upstream, weather or Weather(), seed)
    listener = bound(host, port)
    proxy.origin = f"http://{host}:{listener.getsockname()[1]}"
    started = threading.Event()
    ended: list[Callable[[], object]] = []

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        ended.append(lambda: loop.call_soon_threadsafe(stop.set))
        async with await asyncio.start_server(proxy.serve, sock=listener, limit=_LARGEST):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="fault-proxy", daemon=True)
    thread.start()
    if not started.wait(_START):
        raise Unreachable("The proxy did not start.")
    try:
        yield proxy
    finally:
        for end in ended:
            end()
        thread.join(_START)


async def _message(reader: asyncio.StreamReader, *, is_answer: bool, method: bytes = b"") -> bytes | None:
    """Read one HTTP/1.1 message, head and body, as the bytes that came; `None` where the other side has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if is_answer and head[9:10] == b"1":  # an interim answer, such as 100 Continue
        return head + (await _message(reader, is_answer=True, method=method) or b"")
    if is_answer and (method == b"HEAD" or head[9:12] in (b"204", b"304")):
        return head
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.splitlines())
    }
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return head + await _chunks(reader)
    if b"content-length" in fields:
        return head + await reader.readexactly(int(fields[b"content-length"]))
    return head + (await reader.read() if is_answer else b"")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        parts.append(line + await reader.readexactly(size + 2))
        if not size:
            return b"".join(parts)


def _answer(status: str, text: str, headers: str = "") -> bytes:
    return _ANSWER.format(status, headers, len(text), text).encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

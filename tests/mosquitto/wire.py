"""Between a client and its broker: counts on the wire what is in flight, and can be a broker that is old, or strict."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

CONNECT, PUBLISH, PUBACK, SUBACK = 1, 3, 4, 9
TOO_OLD = bytes([0x20, 0x02, 0x00, 0x01])  # MQTT 3.1.1, section 3.2.2.3: unacceptable protocol version


class Gate:
    """Passes each packet on. `most` is the highest number of QoS 1 messages that the client had not acknowledged, and
    `refused` how often it was told that MQTT 5 is not known here (`is_old`). `grant` is answered for the last topic
    that it subscribes to: a quality of service, or from 128 on a refusal.
    """

    def __init__(self, port: int, *, is_old: bool = False, grant: int | None = None) -> None:
        self._broker, self._is_old, self._grant = port, is_old, grant
        self.port, self.most, self.refused = 0, 0, 0
        self._in_flight = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        hello = await packet(client_in)
        if hello[0] >> 4 == CONNECT and hello.find(b"MQTT\x05") > 0 and self._is_old:
            self.refused += 1
            client_out.write(TOO_OLD)
            await client_out.drain()
            client_out.close()
            return
        self._in_flight = 0
        broker_in, broker_out = await asyncio.open_connection("127.0.0.1", self._broker)
        broker_out.write(hello)
        try:
            await asyncio.gather(self._pass(client_in, broker_out), self._pass(broker_in, client_out))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            broker_out.close()
            client_out.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while True:
            found = await packet(source)
            kind = found[0] >> 4
            self._in_flight += (kind == PUBLISH) - (kind == PUBACK)
            self.most = max(self.most, self._in_flight)
            if kind == SUBACK and self._grant is not None:
                found = found[:-1] + bytes([self._grant])
            target.write(found)
            await target.drain()


async def packet(source: asyncio.StreamReader) -> bytes:
    """Read one packet: a byte of type and flags, the length in steps of seven bits, and so many bytes."""
    head = await source.readexactly(1)
    length, shift = 0, 0
    while True:
        byte = await source.readexactly(1)
        head += byte
        length |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return head + await source.readexactly(length)

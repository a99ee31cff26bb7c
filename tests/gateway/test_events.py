"""The stream of events: in order, resumable, and nobody holds up the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.events import Hub
from gateway.web.stream import events_route


@pytest.fixture
def serving():
    """Serve an application on loopback, in the loop of the test."""

    @asynccontextmanager
    async def serving_(app: Starlette) -> AsyncIterator[str]:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            running = asyncio.create_task(server.serve([listening]))
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = server.force_exit = True
            await running

    return serving_


async def read(stream, count):
    return [await asyncio.wait_for(anext(stream), 5) for _ in range(count)]


async def test_a_listener_gets_what_is_told_after_it_came():
    hub = Hub(0)
    hub.publish("warning", {"id": "a"})
    async with aclosing(hub.listen()) as stream:
        assert b"retry" in (await read(stream, 1))[0]
        hub.publish("warning", {"id": "b"})
        assert await read(stream, 1) == [b'id: 2\nevent: warning\ndata: {"id":"b"}\n\n']


async def test_who_was_cut_off_goes_on_after_the_last_event_that_it_saw():
    hub = Hub(0)
    for name in "abc":
        hub.publish("warning", name)
    async with aclosing(hub.listen(after=1)) as stream:
        _, second, third = await read(stream, 3)
    assert second.startswith(b"id: 2\n")
    assert third.startswith(b"id: 3\n")


async def test_who_was_away_too_long_or_saw_another_life_of_the_server_is_told_of_the_gap():
    hub = Hub(0)
    for number in range(1500):
        hub.publish("warning", number)
    async with aclosing(hub.listen(after=3)) as stream:
        assert b"event: gap" in (await read(stream, 2))[1]
    async with aclosing(hub.listen(after=99_999)) as stream:
        assert b"event: gap" in (await read(stream, 2))[1]


async def test_a_number_of_an_earlier_life_is_a_gap_even_where_this_life_has_come_further():
    earlier = Hub()
    earlier.publish("warning", "before")
    async with aclosing(earlier.listen(after=0)) as stream:
        seen = int((await read(stream, 2))[1].split(b"\n")[0].removeprefix(b"id: "))
    await asyncio.sleep(0.01)
    later = Hub()
    for number in range(20):
        later.publish("warning", number)
    async with aclosing(later.listen(after=seen)) as stream:
        assert b"event: gap" in (await read(stream, 2))[1]
    async with aclosing(later.listen(after=0)) as stream:
        assert (await read(stream, 2))[1].endswith(b"data: 0\n\n")


async def test_silence_is_told_as_a_sign_of_life():
    async with aclosing(Hub(0).listen(heartbeat=0.01)) as stream:
        assert (await read(stream, 2))[1] == b": alive\n\n"


async def test_a_listener_that_does_not_read_is_let_go_and_the_others_are_not_held_up():
    hub = Hub(0)
    async with aclosing(hub.listen()) as slow, aclosing(hub.listen()) as quick:
        await read(slow, 1)
        await read(quick, 1)
        for number in range(400):
            hub.publish("warning", number)
            assert f"data: {number}\n".encode() in (await read(quick, 1))[0]
        told = [part async for part in slow]
    assert len(told) < 400  # it ended, and its client comes back with the last number that it saw


async def test_the_stream_over_http_is_for_who_holds_the_key_and_goes_on_where_it_was_cut(serving):
    hub = Hub(0)
    app = Starlette(routes=[events_route(hub, lambda request: request.headers.get("x-key") == "k")])
    hub.publish("warning", {"id": "a"})
    hub.publish("warning", {"id": "b"})
    async with serving(app) as base, httpx.AsyncClient(base_url=base) as client:
        assert (await client.get("/events")).status_code == 403
        headers = {"x-key": "k", "last-event-id": "1"}
        async with client.stream("GET", "/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            told = [await asyncio.wait_for(anext(lines), 5) for _ in range(6)]
    assert told[3:] == ["id: 2", "event: warning", 'data: {"id":"b"}']

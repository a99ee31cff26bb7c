"""All streams of a home at once: what they bring is landed, mapped and looked at, and told to whoever listens."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gateway.events import Hub
from gateway.home import Home
from gateway.listening_socket import listening_socket
from gateway.published_keys import PATH, has_keys, jwks_route
from gateway.settings import StreamSettings
from gateway.stream.inbox import Inbox
from gateway.stream.mqtt import listen_mqtt
from gateway.stream.post import post_route
from gateway.stream.subscribed import Subscribed
from gateway.stream.told import Tell
from gateway.stream.watched import WatchedFolder, watch_folder
from gateway.web.stream import events_route
from security.errors import BadSettings, Fault

__all__ = ["EVENTS_KEY", "drain", "listen"]

EVENTS_KEY: Final = "events.key"
_EVENTS: Final = "/events"
_HOST: Final = "127.0.0.1"
_HEARTBEAT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
_FAREWELL_SECONDS: Final = 2  # how long a client may still read when we stop

_Job = Callable[[], Coroutine[Any, Any, None]]


class _Server(uvicorn.Server):
    """A server that leaves signals to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def listen(
    home: Home, streams: Mapping[str, StreamSettings], port: int, tell: Tell, *, stop: asyncio.Event
) -> None:
    """Listen to some streams until `stop` is set. Port 0 takes a free one, which is told.

    Raises `Misuse` where the port is taken, and the Fault of a stream that cannot work at all as it is set.
    """
    hub = Hub()
    inbox = _inbox(home, streams, tell, hub)
    routes, jobs = _ways_in(home, streams, inbox, tell)
    routes.append(events_route(hub, _holders_of(_events_key(home)), _EVENTS))
    sources = home.settings.sources
    signing = any(map(has_keys, sources.values()))
    if signing:
        routes.append(jwks_route(sources))
    app = Starlette(routes=routes)
    config = uvicorn.Config(
        app,
        log_config=None,  # what it logs is told as all else is: gateway.unforeseen
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_FAREWELL_SECONDS,
    )
    with listening_socket(_HOST, port) as door:  # what is told may be used: who comes at once waits
        here = f"http://{_HOST}:{door.getsockname()[1]}"
        for name, stream in streams.items():
            where = f" {here}/streams/{name}" if stream.kind == "post" else ""
            tell("begins", f"{name}: {stream.kind}{where}", {"stream": name, "kind": stream.kind})
        if signing:
            tell("begins", f"public keys: {here}{PATH}, for whoever asks", {"keys": here + PATH})
        tell("begins", f"events: {here}{_EVENTS}, for who has the key in {EVENTS_KEY}", {"events": here + _EVENTS})
        server = _Server(config)
        jobs += [inbox.run, partial(_heartbeat, inbox, tell)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(job()) for job in jobs]
                group.create_task(server.serve([door]))
                await stop.wait()
                server.should_exit = True
                hub.close()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed
    tell("ends", f"stopped; {inbox.waiting} deliveries wait for the next start", counts_of(inbox))


async def drain(home: Home, streams: Mapping[str, StreamSettings], tell: Tell) -> Mapping[str, int]:
    """Take what lies in watched folders now, map all that waits, look at what changed, and return the counts."""
    inbox = _inbox(home, streams, tell, Hub())
    _, jobs = _ways_in(home, {n: s for n, s in streams.items() if s.kind == "folder"}, inbox, tell, once=True)
    left_out = [name for name, stream in streams.items() if stream.kind != "folder"]
    if left_out:
        tell("note", f"not listened to with --once: {', '.join(left_out)}", {})
    reading = asyncio.gather(*(job() for job in jobs))
    while not reading.done():  # what is read waits where it is too much, until some of it is mapped
        await inbox.map_all()
        await asyncio.wait([reading], timeout=_PAUSE_SECONDS)
    await reading
    await inbox.drain()
    tell("ends", f"done; {inbox.waiting} deliveries wait", counts_of(inbox))
    return counts_of(inbox)


def counts_of(inbox: Inbox) -> dict[str, int]:
    """Sum up what was done in this process's life."""
    return {"waiting": inbox.waiting, **inbox.counts, **inbox.attention.counts}


def _inbox(home: Home, streams: Mapping[str, StreamSettings], tell: Tell, hub: Hub) -> Inbox:
    limits: dict[str, int] = {}
    for name, stream in streams.items():
        source = stream.source or name
        limits[source] = min(stream.waiting, limits.get(source, stream.waiting))
    return Inbox(home, hub, tell, limits)


def _ways_in(
    home: Home, streams: Mapping[str, StreamSettings], inbox: Inbox, tell: Tell, *, once: bool = False
) -> tuple[list[BaseRoute], list[_Job]]:
    """Make what serves and what runs for each stream; nothing has begun yet."""
    routes: list[BaseRoute] = []
    jobs: list[_Job] = []
    if any(stream.kind == "post" for stream in streams.values()):
        routes.append(post_route(inbox, streams, tell))
    for name, stream in streams.items():
        source = stream.source or name
        if stream.kind == "folder" and stream.folder is not None:
            memo = _memo(home, source)
            watched = WatchedFolder(name, stream.folder, source, memo, stream.largest_mb << 20)
            jobs.append(partial(watch_folder, name, watched, inbox.accept, tell, once=once))
        elif stream.kind == "subscription":
            known, told = home.settings.source(source), partial(_note, tell)
            subscribed = Subscribed(home, name, stream, known, inbox.accept, told)
            routes += subscribed.routes
            jobs.append(subscribed.run)
        elif stream.kind == "mqtt":
            known = home.settings.source(source)
            jobs.append(partial(listen_mqtt, name, stream, known, inbox.accept, told=partial(_note, tell)))
    paths = [route.path for route in routes if isinstance(route, Route)]
    if len({*paths, _EVENTS, PATH}) < len(paths) + 2:
        raise BadSettings(
            "Two streams are reached at the same path, or one at that of the stream of events or of our keys.",
            hint=f"Give each subscription an endpoint with a path of its own, other than {_EVENTS} and {PATH}.",
        )
    return routes, jobs


def _note(tell: Tell, text: str) -> None:
    tell("note", text, {})


def _memo(home: Home, source: str) -> Callable[[str], bytes | None]:
    return lambda name: home.store.memo(source, name)


async def _heartbeat(inbox: Inbox, tell: Tell) -> None:
    while True:
        await asyncio.sleep(_HEARTBEAT_SECONDS)
        tell("alive", f"listening; {inbox.waiting} deliveries wait", counts_of(inbox))


def _events_key(home: Home) -> bytes:
    """Read the key of the stream of events, or draw it; it stays, so that who listens need not be told each time."""
    file = home.settings.home / EVENTS_KEY
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise BadSettings(
                "The key of the stream of events can be read by others.",
                hint=f"Delete {EVENTS_KEY}; another one is drawn at the next start.",
            ) from None
    return file.read_bytes().strip()


def _holders_of(key: bytes) -> Callable[[Request], bool]:
    def allowed(request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("latin-1"), key)

    return allowed


def _first(failed: BaseExceptionGroup) -> BaseException:
    """Pick the Fault that ended everything; what is none is a mistake of ours and is shown whole."""
    group: BaseExceptionGroup | None = failed.subgroup(Fault)
    while group is not None:
        found = group.exceptions[0]
        if not isinstance(found, BaseExceptionGroup):
            return found
        group = found
    return failed

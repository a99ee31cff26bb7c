"""twin listen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.cli.terminal import Options, note, say
from gateway.home import Home
from gateway.published_keys import has_keys
from gateway.settings import StreamSettings, load_settings
from gateway.stream.listening import drain, listen
from gateway.stream.told import Kind, Tell
from security.errors import Misuse

__all__ = ["listen_"]


def listen_(*names: str, port: int = 8423, once: bool = False, options: Options = Options()) -> int:
    """Take what devices and EHRs send by themselves, as it comes: by POST, MQTT, subscriptions, and in watched folders.

    What arrives is on disk before it is acknowledged, becomes facts once, and is followed by calibration and warnings;
    see docs/live.md. Our public keys are served beside it, also where there is no stream (docs/connections.md). Ends
    with Ctrl-C and loses nothing. With `--format json`, each thing told is one line.

    Parameters
    ----------
    names
        Names from [streams] in twin.toml; without any, all of them.
    port
        Where posts, notifications and the stream of events are served, on this machine only; 0 takes a free one.
    once
        Take what lies in watched folders and what waits from before, and end.
    """
    settings = load_settings(options.home)
    streams = {name: settings.stream(name) for name in names} if names else dict(settings.streams)
    if not streams and (once or not any(map(has_keys, settings.sources.values()))):
        raise Misuse("There is nothing to listen to.", hint="Add [streams.NAME] to twin.toml; see docs/live.md.")
    tell = _tell_json if options.json else _tell
    with Home.open(settings) as home:
        home.codes.current()  # a table with mistakes is told at the start
        if once:
            counts = asyncio.run(drain(home, streams, tell))
            return 5 if counts.get("faults") or counts.get("given up") else 0
        asyncio.run(_until_stopped(home, streams, port, tell))
    return 0


async def _until_stopped(home: Home, streams: Mapping[str, StreamSettings], port: int, tell: Tell) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # where the loop has no signals, Ctrl-C ends it the harder way: as safe
            loop.add_signal_handler(each, stop.set)
    await listen(home, streams, port, tell, stop=stop)


def _tell(kind: Kind, text: str, counts: Mapping[str, Any]) -> None:
    if kind in ("fault", "refused"):
        note(text)
    elif kind != "alive":
        say(text)


def _tell_json(kind: Kind, text: str, counts: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"told": kind, "say": text, "counts": counts}) + b"\n")
    sys.stdout.buffer.flush()

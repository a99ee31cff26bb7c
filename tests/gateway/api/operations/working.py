"""A process that works on the jobs of a home until it is killed: python working.py HOME SECONDS."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gateway.api.operations import export_work
from gateway.api.operations.worker import Worker
from gateway.home import Home, now
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import caller, desk_of

if __name__ == "__main__":
    later = timedelta(seconds=float(sys.argv[2]))
    export_work._WAITING = -1  # every twin is kept by itself, so that there is much to be killed between
    with Home.open(load_settings(Path(sys.argv[1]))) as home:
        desk = desk_of(home, {"bulk": caller("bulk", "system/*.rs")})
        print("ready", flush=True)  # noqa: T201
        worked = Worker(replace(desk.bench, clock=lambda: now() + later)).work_once()
        print("worked" if worked else "nothing", flush=True)  # noqa: T201

"""`twin serve` as a process: several workers at one port, one that dies is replaced, and it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from gateway.home import Home
from gateway.listening_socket import listening_socket
from gateway.settings import load_settings


def words(home: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "serve", "--home", str(home), "--format", "json", *more]


@contextmanager
def serving(home: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with Home.open(load_settings(home)):
        pass
    with subprocess.Popen(words(home, "--port", "0", *more), stdout=subprocess.PIPE, text=True) as server:
        told = ""
        for line in server.stdout or ():
            told += line
            if line.startswith("}"):
                break
        try:
            yield server, json.loads(told)["base"]
        finally:
            server.terminate()
            server.wait(20)


def children(process: int) -> set[int]:
    return {int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def eventually(is_so: object, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


def test_a_worker_that_dies_is_replaced_and_all_end_together(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--workers", "2") as (server, base):
        assert eventually(lambda: httpx.get(f"{base}/metadata").status_code == 200)
        first = children(server.pid)
        assert len(first) == 2
        os.kill(min(first), signal.SIGKILL)
        assert eventually(lambda: len(children(server.pid)) == 2 and children(server.pid) != first)
        for _ in range(8):  # each by a connection of its own, so by either worker
            assert eventually(lambda: httpx.get(f"{base}/metadata").status_code == 200)
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    assert not any(Path(f"/proc/{child}/cmdline").exists() for child in first)


def test_a_port_is_one_of_tcp_by_name() -> None:
    """Else asyncio leaves Nagle's algorithm on, and every answer of ours waits for 40 ms."""
    with listening_socket("127.0.0.1", 0) as door:
        assert door.proto == socket.IPPROTO_TCP
        assert door.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_the_network_is_not_listened_to_without_tls_and_a_taken_port_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as (_, base):
        for more, said in (
            (("--host", "0.0.0.0"), "in the clear"),  # noqa: S104 - is refused
            (("--port", base.rpartition(":")[2].partition("/")[0]), "cannot be had"),
        ):
            ran = subprocess.run(words(tmp_path / "home", *more), capture_output=True, text=True, check=False)
            assert ran.returncode == 2
            assert said in ran.stderr

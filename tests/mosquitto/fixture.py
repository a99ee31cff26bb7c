"""A real MQTT broker: Eclipse Mosquitto from the distribution's packages, on loopback, with a store of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parent / "install.sh"
START_SECONDS = 20


@dataclass
class Broker:
    """One broker, which keeps its sessions in `folder` over a restart. `start` returns when it answers."""

    program: str
    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        lines = (
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder}/",
            "user root",
            *(self.options or ("allow_anonymous true",)),
        )
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        log = self.folder / "mosquitto.log"
        with log.open("ab") as errors:
            self._process = subprocess.Popen([self.program, "-c", str(config)], stdout=errors, stderr=errors)
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        pytest.fail(f"Mosquitto did not start: {log.read_text()[-1000:]}")

    def stop(self) -> None:
        """End it as an operator does: it writes down what it holds."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The broker's program; skipped where it cannot be installed, a failure in CI."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
    if shutil.which("mosquitto", path=path) is None:
        done = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"Mosquitto is not on this machine and could not be installed: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return shutil.which("mosquitto", path=path) or "mosquitto"


@pytest.fixture
def brokers(mosquitto: str, tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Start brokers, each with further lines of its configuration; they end with the test."""
    started: list[Broker] = []

    def start(*options: str) -> Broker:
        folder = tmp_path / f"broker-{len(started)}"
        folder.mkdir()
        started.append(broker := Broker(mosquitto, folder, options))
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop()

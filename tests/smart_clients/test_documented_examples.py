"""What docs/users.md and docs/apps.md show is run as it stands there, against `twin serve` and in Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.smart_clients.clients import installed, run
from tests.smart_clients.served import MANY, PASSWORD, Served, app, served

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(name: str, language: str) -> list[str]:
    text = re.sub(r"^  (?=\S| )", "", (DOCS / name).read_text("utf-8"), flags=re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, Path]]:
    packages, folder = installed(), tmp_path_factory.mktemp("documented")
    [page] = blocks("apps.md", "html")
    (folder / "page.html").write_text(page, "utf-8")
    bundle = packages / "node_modules" / "fhirclient" / "build" / "fhir-client.js"
    with served(folder, user=False) as server, app(folder / "page.html", bundle, folder / "app") as address:
        yield server, address, folder


def shell(here: tuple[Served, str, Path], script: str) -> str:
    server, address, folder = here
    told = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{"TWIN_HOME": str(server.home), "BASE": server.base, "APP": address},
        **{"PASSWORD": str(folder / "password"), "TWIN": next(iter(server.patients))},
    }
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=told, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{script}\n{ran.stderr}"
    return ran.stdout


def test_the_examples_work_in_their_order(here):
    server, address, folder = here
    (folder / "password").write_text(PASSWORD, "utf-8")
    (folder / "password").chmod(0o600)
    for script in blocks("users.md", "sh"):
        shell(here, script)
    program, keys = blocks("apps.md", "python")
    shell(here, f"python - <<'EOF'\n{keys}EOF")
    told = [shell(here, script) for script in blocks("apps.md", "sh")]
    assert "/auth/token" in told[-1]
    assert "/app.html?iss=" in told[-2]
    assert "2 patients" in shell(here, f"python - <<'EOF'\n{program}EOF")
    url = f"{address}?iss={quote(server.base, safe='')}"
    ended = run(
        "drive.mjs", flow="standalone", url=url, user="ana", password=PASSWORD, search="silva", root=server.root
    )
    assert ended.get("found") == {
        "who": "Practitioner/17",
        "patient": "Silva",
        "measured": MANY,
    }, ended


def test_every_command_of_ours_stands_in_these_documents():
    from gateway.cli import app as commands

    text = (DOCS / "users.md").read_text("utf-8") + (DOCS / "apps.md").read_text("utf-8")
    named = [f"twin {group} {name}" for group in ("user", "client") for name in commands[group] if name[0] != "-"]
    missing = [each for each in named if each not in text]
    assert missing == []

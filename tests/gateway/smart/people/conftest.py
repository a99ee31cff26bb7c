"""A server for the pages' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.smart.people.door import Server, Surfer, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Home.open(load_settings(tmp_path / "home")) as home, serving(home) as running:
        yield running


@pytest.fixture
def surfer(server: Server) -> Iterator[Surfer]:
    with Surfer(server) as browser:
        yield browser

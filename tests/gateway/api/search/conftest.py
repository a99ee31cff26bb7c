"""A home, whose key seals the links to further pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.home import Home
from gateway.settings import load_settings


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home.open(load_settings(tmp_path_factory.mktemp("home"))) as opened:
        yield opened

"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.order import Together, place

pytest_plugins = [
    "tests.hapi.fixture",
    "tests.mosquitto.fixture",
    "tests.postgres.fixture",
    "tests.gateway.demo.demonstrated",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: what begins last is waited for."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Let files that share something run in one process."""
    return Together(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs beside the project; skipped where absent, a failure in CI."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        message = "the folder ../shared/data is not beside the project"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder

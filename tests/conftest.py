"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.hapi.fixture", "tests.mosquitto.fixture"]


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

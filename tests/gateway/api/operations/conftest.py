"""A desk over a home with three twins, pulled from a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import DOCTOR, NOBODY, Desk, caller, desk_of, person, pull


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    with Home.open(load_settings(tmp_path / "home")) as home:
        await pull(home, tmp_path / "in", [DOCTOR, NOBODY, *person(1), *person(2), *person(3)])
        callers = {
            "bulk": caller("bulk", "system/*.rs"),
            "other": caller("other", "system/*.rs"),
            "labs": caller("labs", "system/Observation.rs"),
            "clinic": caller("clinic", "user/*.rs", user="ana", roles=frozenset({"clinician"})),
        }
        yield desk_of(home, callers)

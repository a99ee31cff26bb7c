"""Pages of files land together, and none of them is lost where the walk breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.pull.page import Page
from gateway.settings import load_settings
from security.errors import Unreachable


class BreaksOff(Folder):
    """Files on a disk that goes away before the third page."""

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        async for page in super().pages(cursor):
            if page.number == 3:
                raise Unreachable("The disk is gone.")
            yield page


def test_what_came_before_a_break_has_landed_and_the_next_try_goes_on(tmp_path: Path):
    patients = [{"resourceType": "Patient", "id": f"p{n}", "gender": "male"} for n in range(50)]
    file = tmp_path / "export.ndjson"
    file.write_text("\n".join(map(json.dumps, patients)), "utf-8")
    told: list[str] = []
    with Home.open(load_settings(tmp_path / "home")) as home:
        with pytest.raises(Unreachable):
            asyncio.run(ingest(home, BreaksOff("folder", file, "r4", page_size=10), told.append))
        [pull] = home.store.pulls("folder")
        assert (pull.state, pull.pages) == ("fetching", 2)
        report = asyncio.run(ingest(home, Folder("folder", file, "r4", page_size=10), told.append))
        assert report.resumed
        assert (report.ledger.resources, report.ledger.understood) == (50, 50)
        [pull] = home.store.pulls("folder")
        assert (pull.state, pull.pages, pull.mapped) == ("done", 5, 5)

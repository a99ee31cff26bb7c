"""What leaves is recorded before: requests that come together share a commit, and what fails costs only itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api.recording import Recorder
from security.errors import StoreFull


class Paper:
    """A log that counts its commits; an event {"bad": True} cannot be written, and while `full` nothing can."""

    def __init__(self) -> None:
        self.commits: list[list[Any]] = []
        self.full = False

    def append_audit(self, events: Any) -> None:
        if self.full:
            raise StoreFull("The disk is full.")
        if any(event.get("bad") for event in events):
            raise ValueError("not an event")
        self.commits.append([*events])


async def test_requests_that_come_together_share_a_commit() -> None:
    paper = Paper()
    recorder = Recorder(paper)
    await asyncio.gather(*(recorder.record([{"n": n}]) for n in range(50)))
    assert [event["n"] for commit in paper.commits for event in commit] == list(range(50))
    assert len(paper.commits) < 10


async def test_nothing_returns_before_it_is_durable() -> None:
    paper = Paper()
    recorder = Recorder(paper)
    for n in range(3):
        await recorder.record([{"n": n}])
        assert paper.commits[-1] == [{"n": n}]


async def test_an_event_that_cannot_be_written_costs_its_own_request_alone() -> None:
    paper = Paper()
    recorder = Recorder(paper)
    done = await asyncio.gather(*(recorder.record([{"n": n, "bad": n == 3}]) for n in range(6)), return_exceptions=True)
    assert [type(each).__name__ for each in done] == ["NoneType"] * 3 + ["ValueError"] + ["NoneType"] * 2
    assert sorted(event["n"] for commit in paper.commits for event in commit) == [0, 1, 2, 4, 5]


async def test_where_the_log_is_full_everybody_hears_it_and_it_goes_on_once_there_is_room() -> None:
    paper = Paper()
    recorder = Recorder(paper)
    paper.full = True
    done = await asyncio.gather(*(recorder.record([{"n": n}]) for n in range(3)), return_exceptions=True)
    assert all(isinstance(each, StoreFull) for each in done)
    paper.full = False
    await recorder.record([{"n": 9}])
    assert paper.commits == [[{"n": 9}]]


async def test_a_caller_who_went_away_does_not_stop_the_others() -> None:
    paper = Paper()
    recorder = Recorder(paper)
    first, second = (asyncio.create_task(recorder.record([{"n": n}])) for n in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert any({"n": 1} in commit for commit in paper.commits)

"""Writes that come together share a commit, and what is wrong with one costs only that one."""

from __future__ import annotations

import asyncio

import pytest

from gateway.group_commit import GroupCommit


class Disk:
    """Takes numbers, doubles them, and fails where an odd one is among them."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []

    def commit(self, numbers: list[int]) -> list[int]:
        self.commits.append(numbers)
        if any(number % 2 for number in numbers):
            raise OSError("odd")
        return [2 * number for number in numbers]


async def test_what_comes_while_a_commit_is_under_way_goes_together_in_the_next():
    disk = Disk()
    commits = GroupCommit(disk.commit, gather_s=0)
    assert await asyncio.gather(*(commits.write(number) for number in (2, 4, 6))) == [4, 8, 12]
    assert [number for commit in disk.commits for number in commit] == [2, 4, 6]
    assert len(disk.commits) < 3
    assert await commits.write(8) == 16


async def test_no_commit_takes_more_than_it_may():
    disk = Disk()
    commits = GroupCommit(disk.commit, most=2)
    assert await asyncio.gather(*(commits.write(number) for number in (2, 4, 6, 8, 10))) == [4, 8, 12, 16, 20]
    assert disk.commits == [[2, 4], [6, 8], [10]]


async def test_each_of_those_that_fail_together_is_tried_alone_and_one_that_was_alone_is_not_tried_again():
    disk = Disk()
    commits = GroupCommit(disk.commit, gather_s=0)
    told = await asyncio.gather(*(commits.write(number) for number in (2, 3, 4)), return_exceptions=True)
    assert [type(each) for each in told] == [int, OSError, int]
    assert [3] in disk.commits
    disk.commits.clear()
    with pytest.raises(OSError, match="odd"):
        await commits.write(5)
    assert disk.commits == [[5]]


async def test_who_gave_up_waiting_keeps_no_other_from_writing():
    commits = GroupCommit(Disk().commit, gather_s=0.01)
    impatient = asyncio.create_task(commits.write(2))
    patient = asyncio.create_task(commits.write(4))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == 8
    with pytest.raises(asyncio.CancelledError):
        await impatient

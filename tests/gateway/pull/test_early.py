from __future__ import annotations

import asyncio

import pytest

from gateway.pull.early import Early
from tests.conformance.desk import sockets
from tests.gateway.pull.crawling import crawling, named, patient

WARD = [patient(number) for number in range(20)]


@pytest.fixture(scope="module")
def socket():
    with sockets() as opened:
        yield opened


def asked(ward):
    """List the questions for pages, oldest first."""
    return [query for query in ward.queries("Patient") if query.startswith(("_count=4", "ct="))]


@pytest.fixture
async def ward(socket):
    """A ward of twenty patients, in five pages."""
    async with crawling(socket, *WARD) as ward:
        yield ward


async def test_the_page_behind_a_page_is_asked_for_before_that_one_is_taken(ward):
    source = await ward.crawl(types=("Patient",))
    walking = source.pages(None)
    await anext(walking)  # nobody takes the second page now
    for _ in range(200):
        if len(asked(ward)) == 3:
            break
        await asyncio.sleep(0.01)
    assert len(asked(ward)) == 3
    await walking.aclose()


async def test_each_page_is_asked_for_once(ward):
    pages, certificate = await ward.walk(types=("Patient",))
    assert sorted(named(pages)) == sorted(f"Patient/p{number}" for number in range(20))
    assert certificate.verdict == "complete"
    assert len(asked(ward)) == len(set(asked(ward))) == 5


async def test_a_walk_that_is_left_half_way_leaves_nothing_on_its_way(ward):
    source = await ward.crawl(types=("Patient",))
    walking = source.pages(None)
    await anext(walking)
    await walking.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def sent(what, log):
    log.append(what)
    await asyncio.sleep(0)
    if isinstance(what, Exception):
        raise what
    return what


async def test_what_was_sent_early_is_given_to_who_asks_for_it_once():
    early, log = Early(), []
    await early.send((0, 0), "a", sent("page", log))
    assert log == ["page"]
    assert await early.take((0, 0), "a") == "page"
    assert await early.take((0, 0), "a") is None


async def test_another_question_or_another_page_does_not_get_it():
    early, log = Early(), []
    await early.send((0, 0), "a", sent("page", log))
    assert await early.take((0, 1), "a") is None
    assert await early.take((0, 0), "b") is None
    assert await early.take((0, 0), "a") is None  # it was dropped


async def test_a_failure_is_told_to_who_asks_for_it():
    early, log = Early(), []
    await early.send((0, 0), "a", sent(OSError("gone"), log))
    with pytest.raises(OSError, match="gone"):
        await early.take((0, 0), "a")
    await early.send((0, 0), "a", sent(OSError("gone"), log))
    await early.close()  # nobody asks: nobody is told

"""A walk goes on while its pages are stored, a few pages ahead, and loses none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from gateway.pull.ahead import ahead
from gateway.pull.page import Entry, Page
from security.errors import Unreachable


def page(number: int, raw: bytes = b"{}") -> Page:
    return Page(number, f"page {number}", (Entry(raw),), str(number))


class Walk:
    """A walk of so many pages, which knows how far it is."""

    def __init__(self, pages: int, raw: bytes = b"{}", fault: Exception | None = None) -> None:
        self.pages, self.raw, self.fault = pages, raw, fault
        self.reached, self.is_closed = 0, False

    async def walk(self) -> AsyncGenerator[Page, None]:
        try:
            for number in range(1, self.pages + 1):
                self.reached = number
                yield page(number, self.raw)
                await asyncio.sleep(0)
            if self.fault is not None:
                raise self.fault
        finally:
            self.is_closed = True


async def turns(number: int = 100) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_all_pages_come_in_their_order_and_several_together():
    came = [[each.number for each in ready] async for ready in ahead(Walk(50).walk())]

    assert [number for ready in came for number in ready] == list(range(1, 51))
    assert len(came) < 25


async def test_what_ends_the_walk_is_told_behind_the_last_page_that_came():
    walking = ahead(Walk(3, fault=Unreachable("gone", hint="")).walk())
    ready = await anext(walking)
    with pytest.raises(Unreachable):
        await anext(walking)

    assert [each.number for each in ready] == [1, 2, 3]


@pytest.mark.parametrize(("raw", "most"), [(b"{}", 40), (bytes(9 << 20), 5)])
async def test_a_walk_waits_where_nobody_stores_what_came(raw, most):
    told = Walk(200, raw)
    async with aclosing(ahead(told.walk())) as walking:
        first = await anext(walking)
        await turns()

    assert len(first) <= told.reached <= most
    assert told.is_closed


async def test_a_walk_that_brings_nothing_ends():
    assert [ready async for ready in ahead(Walk(0).walk())] == []

"""Walks on while pages are being stored, so that several are stored together: each commit waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from gateway.pull.page import Page

__all__ = ["ahead"]

_LINGER_S = 0.1  # for more to come; so much is asked again after a kill
_TOGETHER = 8  # pages that are enough
_MOST_BYTES = 16 << 20  # of pages that wait; one may be larger


async def ahead(pages: AsyncGenerator[Page, None]) -> AsyncGenerator[list[Page], None]:
    """Give out the pages that have come, in their order, and walk on meanwhile.

    For a walk that may ask anything twice: what it asks behind a page is asked before that page is stored. What ends
    the walk is raised behind the last page that came.
    """
    waiting: list[Page] = []
    enough, room = asyncio.Event(), asyncio.Event()

    async def walk() -> None:
        size = 0
        try:
            async with aclosing(pages):
                async for page in pages:
                    size = sum(len(entry.raw) for entry in page.entries) + (size if waiting else 0)
                    waiting.append(page)
                    if len(waiting) >= _TOGETHER or size >= _MOST_BYTES:
                        enough.set()
                    if len(waiting) >= 2 * _TOGETHER or size >= _MOST_BYTES:
                        room.clear()
                        await room.wait()
        finally:
            enough.set()

    walking = asyncio.create_task(walk())
    try:
        while waiting or not walking.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), _LINGER_S)
            if waiting:
                ready = waiting.copy()
                waiting.clear()
                enough.clear()
                room.set()
                yield ready
            if walking.done():
                enough.set()
        await walking
    finally:
        walking.cancel()
        await asyncio.gather(walking, return_exceptions=True)

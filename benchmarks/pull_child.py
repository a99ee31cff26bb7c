"""One pull in a process of its own, for `pull.py`: landed, mapped, watched for where its time goes, or a crawl."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulk_data import TYPES

import gateway.census
import gateway.ingest
import gateway.understanding
from gateway.home import Home, now
from gateway.ingest import ingest, land
from gateway.pull.page import Page, Source
from gateway.settings import load_settings
from gateway.sources import open_source
from gateway.store import Store
from security.vault import SealingKey

__all__ = ["pull"]


async def pull(what: str, base: str) -> dict[str, Any]:
    """Pull from a server into a store that nobody has used, and tell how much came."""
    way = "crawl" if what == "crawl" else "bulk"
    types = ", ".join(f'"{type_}"' for type_ in TYPES)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "home"
        folder.mkdir(mode=0o700)
        settings = f'[sources.north]\nurl = "{base}"\nfhir_version = "r4"\nway = "{way}"\ntypes = [{types}]\n'
        (folder / "twin.toml").write_text(settings, "utf-8")
        with Home.open(load_settings(folder)) as home:
            began = time.process_time()
            async with open_source("north", home.settings.sources["north"]) as source:
                told: dict[str, Any] = {}
                if what in ("landed", "crawl"):
                    told["resources"] = await _land(home, source)
                elif what == "mapped":
                    told["resources"] = (await ingest(home, source, lambda text: None)).ledger.resources
                else:
                    told["shares"] = await _watched(home, source)
            told["cpu_s"] = time.process_time() - began
    return told | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def _land(home: Home, source: Source) -> int:
    """Store the pages of a source, and map none."""
    begun = home.store.begin_pull(source.name, now())
    came = await land(home, source, begun, lambda text: None)
    home.store.finish_fetch(begun, source.certificate())
    return came


class _Stopwatch:
    """Counts processor time by what is being done: the innermost has it."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._doing = ["other"]
        self._since = time.process_time()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Count what happens inside as `what`."""
        self._turn()
        self._doing.append(what)
        try:
            yield
        finally:
            self._turn()
            self._doing.pop()

    def _turn(self) -> None:
        instant = time.process_time()
        self.spent[self._doing[-1]] += instant - self._since
        self._since = instant

    def watch(self, holder: Any, name: str, what: str) -> None:
        """Count each call of a function or method as `what`."""
        plain: Callable[..., Any] = getattr(holder, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.doing(what):
                return plain(*args, **kwargs)

        setattr(holder, name, watched)


class _Watched:
    """A source whose own work counts as network."""

    def __init__(self, source: Source, watch: _Stopwatch) -> None:
        self.name, self._source, self._watch = source.name, source, watch
        self.certificate = source.certificate

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Walk the pages."""
        pages = self._source.pages(cursor)
        while True:
            with self._watch.doing("network"):
                page = await anext(pages, None)
            if page is None:
                return
            yield page


async def _watched(home: Home, source: Source) -> dict[str, float]:
    watch = _Stopwatch()
    for name in ("seal", "open"):
        watch.watch(SealingKey, name, "seal")
    for name in ("land_all", "landed_pages", "append", "begin_pull", "finish_fetch", "finish_pull", "holdings"):
        watch.watch(Store, name, "store")
    watch.watch(gateway.understanding, "read_json", "parse")
    watch.watch(gateway.census.Census, "read", "parse")
    watch.watch(gateway.census.Census, "settle", "people")
    watch.watch(gateway.ingest, "understand_by_forms", "map")
    await ingest(home, _Watched(source, watch), lambda text: None)
    return dict(watch.spent)

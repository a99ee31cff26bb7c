"""From settings to something that can be asked: the connection to an EHR, and the walk over it or over a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from gateway.credentials import WRITTEN, credentials, wire_arguments
from gateway.home import Home
from gateway.profiles import profile_of
from gateway.pull.bulk import BulkExport, cancel
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.folder import Folder
from gateway.pull.increment import Increment
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Page, Source
from gateway.pull.profile import Profile
from gateway.retractions import holders_of
from gateway.settings import SourceSettings
from gateway.store import name_of
from gateway.store.holders import Holders
from gateway.token_audit import record_tokens
from security.audit import query_event
from security.errors import BadSettings

__all__ = ["WRITTEN", "connect", "open_source"]

# Questions whose answers may hold data and are not landed: probes, the control, counts, other ways, the witness.
_SMALL = b"GET [type]?_count=1, GET [type]?_summary=count, GET [type]/_history, GET Patient/[id]/$everything?_count=1"


@asynccontextmanager
async def connect(
    settings: SourceSettings, profile: Profile | None = None, *, home: Home | None = None, name: str = ""
) -> AsyncIterator[Connection]:
    """Open a connection to a source's server with its credentials, which heeds what is known of it; nothing is sent.

    With `home` and the source's `name`, each token that its server gives us or refuses is recorded before it is used.
    """
    if not settings.base_url:
        raise BadSettings("This source is a folder; it has no server.", hint="Give it a url to talk to an EHR.")
    auth, wire = credentials(settings), wire_arguments(settings)
    if home is not None:
        record_tokens(auth, home, name, settings.client_id)
    connection = Connection(settings.base_url, settings.fhir_version, auth, **wire)
    connection.heed(profile or Profile())
    async with connection:
        yield connection


@asynccontextmanager
async def open_source(name: str, settings: SourceSettings, home: Home | None = None) -> AsyncIterator[Source]:
    """Open the walk over a source: a search crawl of a server, its bulk export, or the files of a folder.

    With `home` the walk knows what was pulled before: it may ask for changes alone (`since` of the settings), does not
    ask again for what is held, and uses what was learned of the server. Without it, all is asked for.
    """
    if settings.folder:
        yield Folder(name, settings.folder, settings.fhir_version)
        return
    async with connect(settings, home=home, name=name) as connection:
        capability = await fetch_capability(connection)
        profile = Profile()
        if home is not None:
            asked = home.access(peer=home.peer(name), query=_SMALL, basis="probes")
            home.store.append_audit([query_event(asked)])
            profile = await profile_of(connection, capability, home.settings.home, name, settings)
        increment = _increment(name, settings, home, profile.overlap_s)
        past = _Past(home, name) if home is not None else None
        if settings.way == "bulk":
            since, after = increment.since, increment.after
            yield BulkExport(
                name,
                connection,
                capability,
                profile,
                settings,
                since=since,
                after=after,
                is_held=past.is_held if past is not None else lambda name: False,
                landed=past.landed if past is not None else None,
            )
            return
        if past is not None:  # an export that a crawl takes the place of is not needed any more
            await cancel(connection, past.cursor)
        yield SearchCrawl(
            name,
            connection,
            capability,
            types=settings.types,
            page_size=settings.page_size,
            profile=profile,
            increment=increment,
            way=settings.way,
            at_once=connection.throttle.at_once,
            aliases=tuple(map(str, settings.aliases)),
            fills_in=True,
            is_held=past.is_held if past is not None else lambda name: False,
            landed=past.landed if past is not None else None,
        )


def _increment(name: str, settings: SourceSettings, home: Home | None, overlap_s: float) -> Increment:
    last = home.store.last_pull(name) if home is not None else None
    certificate = last.certificate if last is not None else None
    if last is None or certificate is None or certificate.base not in ("", settings.base_url):
        return Increment.plan(settings.since, None, "", overlap_s)  # nothing of another server's says anything of this
    return Increment.plan(settings.since, certificate, last.id, overlap_s)


class _Past:
    """What the store knows of a source, read when it is needed: who holds what takes a look into each twin."""

    def __init__(self, home: Home, source: str) -> None:
        self._home, self._source = home, source
        self._holders: Holders | None = None

    def is_held(self, resource: str) -> bool:
        """Say whether a resource ("Medication/1") is held."""
        if self._holders is None:
            self._holders = holders_of(self._home, self._source)
        return bool(self._holders.of(name_of(self._source, resource)))

    @property
    def cursor(self) -> str | None:
        """Return the cursor of the pull that was not finished, `None` where there is none."""
        return next((p.cursor for p in self._home.store.pulls(self._source) if p.state == "fetching"), None)

    def landed(self) -> Iterator[Page]:
        """Walk the pages of the pull that was not finished."""
        for pull in self._home.store.pulls(self._source):
            if pull.state == "fetching":
                yield from self._home.store.landed_pages(pull)

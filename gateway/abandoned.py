"""Gives up on a pull that was not finished: the server is told, where it still writes files for it, and the next pull
begins anew.
"""

from __future__ import annotations

from gateway.home import Home, now
from gateway.profiles import kept
from gateway.pull.bulk import Cancelled, cancel
from gateway.settings import SourceSettings
from gateway.sources import connect
from security.audit import query_event
from security.errors import Misuse

__all__ = ["abandon"]


async def abandon(home: Home, name: str, settings: SourceSettings) -> Cancelled:
    """Give up on the pull of a source that was not fetched to its end, and say what became of its export.

    Raises `Misuse` where there is no such pull.
    """
    pull = next((each for each in home.store.pulls(name) if each.state == "fetching"), None)
    if pull is None:
        raise Misuse("No pull from this source was left unfinished.", hint="twin certificates list tells what was.")
    became: Cancelled = "none"
    if settings.base_url:
        async with connect(settings, kept(home.settings.home, name), home=home, name=name) as connection:
            became = await cancel(connection, pull.cursor)
    asked = f"DELETE {settings.base_url}".encode()
    told = [query_event(home.access(peer=home.peer(name), query=asked))] if became != "none" else []
    home.store.abandon_pull(pull, now(), told)
    return became

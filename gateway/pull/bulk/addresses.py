"""The addresses that a server tells for a job and its files, where it may know itself by another name than we do."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from gateway.pull.connection import Connection, Told
from gateway.pull.origin import Base, ForeignUrlError

__all__ = ["Addresses"]


class Addresses:
    """Reads addresses; those that begin with an alias of the settings are asked under our own base.

    Others are taken as they are: a file may well be on another server.
    """

    def __init__(self, connection: Connection, aliases: Sequence[object] = ()) -> None:
        self._connection = connection
        self._aliases = [Base.parse(str(alias)) for alias in aliases]

    def told(self, address: str, page: str = "") -> Told:
        """Read an address that was told on `page`; raises `Refused` where it may not be asked."""
        base = self._connection.base.url
        try:
            found = Base.read(address, httpx.URL(page or str(base)))
        except (ForeignUrlError, httpx.InvalidURL):
            return self._connection.told(address, page)  # which says why
        for alias in self._aliases:
            if alias.covers(found):
                below = found.raw_path[len(alias.url.raw_path.rstrip(b"/")) :]
                found = base.copy_with(raw_path=base.raw_path.rstrip(b"/") + below)
            elif alias.same_server(found):
                found = base.copy_with(raw_path=found.raw_path)
        return self._connection.told(str(found))

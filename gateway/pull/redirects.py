"""Where a redirect may lead: to the same server, or, for what a server told us, to any that is protected as well."""

from __future__ import annotations

from typing import Final

import httpx

from gateway.pull.origin import Base, ForeignUrlError
from gateway.pull.told import told
from security.errors import Refused

__all__ = ["MOST", "in_circles", "redirected"]

MOST: Final = 3
"""How many redirects are followed."""


def redirected(
    method: str, status: int, location: str, url: httpx.URL, base: Base, *, abroad: bool
) -> httpx.URL | None:
    """Return where an answer sends us, `None` where it is no redirect that we follow with this method.

    A write is never turned into a read: 301, 302 and 303 are followed for GET only. Raises `Refused` where it leads
    to another server, unless that is allowed (`abroad`); then our credentials stay here, because they are added to
    requests to our own server only.
    """
    if not (status in (307, 308) or (status in (301, 302, 303) and method == "GET")):
        return None
    if abroad:
        return httpx.URL(told(base, location, str(url)).url)
    try:
        found = Base.read(location, url)
    except ForeignUrlError:
        found = None
    if found is None or not base.same_server(found):
        raise Refused(
            "The server redirects to another one, which was not followed.", hint="Check url, or give the other one."
        )
    return found


def in_circles() -> Refused:
    """Make the fault for too many redirects."""
    return Refused("The server redirects in circles.", hint="Check url in twin.toml.")

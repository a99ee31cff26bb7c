"""A URL that a server told us for a job or a file: is it the server's own, and may it be asked at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from gateway.pull.origin import Base, ForeignUrlError, is_loopback
from security.errors import Refused

__all__ = ["Told", "told"]


@dataclass(frozen=True, slots=True)
class Told:
    """A URL that we were told. It is patient data, and no part of the `repr`.

    `is_ours` says that it has the scheme, host and port of the base: only then our credentials may go there.
    """

    url: str = field(repr=False)
    is_ours: bool


def told(base: Base, url: str, page: str, aliases: Sequence[Base] = ()) -> Told:
    """Read a URL that a server told us on `page` (absolute, or relative to it); raises `Refused`.

    Signed URLs of other hosts may be asked, without credentials. What would be less protected than the base is not
    asked: http where the base is https. Nor does a server elsewhere send us to this machine: what listens here is not
    its own. A server behind a proxy may not know its own name, or that it is asked by https: what is on the server of
    one of its `aliases`, or has its host, is asked of the base's own server.
    """
    try:
        found = _at_home(base, base.read(url, httpx.URL(page)), aliases)
    except (ForeignUrlError, httpx.InvalidURL) as error:
        raise Refused("The server told us a link that is no URL.", hint="Tell its operator.", detail=url) from error
    if found.userinfo:
        raise Refused("The server told us a link with a user in it.", hint="Tell its operator.", detail=url)
    if is_loopback(found.host) and not is_loopback(base.url.host):
        raise Refused(
            "The server told us a link to this machine.", hint="Add it to aliases, if the server means itself by it."
        )
    if base.url.scheme == "https" and found.scheme != "https" and not is_loopback(found.host):
        raise Refused("The server told us a link that is not protected.", hint="Ask its operator for https links.")
    return Told(str(found), base.same_server(found))


def _at_home(base: Base, url: httpx.URL, aliases: Sequence[Base]) -> httpx.URL:
    for alias in aliases:
        if alias.covers(url):
            below = url.raw_path[len(alias.url.raw_path.rstrip(b"/")) :]
            return base.url.copy_with(raw_path=base.url.raw_path.rstrip(b"/") + below)
        if alias.same_server(url):
            return base.url.copy_with(raw_path=url.raw_path)
    if (url.scheme, base.url.scheme, url.host, url.userinfo) == ("http", "https", base.url.host, b""):
        return base.url.copy_with(raw_path=url.raw_path)
    return url

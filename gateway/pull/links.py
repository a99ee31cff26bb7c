"""Where a next link leads, as we ask for it: always below our own base, whatever host the server wrote into it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import httpx

from gateway.pull.origin import Base, ForeignUrlError
from security.errors import BadSettings

__all__ = ["Links"]

# A proxy's mistake (opensrp/fhircore#1714): a port that is there twice is none that anybody meant.
_DOUBLED_PORT = re.compile(r"^(https?://[^/?#:@]+)(?::\d+){2,}(?=[/?#]|$)")


class Links:
    """The links of one server.

    Servers behind a proxy write their inner name into links, another scheme, or a port twice. Path and query of such a
    link are taken and our own origin is asked, where something speaks for it that the same server is meant: an alias
    in the settings, our own host in it, a self link with the same host, or our own base path. Nothing is ever sent to
    another host, so that a link that lies costs a wrong page of our server at most.

    Parameters
    ----------
    base
        The FHIR base that we ask.
    aliases
        Other base URLs of the same server.
    """

    def __init__(self, base: Base, aliases: Sequence[str] = ()) -> None:
        self._base = base
        self._aliases = [Base.parse(each) for each in aliases]
        self.rewritten = False

    def next(self, link: str, page: str, self_link: str = "") -> str:
        """Read a next link found on `page`; raises `ForeignUrlError` where nothing says that it leads to our server."""
        try:
            url = self._base.follow(link, page)
        except ForeignUrlError:
            url = self._ours(link, page, self_link)
        if not self._base.covers(url):
            raise ForeignUrlError("outside the base")
        return str(_readable(url))

    def _ours(self, link: str, page: str, self_link: str) -> httpx.URL:
        told = Base.read(_DOUBLED_PORT.sub(r"\1", link), self._base.url)
        if told.userinfo:
            raise ForeignUrlError("a user in the URL")
        if (inner := _inner_base(self_link, page)) is not None and inner not in self._aliases:
            self._aliases.append(inner)
        for alias in self._aliases:
            if alias.covers(told):
                below = told.raw_path[len(alias.url.raw_path.rstrip(b"/")) :]
                return self._at_home(self._base.url.raw_path.rstrip(b"/") + below)
        if told.host != self._base.url.host and not self._is_below(told):
            raise ForeignUrlError("another server")
        return self._at_home(told.raw_path)

    def _is_below(self, told: httpx.URL) -> bool:
        ours = self._base.url.path.rstrip("/")
        return bool(ours) and (told.path == ours or told.path.startswith(f"{ours}/"))

    def _at_home(self, raw_path: bytes) -> httpx.URL:
        self.rewritten = True
        return self._base.url.copy_with(raw_path=raw_path)


def _inner_base(self_link: str, page: str) -> Base | None:
    """Say under which base the server answered: the self link of `…/fhir/Patient` is `…/inner/Patient`."""
    try:
        told, asked = httpx.URL(self_link), httpx.URL(page)
        above, _, name = told.path.rpartition("/")
        if told.scheme in ("http", "https") and name and name == asked.path.rpartition("/")[2]:
            return Base.parse(str(told.copy_with(path=above or "/", query=None, fragment=None)))
    except (httpx.InvalidURL, BadSettings):
        pass
    return None


def _readable(url: httpx.URL) -> httpx.URL:
    """After a search by POST, some write links below _search, where GET finds nothing (microsoft/fhir-server#1115)."""
    return url.copy_with(path=url.path.removesuffix("/_search")) if url.path.endswith("/_search") else url

"""Where a URL points: at the FHIR base, at its server, or at a stranger. Decided on parsed URLs, never on text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import httpx

from security.errors import BadSettings

__all__ = ["Base", "ForeignUrlError", "is_loopback"]

_TRICKS = re.compile(r"[\x00-\x20\x7f\\]")  # characters that two URL parsers read in two ways


class ForeignUrlError(ValueError):
    """A link that leads away from the server that we talk to, or that cannot be read as a URL."""


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by its name or its address."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


@dataclass(frozen=True, slots=True)
class Base:
    """The FHIR base of one server.

    Credentials may go to URLs that it `covers` (same scheme, host and port, and below its path). Links may be followed
    to URLs of the `same_server`. CVE-2026-34361 and medplum#9947 are what happens to those who compare text.
    """

    url: httpx.URL

    @classmethod
    def parse(cls, text: str) -> Base:
        """Read a base URL as the operator wrote it; raises `BadSettings`."""
        try:
            url = httpx.URL(text.strip().rstrip("/"))
        except httpx.InvalidURL as error:
            raise BadSettings("The source's url is not a URL.", hint="Check url in twin.toml.", detail=text) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise BadSettings("The source's url does not begin with https://.", hint="Check url in twin.toml.")
        if url.userinfo or url.query or url.fragment:
            raise BadSettings(
                "The source's url has a user, a query or a fragment in it.", hint="Give the FHIR base only."
            )
        if not _is_plain_path(url):
            raise BadSettings("The source's url has '..' or a backslash in it.", hint="Give the FHIR base only.")
        return cls(url)

    @property
    def is_protected(self) -> bool:
        """Say whether what is sent cannot be read on the way: TLS, or a wire that does not leave this machine."""
        return self.url.scheme == "https" or is_loopback(self.url.host)

    def same_server(self, url: httpx.URL) -> bool:
        """Say whether `url` has our scheme, host and port, and no user in it."""
        return not url.userinfo and _origin(url) == _origin(self.url)

    def covers(self, url: httpx.URL) -> bool:
        """Say whether `url` is the base or something below it."""
        ours, theirs = self.url.path.rstrip("/"), url.path
        return self.same_server(url) and _is_plain_path(url) and (theirs == ours or theirs.startswith(ours + "/"))

    def join(self, link: str) -> httpx.URL:
        """Read a link relative to the base ("Patient?_count=2", "/fhir/x", "https://…").

        Raises `ForeignUrlError` where it leads to another server.
        """
        url = self.read(link, _as_folder(self.url))
        if not self.same_server(url):
            raise ForeignUrlError("another server")
        return url

    def follow(self, link: str, page: str) -> httpx.URL:
        """Read a link found on `page`. Servers mean relative links relative to the page or to the base, both are seen
        (fhircrackr#110): "Patient?page=2" is below the base, "?page=2" is about the page itself.
        """
        if link.startswith("?"):
            return self.join(str(httpx.URL(page).copy_with(query=link[1:].encode())))
        return self.join(link)

    @staticmethod
    def read(link: str, against: httpx.URL) -> httpx.URL:
        """Parse a link as our HTTP library will, wherever it points; `ForeignUrlError` where it is no URL for us."""
        if _TRICKS.search(link):
            raise ForeignUrlError("not a URL")
        try:
            url = against.join(link)
        except (httpx.InvalidURL, ValueError) as error:
            raise ForeignUrlError("not a URL") from error
        if url.scheme not in ("http", "https") or not url.host or not _is_plain_path(url):
            raise ForeignUrlError("not a URL")
        return url.copy_with(fragment=None) if url.fragment or "#" in link else url


@lru_cache(maxsize=64)
def _as_folder(url: httpx.URL) -> httpx.URL:
    return url.copy_with(path=url.path.rstrip("/") + "/")


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _is_plain_path(url: httpx.URL) -> bool:
    path = unquote(unquote(url.path))  # "%252e" too: a proxy in front of the server may decode once more
    return "\\" not in path and not any(part in (".", "..") for part in path.split("/"))

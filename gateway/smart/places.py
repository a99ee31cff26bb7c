"""Where our endpoints are: below the URL that we are known by, never below what a request calls us."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses of one installation. `base` is that of the FHIR API, without a slash at its end.

    It is the issuer, too, as SMART's servers mostly are: so that one address is enough for an app to know.
    """

    base: str

    @property
    def issuer(self) -> str:
        """The issuer of our tokens (RFC 8414, RFC 9207, OpenID Connect)."""
        return self.base

    @property
    def root(self) -> str:
        """What FHIR API and authorization server share."""
        return self.base.rpartition("/")[0]

    @property
    def api_path(self) -> str:
        """The path of the FHIR API below the root: "/fhir"."""
        return "/" + self.base.rpartition("/")[2]

    @property
    def host_path(self) -> str:
        """The path of the issuer on its host, which RFC 8414 puts behind the well-known word."""
        return urlsplit(self.base).path

    def at(self, path: str) -> str:
        """Return the address of an endpoint: `at("/auth/token")`."""
        return self.root + path

    @property
    def token(self) -> str:
        """The token endpoint."""
        return self.at("/auth/token")

    def is_base(self, audience: str) -> bool:
        """Say whether that is our FHIR API: the same text, with or without one slash at its end (A3)."""
        return audience in (self.base, self.base + "/")

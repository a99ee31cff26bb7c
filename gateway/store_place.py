"""Where a store is: a file of ours, or a database of a PostgreSQL server and how it is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["NAME", "Server", "Where"]

_SCHEMES = ("postgresql", "postgresql+psycopg", "postgres")
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""A name that PostgreSQL takes without quotes."""


@dataclass(frozen=True, slots=True)
class Server:
    """One schema of a PostgreSQL database. It holds no secret: the password is read when we connect.

    Without `password_file` libpq looks where it always does: PGPASSFILE, ~/.pgpass. `host` may be the folder of a
    socket. `patience_seconds` is how long a write waits for another one. `tls` means that the server shows a
    certificate for its name, signed by `ca_file` (else by a CA that the system trusts).
    """

    host: str
    database: str
    port: int = 5432
    user: str = ""
    password_file: Path | None = None
    schema: str = "public"
    tls: bool = True
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    patience_seconds: int = 30

    @classmethod
    def read(
        cls,
        url: str,
        *,
        password_file: Path | None = None,
        schema: str = "public",
        tls: bool = True,
        ca_file: Path | None = None,
        client_certificate_file: Path | None = None,
        client_key_file: Path | None = None,
    ) -> Server:
        """Read `postgresql://user@host:port/database`; for a socket, `postgresql:///database?host=/run/postgresql`.

        Raises `ValueError` for another form, with a password in it, or without TLS to another machine. Its text never
        repeats the URL.
        """
        try:
            parts = urlsplit(url)
            port, asked = parts.port or 5432, parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError("this is no URL") from None
        if parts.scheme not in _SCHEMES:
            raise ValueError("it has to begin with postgresql://")
        if parts.password is not None or "password" in asked:
            raise ValueError("a password does not stand in it: put it into a file, and its name into password_file")
        host = asked.pop("host", [unquote(parts.hostname or "")])[-1]
        database = unquote(parts.path.removeprefix("/"))
        if asked or parts.fragment:
            raise ValueError("host is all that may follow the question mark; the rest are settings of [store]")
        if not host or not database:
            raise ValueError("it has to name a host (or ?host= and the folder of a socket) and a database")
        if not NAME.fullmatch(schema):
            raise ValueError("schema has lower-case letters, digits and _ only")
        if not tls and not _is_here(host):
            raise ValueError("tls can be left out to a server on this machine only")
        if (client_certificate_file is None) != (client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file belong together")
        return cls(
            host=host,
            database=database,
            port=port,
            user=unquote(parts.username or ""),
            password_file=password_file,
            schema=schema,
            tls=tls and not host.startswith("/"),
            ca_file=ca_file,
            client_certificate_file=client_certificate_file,
            client_key_file=client_key_file,
        )


Where: TypeAlias = Path | Server


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""The table [store] of twin.toml: where the data is, if not in the file twin.db of the home."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from gateway.store_place import Server, Where

__all__ = ["STORE_PATHS", "StoreSettings"]

STORE_PATHS = ("password_file", "ca_file", "client_certificate_file", "client_key_file")


class StoreSettings(BaseModel):
    """Where the data is. The keys stay in files of their own ([keys]).

    Parameters
    ----------
    url
        A PostgreSQL database: `postgresql://user@host:port/database`; by its socket,
        `postgresql://user@/database?host=/run/postgresql`. "": the file twin.db in the home.
    password_file
        The password, readable by us only; without it PGPASSFILE and ~/.pgpass are looked into.
    db_schema
        The schema that the tables are in; several stores may share a database.
    tls
        The server shows a certificate for its name. Only to one on this machine may it be left out.
    ca_file
        The certificates that we trust for it; "": those that the system trusts.
    client_certificate_file, client_key_file
        What we show, where the server lets accounts in by certificates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    password_file: Path | None = None
    db_schema: str = "fhirtwin"
    tls: bool = True
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> StoreSettings:
        if self.url:
            self._server()
        elif extra := self.model_fields_set - {"url"}:
            raise ValueError(f"{' and '.join(sorted(extra))} go with url")
        return self

    def where(self, home: Path) -> Where:
        """Say where the store is."""
        return self._server() if self.url else home / "twin.db"

    def _server(self) -> Server:
        try:
            return Server.read(
                self.url,
                password_file=self.password_file,
                schema=self.db_schema,
                tls=self.tls,
                ca_file=self.ca_file,
                client_certificate_file=self.client_certificate_file,
                client_key_file=self.client_key_file,
            )
        except ValueError as error:
            raise ValueError(f"url or what goes with it: {error}") from None

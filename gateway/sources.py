"""From settings to something that can be asked: the connection to an EHR, and the walk over it or over a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.pull.connection import Connection, Credentials
from gateway.pull.crawl import SearchCrawl
from gateway.pull.folder import Folder
from gateway.pull.keys import SigningKey
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Source
from gateway.pull.tokens import BackendServices, Basic, StaticBearer
from gateway.settings import SourceSettings
from security.errors import BadSettings

__all__ = ["WRITTEN", "connect", "open_source"]

WRITTEN = ("Device", "Observation", "RiskAssessment", "Provenance")
"""The resource types that we create in an EHR."""


@asynccontextmanager
async def connect(settings: SourceSettings) -> AsyncIterator[Connection]:
    """Open a connection to a source's server with its credentials; nothing is sent yet."""
    if not settings.base_url:
        raise BadSettings("This source is a folder; it has no server.", hint="Give it a url to talk to an EHR.")
    connection = Connection(settings.base_url, settings.fhir_version, _credentials(settings), ca_file=settings.ca_file)
    async with connection:
        yield connection


@asynccontextmanager
async def open_source(name: str, settings: SourceSettings) -> AsyncIterator[Source]:
    """Open the walk over a source: a search crawl of a server, or the files of a folder."""
    if settings.folder:
        yield Folder(name, settings.folder, settings.fhir_version)
        return
    async with connect(settings) as connection:
        capability = await fetch_capability(connection)
        yield SearchCrawl(name, connection, capability, types=settings.types, page_size=settings.page_size)


def _credentials(settings: SourceSettings) -> Credentials | None:
    match settings.auth:
        case "none":
            return None
        case "bearer":
            return StaticBearer(_secret(settings.token_file, "token_file"))
        case "basic":
            return Basic(settings.user, _secret(settings.password_file, "password_file"))
        case "backend-services":
            return BackendServices(
                settings.base_url,
                settings.client_id,
                SigningKey.read(_secret(settings.key_file, "key_file")),
                scopes=settings.scopes,
                create=WRITTEN if settings.write else (),
            )


def _secret(file: Path | None, key: str) -> str:
    try:
        return (file or Path()).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"The file that {key} names cannot be read.", hint=f"Check {key} in twin.toml.", detail=error
        ) from error

"""From the settings of a source to what its connection shows and uses: tokens, passwords, keys, certificates, proxy."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from gateway.kept_files import read_secret
from gateway.pull.bounds import limits_of, patience_of
from gateway.pull.connection import Credentials
from gateway.pull.inflate import Limits
from gateway.pull.keys import KeySet
from gateway.pull.passwords import Basic, StaticBearer
from gateway.pull.tokens import BackendServices, ClientSecret
from gateway.pull.wire import Patience, Proxy
from gateway.source_settings import SourceSettings

__all__ = ["CHANGED", "WRITTEN", "WireArguments", "credentials", "key_set", "wire_arguments"]

WRITTEN = ("Device", "Observation", "RiskAssessment", "Provenance")
"""The resource types that we create in an EHR."""

CHANGED = (
    *("Observation", "RiskAssessment", "DocumentReference"),
    *("DetectedIssue", "Flag", "Communication"),
)
"""What we may create there in place of those, or as a warning, and all that we change there: what no longer stands."""


class WireArguments(TypedDict):
    """What `Connection` takes beside the credentials: the way to the server, how long we wait, and what we take."""

    ca_file: Path | None
    client_certificate: tuple[Path, Path] | None
    proxy: Proxy | None
    limits: Limits
    patience: Patience
    at_once: int
    a_second: float
    aliases: tuple[str, ...]
    deepest: int
    client_id: str


def wire_arguments(settings: SourceSettings) -> WireArguments:
    """Return the arguments of a source's connection; raises `BadSettings` as `credentials` does."""
    certificate = None
    if settings.client_certificate_file and settings.client_key_file:
        read_secret(settings.client_key_file, "client_key_file")
        certificate = (settings.client_certificate_file, settings.client_key_file)
    proxy = None
    if settings.proxy:
        password = (
            read_secret(settings.proxy_password_file, "proxy_password_file") if settings.proxy_password_file else ""
        )
        proxy = Proxy(str(settings.proxy), settings.proxy_user, password.rstrip("\r\n"))
    return WireArguments(
        ca_file=settings.ca_file,
        client_certificate=certificate,
        proxy=proxy,
        limits=limits_of(settings),
        patience=patience_of(settings),
        at_once=settings.at_once,
        a_second=settings.a_second,
        aliases=tuple(map(str, settings.aliases)),
        deepest=settings.deepest,
        client_id=settings.client_id,
    )


def credentials(settings: SourceSettings) -> Credentials | None:
    """Return what a source's server is shown with each request, `None` where it wants nothing.

    Raises `BadSettings` where a file with a secret cannot be read, can be read by others, or holds something else.
    """
    create, change = (WRITTEN, CHANGED) if settings.write else ((), ())
    match settings.auth:
        case "none":
            return None
        case "bearer":
            return StaticBearer(read_secret(settings.token_file, "token_file"))
        case "basic":
            return Basic(settings.user, read_secret(settings.password_file, "password_file"))
        case "client-secret":
            return ClientSecret(
                settings.base_url,
                settings.client_id,
                read_secret(settings.secret_file, "secret_file"),
                scopes=settings.scopes,
                create=create,
                change=change,
            )
        case "backend-services":
            return BackendServices(
                settings.base_url,
                settings.client_id,
                key_set(settings),
                jwks_url=str(settings.jwks_url or ""),
                scopes=settings.scopes,
                create=create,
                change=change,
            )


def key_set(settings: SourceSettings) -> KeySet:
    """Read the private keys of a source; raises `BadSettings`."""
    return KeySet.read(read_secret(settings.key_file, "key_file"))

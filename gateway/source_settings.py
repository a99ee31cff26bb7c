"""One source as twin.toml tells it: where it is, how we show who we are, how we ask, and what we take at most."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, model_validator

__all__ = ["FhirVersionName", "SourceSettings"]

FhirVersionName = Literal["dstu2", "stu3", "r4", "r4b", "r5"]


def _since(told: str) -> str:
    if told in ("all", "auto") or _is_instant(told):
        return told
    raise ValueError('say "all", "auto", or an instant with its zone, such as 2026-11-24T10:00:00Z')


def _is_instant(told: str) -> bool:
    try:
        return datetime.fromisoformat(told).tzinfo is not None
    except ValueError:
        return False


class SourceSettings(BaseModel):
    """One EHR endpoint, or one folder of FHIR files.

    Secrets are paths to files, never values: `key_file` holds a private JWK or PEM, or a JWK Set of which the last
    key signs; `token_file` a bearer token; `secret_file` a client's secret.

    Parameters
    ----------
    key_file, jwks_url
        Our private keys, of which the last signs; and where their public halves are to be had, if the server was given
        an address and no keys.
    proxy
        The HTTP proxy between us and the server, with `proxy_user` and `proxy_password_file` where it wants them.
    client_certificate_file, client_key_file
        Our own certificate (PEM), for servers that ask for one in TLS.
    aliases
        Other base URLs under which the server writes links to itself (behind a proxy): path and query are taken from
        such a link, and our own base is asked.
    way
        "crawl": search, type after type. "patients": patient after patient. "bulk": Bulk Data export.
    since
        What is asked for: "all"; "auto", which is what changed since the last pull; or what changed since an instant.
    vendor
        Which habits to expect ("epic", "oracle" ...; `twin source vendors` lists them); else found by itself.
    group
        The Group of a bulk export; else the export is of all patients.
    export
        Where a bulk export begins: "system", "patient" or "group"; else "group" where there is one, else "patient".
    filters
        Search filters of a bulk export (`_typeFilter`), as "Observation?category=laboratory".
    at_once
        How many requests may be under way at the same time, at most.
    a_second
        How many requests are sent a second at most; 0: as many as the server lets us.
    tries
        How often a request that may be repeated is sent in all.
    come_back_s
        The longest pause that a server may ask for and that we sit out, in seconds; of a bulk export's status, any.
    answer_mb, unpacked_mb, ratio
        How large an answer may be as sent and unpacked, and how many times larger the latter. Of a file of a bulk
        export, which is read line by line, `ratio` alone.
    line_mb
        How large one resource of a bulk file may be.
    deepest
        How deep JSON may be nested.
    answer_s
        How long one answer may take; for a file of a bulk export, the longest silence.
    tenant
        Whose patients these are, where one home serves several who must not see each other's: nobody is taken for the
        same person as a patient of another tenant. Say it before the first pull; it cannot be changed afterwards.
    users_file
        The file that says whose the data points of an app's users are (`gateway.wearers`).
    guide
        The guide in whose shape results are written: "auto" is what the server's statement says it supports; "us-core"
        (6.1) whether or not it says so; "none".
    settle_s
        How many seconds after an answer that was lost what we sent must be found by a search, if it was done; only then
        is it sent again.
    give_up_h
        For how many hours a delivery is tried before it is laid aside for a person.
    read_back
        Which deliveries are read back and compared with what was sent: the "first" of each shape and a few later,
        "always", "never".
    organization
        Reference to the server's Organization on whose behalf results are written ("Organization/12"); without one no
        Provenance can conform to US Core.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl | None = None
    folder: Path | None = None
    fhir_version: FhirVersionName | None = None
    auth: Literal["backend-services", "client-secret", "bearer", "basic", "none"] = "none"
    client_id: str = ""
    key_file: Path | None = None
    jwks_url: HttpUrl | None = None
    secret_file: Path | None = None
    token_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    scopes: str = ""
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    proxy: HttpUrl | None = None
    proxy_user: str = ""
    proxy_password_file: Path | None = None
    aliases: tuple[HttpUrl, ...] = ()
    vendor: str = ""
    way: Literal["crawl", "patients", "bulk"] = "crawl"
    since: Annotated[str, AfterValidator(_since)] = "all"
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    types: tuple[str, ...] = ()
    group: str = ""
    export: Literal["", "system", "patient", "group"] = ""
    filters: tuple[str, ...] = ()
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    a_second: Annotated[float, Field(ge=0, le=10_000)] = 0
    tries: Annotated[int, Field(ge=1, le=20)] = 4
    come_back_s: Annotated[float, Field(ge=0, le=86_400)] = 120
    answer_mb: Annotated[int, Field(ge=1, le=4096)] = 64
    unpacked_mb: Annotated[int, Field(ge=1, le=4096)] = 64
    ratio: Annotated[int, Field(ge=2, le=100_000)] = 100
    line_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    deepest: Annotated[int, Field(ge=8, le=1000)] = 100
    answer_s: Annotated[float, Field(gt=0, le=86_400)] = 300
    write: bool = True
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    users_file: Path | None = None
    guide: Literal["auto", "us-core", "none"] = "auto"
    settle_s: Annotated[float, Field(ge=0, le=86_400)] = 30
    give_up_h: Annotated[float, Field(gt=0, le=8760)] = 72
    read_back: Literal["first", "always", "never"] = "first"
    organization: Annotated[str, Field(pattern=r"^(Organization/[A-Za-z0-9.\-]{1,64})?$")] = ""

    @model_validator(mode="after")
    def _one_place(self) -> SourceSettings:
        if (self.url is None) == (self.folder is None):
            raise ValueError("needs either url or folder")
        if self.auth == "backend-services" and not (self.client_id and self.key_file):
            raise ValueError("auth backend-services needs client_id and key_file")
        if self.auth == "client-secret" and not (self.client_id and self.secret_file):
            raise ValueError("auth client-secret needs client_id and secret_file")
        if self.auth == "bearer" and not self.token_file:
            raise ValueError("auth bearer needs token_file")
        if self.auth == "basic" and not (self.user and self.password_file):
            raise ValueError("auth basic needs user and password_file")
        for key, url in (("url", self.url), ("proxy", self.proxy)):
            if url is not None and (url.username or url.password):
                raise ValueError(f"{key} has a user or a password in it; they have settings of their own")
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file go together")
        if self.proxy_password_file and not self.proxy_user:
            raise ValueError("proxy_password_file needs proxy_user")
        if self.export == "group" and not self.group:
            raise ValueError("export group needs group")
        return self

    @property
    def base_url(self) -> str:
        """The FHIR base without a slash at its end; "" for a folder."""
        return str(self.url).rstrip("/") if self.url else ""

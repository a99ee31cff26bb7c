"""Clients, accounts and what is asked of them, as they are registered. Secrets are hashes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from security.policy import Role

__all__ = ["Account", "Client", "ClientKind", "Passkey", "Pending"]

ClientKind = Literal["public", "symmetric", "asymmetric"]


class Client(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An app, or a program that acts for itself (kind "client" of the register, by its id).

    `scopes` is the most that it may ask for. `grants` are RFC 6749's grant types. `secrets` are the hashes of the
    secrets that hold now (two while one is exchanged), `keys` public JWKs, `keys_url` where they are published.
    `backend` may use client_credentials, for which system scopes are. `introspects` may ask about any token.
    """

    id: str
    name: str
    kind: ClientKind
    tenant: str = ""
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    scopes: tuple[str, ...] = ()
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    secrets: tuple[str, ...] = ()
    keys: tuple[dict[str, Any], ...] = ()
    keys_url: str = ""
    backend: bool = False
    introspects: bool = False
    purpose: str = "TREAT"
    created: datetime
    disabled: bool = False


class Passkey(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A WebAuthn credential of an account."""

    id: str
    public_key: bytes
    count: int = 0
    name: str = ""


class Account(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A person who may log in (kind "account" of the register, by the name).

    `password` is an Argon2id hash in PHC form, "" where only passkeys are. `fhir_user` is the resource that the person
    is ("Practitioner/..."), without which nobody gets the scope fhirUser. `session` counts: whatever was given under a
    lower number no longer holds.
    """

    name: str
    display: str
    roles: tuple[Role, ...]
    tenant: str = ""
    password: str = ""
    passkeys: tuple[Passkey, ...] = ()
    fhir_user: str = ""
    created: datetime
    disabled: bool = False
    session: int = 1


class Pending(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An authorization request that was found to be in order and waits for a person (kind "pending", five minutes).

    `scopes` are those asked for that the client may ask for. `launch` is what the launch was about: twin, encounter,
    and so on, where there was one. `session` is the hash of the browser's session, once there is one: nobody else goes
    on with it. `fresh` wants whoever answers to log in for it, also where they are logged in (prompt=login).
    """

    id: str
    client: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    challenge: str
    nonce: str = ""
    audience: str
    launch: dict[str, Any] = {}
    session: str = ""
    user: str = ""
    fresh: bool = False

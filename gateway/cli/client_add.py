"""twin client add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from cyclopts import Parameter

from gateway.cli.client import told
from gateway.cli.terminal import Options, note, print_json, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.registration import Clients, checked, hash_secret, keys_in, new_secret, split_words
from gateway.smart.values import Client
from security.audit import settings_event
from security.errors import Misuse

__all__ = ["add_", "read_keys"]

_Flag = Annotated[bool, Parameter(negative="")]
_Many = Annotated[tuple[str, ...], Parameter(negative="")]


def add_(
    client: str = "",
    /,
    *,
    name: str = "",
    kind: Literal["public", "symmetric", "asymmetric"] | None = None,
    redirect_uri: _Many = (),
    launch_url: str = "",
    scopes: _Many = (),
    jwks: Path | None = None,
    jwks_url: str = "",
    backend: _Flag = False,
    introspect: _Flag = False,
    purpose: str = "TREAT",
    tenant: str = "",
    options: Options = Options(),
) -> None:
    """Register an app, or a program that acts for itself, that may ask for access, and say by which id and secret.

    A secret is shown once, and kept as a hash. What could not work, or would not be safe, is told and not registered.

    Parameters
    ----------
    client
        Its client id; without it one is drawn.
    name
        What people are told on the page where they allow it something.
    kind
        public: an app that can keep no secret. symmetric: a server with a secret. asymmetric: one with keys of its own.
        Without it: asymmetric where keys are said, else public.
    redirect_uri
        Where people are sent back to, to the letter; once or more.
    launch_url
        Where the app is opened from here with a patient (EHR launch).
    scopes
        The most that it may ask for, with spaces between: "launch/patient openid fhirUser patient/Observation.rs".
    jwks
        A file with its public keys (JWK Set; RSA for RS384, P-384 for ES384).
    jwks_url
        Where it publishes them instead.
    backend
        It acts for itself, with system scopes (SMART Backend Services).
    introspect
        It may ask about any token (RFC 7662).
    purpose
        Why it reads: TREAT, HPAYMT, HRESCH, PUBHLTH or another code of HL7 v3-ActReason.
    tenant
        Whose patients it is for, where one installation serves several.
    """
    if jwks is not None and jwks_url:
        raise Misuse("Keys are given, or fetched.", hint="Say either --jwks or --jwks-url.")
    is_keyed = jwks is not None or bool(jwks_url)
    told_kind = kind or ("asymmetric" if is_keyed or backend else "public")
    secret = new_secret() if told_kind == "symmetric" else ""
    offline = {"offline_access", "online_access"} & set(split_words(scopes))
    grants = ("client_credentials",) if backend else ("authorization_code", *(("refresh_token",) if offline else ()))
    at = now()
    fresh = checked(
        Client(
            id=client or str(uuid4()),
            name=name or client,
            kind=told_kind,
            tenant=tenant,
            redirect_uris=split_words(redirect_uri),
            launch_url=launch_url,
            scopes=split_words(scopes),
            grants=grants,
            secrets=(hash_secret(secret),) if secret else (),
            keys=read_keys(jwks) if jwks is not None else (),
            keys_url=jwks_url,
            backend=backend,
            introspects=introspect,
            purpose=purpose,
            created=at,
        )
    )
    with Home.open(load_settings(options.home)) as home:
        keys = [key for key, value in told(fresh).items() if value]
        Clients(home).add(fresh, at, [settings_event(home.access(), part=f"client.{fresh.id}", keys=keys)])
    if options.json:
        print_json({**told(fresh), **({"client_secret": secret} if secret else {})})
        return
    say(f"{fresh.name} is registered.")
    say(f"  client_id: {fresh.id}")
    if secret:
        say(f"  client_secret: {secret}")
        note("The secret is shown this once. Lost, it is replaced: twin client rotate")
    say(f"  may ask for: {' '.join(fresh.scopes)}")


def read_keys(file: Path) -> tuple[dict[str, object], ...]:
    """Read a JWK Set from a file. Raises `Misuse`."""
    try:
        told_keys = json.loads(file.expanduser().read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Misuse("The file with the keys cannot be read.", hint="Check --jwks.", detail=error) from error
    if not isinstance(told_keys, dict):
        raise Misuse("This is no JWK Set.", hint='A JSON object with "keys": a list of public keys (RFC 7517).')
    return keys_in(told_keys)

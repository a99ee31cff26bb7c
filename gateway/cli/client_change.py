"""twin client rotate, disable, enable and remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.client import told
from gateway.cli.client_add import read_keys
from gateway.cli.terminal import Options, note, print_json, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.registration import Clients, checked, hash_secret, new_secret
from gateway.smart.values import Client
from security.audit import settings_event
from security.errors import Misuse

__all__ = ["disable_", "enable_", "remove_", "rotate_"]

_Flag = Annotated[bool, Parameter(negative="")]


def rotate_(
    client: str,
    /,
    *,
    jwks: Path | None = None,
    jwks_url: str = "",
    end: _Flag = False,
    options: Options = Options(),
) -> None:
    """Give a client another secret, which is shown once, or other keys.

    The secret before stays good, so that the app can be changed without a break; end it with --end once it was. Of
    older ones none stays. Keys that are given replace those that were.

    Parameters
    ----------
    client
        Its client id.
    jwks
        A file with its public keys from now on.
    jwks_url
        Where it publishes them from now on.
    end
        End the secret before the newest one, and draw none.
    """
    secret, changes = "", dict[str, Any]()
    with Home.open(load_settings(options.home), create=False) as home:
        clients = Clients(home)
        before = clients.must_get(client, now())
        match before.kind:
            case "symmetric" if jwks or jwks_url:
                raise Misuse("This client has a secret, and no keys.")
            case "symmetric" if end:
                changes = {"secrets": before.secrets[:1]}
            case "symmetric":
                secret = new_secret()
                changes = {"secrets": (hash_secret(secret), *before.secrets[:1])}
            case "asymmetric" if jwks or jwks_url:
                changes = {"keys": read_keys(jwks) if jwks else (), "keys_url": jwks_url}
            case "asymmetric":
                raise Misuse("This client has keys of its own.", hint="Say --jwks or --jwks-url with the new ones.")
            case _:
                raise Misuse("A public client has no secret and no keys.")
        checked(msgspec.structs.replace(before, **changes))
        after = _change(home, clients, client, changes)
    if options.json:
        print_json({**told(after), **({"client_secret": secret} if secret else {})})
        return
    if secret:
        say(f"client_secret: {secret}")
        note(f"The one before stays good until: twin client rotate {client} --end")
    else:
        say(f"{client}: {', '.join(sorted(changes))} changed.")


def disable_(client: str, /, *, options: Options = Options()) -> None:
    """Give a client nothing more; tokens that it has end within a minute. See enable.

    Parameters
    ----------
    client
        Its client id.
    """
    _switch(client, options, disabled=True)


def enable_(client: str, /, *, options: Options = Options()) -> None:
    """Let a client ask for access again that was disabled.

    Parameters
    ----------
    client
        Its client id.
    """
    _switch(client, options, disabled=False)


def remove_(client: str, /, *, options: Options = Options()) -> None:
    """Remove a client; tokens that it has end within a minute. What it did stays in the audit log, under its id.

    Parameters
    ----------
    client
        Its client id.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        clients = Clients(home)
        keys = [key for key, value in told(clients.must_get(client, now())).items() if value]
        clients.remove(client, now(), [settings_event(home.access(), part=f"client.{client}", keys=keys)])
    if options.json:
        print_json({"removed": client})
    else:
        say(f"{client} is no client any more.")


def _switch(client: str, options: Options, *, disabled: bool) -> None:
    with Home.open(load_settings(options.home), create=False) as home:
        after = _change(home, Clients(home), client, {"disabled": disabled})
    if options.json:
        print_json(told(after))
    else:
        say(f"{client} {'gets nothing more' if disabled else 'may ask for access again'}.")


def _change(home: Home, clients: Clients, client: str, changes: dict[str, Any]) -> Client:
    event = settings_event(home.access(), part=f"client.{client}", keys=sorted(changes))
    return clients.change(client, lambda found: msgspec.structs.replace(found, **changes), now(), [event])

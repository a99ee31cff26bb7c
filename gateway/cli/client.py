"""twin client list, twin client show."""

from __future__ import annotations

from typing import Any

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.registration import Clients
from gateway.smart.values import Client
from security.audit import read_event

__all__ = ["list_", "show_", "told"]


def list_(*, options: Options = Options()) -> None:
    """List the apps and programs that may ask for access: what they are and what they may ask for."""
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/clients",)))])
        found = Clients(home).all(now())
    if options.json:
        print_json({"clients": [told(each) for each in found]})
        return
    if not found:
        say("No client may ask for access yet. Run: twin client add ID --name NAME --redirect-uri URI --scopes SCOPES")
        return
    print_table(
        counted(len(found), "client"),
        ["Client", "Called", "Kind", "Scopes", "Tenant", "State"],
        (
            (each.id, each.name, _kind(each), " ".join(each.scopes), each.tenant, "disabled" if each.disabled else "")
            for each in found
        ),
    )


def show_(client: str, /, *, options: Options = Options()) -> None:
    """Show all that is registered of an app or program. Secrets are kept as hashes, and are not shown.

    Parameters
    ----------
    client
        Its client id.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = Clients(home).must_get(client, now())
        home.store.append_audit([read_event(home.access(what=("Basic/clients",)))])
    if options.json:
        print_json(told(found))
        return
    print_table(found.id, ["What", "Value"], ((key, _words(value)) for key, value in told(found).items()))


def told(client: Client) -> dict[str, Any]:
    """Tell a client without its secrets."""
    return {
        "client_id": client.id,
        "name": client.name,
        "kind": client.kind,
        "redirect_uris": list(client.redirect_uris),
        "launch_url": client.launch_url,
        "scopes": list(client.scopes),
        "grant_types": list(client.grants),
        "backend": client.backend,
        "introspects": client.introspects,
        "purpose": client.purpose,
        "tenant": client.tenant,
        "jwks_url": client.keys_url,
        "keys": [key.get("kid", "") for key in client.keys],
        "secrets": len(client.secrets),
        "disabled": client.disabled,
        "created": client.created,
    }


def _kind(client: Client) -> str:
    more = [word for word, is_so in (("backend", client.backend), ("introspects", client.introspects)) if is_so]
    return ", ".join((client.kind, *more))


def _words(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(map(str, value))
        case _:
            return str(value)

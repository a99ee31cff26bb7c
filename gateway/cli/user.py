"""twin user list, twin user show."""

from __future__ import annotations

from typing import Any

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from gateway.smart.values import Account
from security.audit import read_event

__all__ = ["list_", "show_", "told"]


def list_(*, options: Options = Options()) -> None:
    """List the people who may log in: names, roles, tenants, and whether they still may."""
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/users",)))])
        found = Accounts(home).all(now())
    if options.json:
        print_json({"users": [told(each) for each in found]})
        return
    if not found:
        say("Nobody may log in yet. Run: twin user add NAME --role clinician")
        return
    print_table(
        counted(len(found), "user"),
        ["User", "Called", "Roles", "Is", "Tenant", "Password", ">Passkeys", "State"],
        (
            (
                each.name,
                each.display,
                ", ".join(each.roles),
                each.fhir_user,
                each.tenant,
                "set" if each.password else "none",
                len(each.passkeys),
                "disabled" if each.disabled else "",
            )
            for each in found
        ),
    )


def show_(user: str, /, *, options: Options = Options()) -> None:
    """Show what is known of somebody who may log in. Hashes and keys are not shown.

    Parameters
    ----------
    user
        The name that they log in with.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        account = Accounts(home).must_get(user, now())
        home.store.append_audit([read_event(home.access(what=("Basic/users",)))])
    if options.json:
        print_json(told(account))
        return
    rows = ((key, _words(value)) for key, value in told(account).items() if key != "passkeys")
    print_table(account.name, ["What", "Value"], rows)
    for passkey in account.passkeys:
        say(f"passkey {passkey.id[:12]}  {passkey.name}")


def told(account: Account) -> dict[str, Any]:
    """Tell an account without its secrets."""
    return {
        "user": account.name,
        "display": account.display,
        "roles": list(account.roles),
        "fhir_user": account.fhir_user,
        "tenant": account.tenant,
        "password": bool(account.password),
        "passkeys": [{"id": each.id, "name": each.name} for each in account.passkeys],
        "disabled": account.disabled,
        "created": account.created,
    }


def _words(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)

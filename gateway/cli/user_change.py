"""twin user disable, enable, remove and roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, say
from gateway.cli.user import told
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts, demand_fhir_user, demand_roles
from gateway.smart.values import Account
from security.audit import settings_event
from security.errors import Misuse

__all__ = ["disable_", "enable_", "remove_", "roles_"]


def disable_(user: str, /, *, options: Options = Options()) -> None:
    """Let somebody in no more, and end what they are logged in to and what they have allowed apps. See enable.

    Parameters
    ----------
    user
        The name that they log in with.
    """
    _change(user, {"disabled": True}, options, "may not log in any more.")


def enable_(user: str, /, *, options: Options = Options()) -> None:
    """Let somebody in again who was disabled. What they had allowed apps has ended for good.

    Parameters
    ----------
    user
        The name that they log in with.
    """
    _change(user, {"disabled": False}, options, "may log in again.")


def remove_(user: str, /, *, options: Options = Options()) -> None:
    """Remove somebody who may log in. What they did stays in the audit log, under their name.

    Parameters
    ----------
    user
        The name that they log in with.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        accounts = Accounts(home)
        account = accounts.must_get(user, now())
        keys = [key for key, value in told(account).items() if value]
        accounts.remove(account.name, now(), [settings_event(home.access(), part=f"user.{account.name}", keys=keys)])
    if options.json:
        print_json({"removed": account.name})
    else:
        say(f"{account.name} is no user any more.")


def roles_(
    user: str,
    /,
    *,
    role: Annotated[tuple[str, ...], Parameter(name="--role", negative="")] = (),
    fhir_user: str | None = None,
    tenant: str | None = None,
    options: Options = Options(),
) -> None:
    """Set what somebody is: their roles, which resource they are, and whose patients they may see.

    Parameters
    ----------
    user
        The name that they log in with.
    role
        All of their roles from now on; once or more.
    fhir_user
        The FHIR resource that they are; "" for none.
    tenant
        Whose patients they may see; "" is the installation's only one.
    """
    changes: dict[str, Any] = {}
    if role:
        changes["roles"] = demand_roles(role)
    if fhir_user is not None:
        changes["fhir_user"] = demand_fhir_user(fhir_user)
    if tenant is not None:
        changes["tenant"] = tenant
    if not changes:
        raise Misuse("Nothing is to be changed.", hint="Say --role, --fhir-user or --tenant.")
    _change(user, changes, options, "is changed; sessions and apps of theirs begin anew.")


def _change(user: str, changes: dict[str, Any], options: Options, said: str) -> None:
    change: Callable[[Account], Account] = lambda found: msgspec.structs.replace(found, **changes)  # noqa: E731
    with Home.open(load_settings(options.home), create=False) as home:
        accounts = Accounts(home)
        name = accounts.must_get(user, now()).name
        event = settings_event(home.access(), part=f"user.{name}", keys=sorted(changes))
        account = accounts.change(name, change, now(), [event], ends=True)
    if options.json:
        print_json(told(account))
    else:
        say(f"{account.name} {said}")

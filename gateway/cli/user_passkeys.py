"""twin user passkeys."""

from __future__ import annotations

import msgspec

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from security.audit import read_event, settings_event
from security.errors import Misuse, UnknownName

__all__ = ["passkeys_"]


def passkeys_(user: str, /, *, remove: str = "", options: Options = Options()) -> None:
    """List the passkeys of somebody, or remove one that was lost. People add theirs on the page /auth/manage.

    Parameters
    ----------
    user
        The name that they log in with.
    remove
        The id of a passkey, or the beginning of it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        accounts = Accounts(home)
        account = accounts.must_get(user, now())
        if not remove:
            home.store.append_audit([read_event(home.access(what=("Basic/users",)))])
        else:
            found = [each for each in account.passkeys if each.id.startswith(remove)]
            if len(found) > 1:
                raise Misuse("More than one passkey begins like that.", hint="Say more of its id.")
            if not found:
                raise UnknownName("passkey", remove, (each.id for each in account.passkeys))
            event = settings_event(home.access(), part=f"user.{account.name}", keys=["passkeys"])
            account = accounts.change(
                account.name,
                lambda one: msgspec.structs.replace(
                    one, passkeys=tuple(each for each in one.passkeys if each.id != found[0].id)
                ),
                now(),
                [event],
                ends=True,
            )
    if options.json:
        print_json({"user": account.name, "passkeys": [{"id": e.id, "name": e.name} for e in account.passkeys]})
    elif remove and not account.passkeys:
        say("That was the last one.")
    else:
        rows = ((each.id, each.name) for each in account.passkeys)
        print_table(counted(len(account.passkeys), "passkey"), ["Id", "Name"], rows)

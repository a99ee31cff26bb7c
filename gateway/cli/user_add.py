"""twin user add."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, say
from gateway.cli.user import told
from gateway.cli.user_password import asked_password
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts, demand_fhir_user, demand_name, demand_roles, hashed
from gateway.smart.values import Account
from security.audit import settings_event
from security.errors import Misuse

__all__ = ["add_"]


def add_(
    user: str,
    /,
    *,
    role: Annotated[tuple[str, ...], Parameter(name="--role", negative="")] = (),
    name: str = "",
    fhir_user: str = "",
    tenant: str = "",
    password_file: Path | None = None,
    options: Options = Options(),
) -> None:
    """Let somebody log in: to allow apps what they ask for, to open apps on a patient, within their roles.

    The password is asked for at the terminal, or read from a file; it is never an argument, which others could see.

    Parameters
    ----------
    user
        The name to log in with: letters, digits, dot, dash, underscore and @.
    role
        clinician, engineer, auditor, planner, student or admin; once or more. A patient needs none.
    name
        What they are called on the pages; without it the user name.
    fhir_user
        The FHIR resource that they are, such as Practitioner/17: apps that ask who uses them are told that.
    tenant
        Whose patients they may see, where one installation serves several; as in the settings of the sources.
    password_file
        A file that only you can read, with the password in it.
    """
    told_name, is_one = demand_name(user), demand_fhir_user(fhir_user)
    roles = demand_roles(role) if role or not is_one.startswith("Patient/") else ()
    display = name.strip() or told_name
    if len(display) > 100 or not display.isprintable():
        raise Misuse("What somebody is called has 100 characters at most, all of them visible.", hint="Say --name.")
    with Home.open(load_settings(options.home)) as home:
        accounts, at = Accounts(home), now()
        if accounts.get(told_name, at) is not None:
            raise Misuse("There is a user of this name.", hint="Take another name, or change that one.")
        account = Account(
            name=told_name,
            display=display,
            roles=roles,
            tenant=tenant,
            password=hashed(asked_password(password_file), told_name, display),
            fhir_user=is_one,
            created=at,
        )
        keys = [key for key, value in told(account).items() if value]
        accounts.add(account, at, [settings_event(home.access(), part=f"user.{told_name}", keys=keys)])
    if options.json:
        print_json(told(account))
        return
    say(f"{told_name} may log in as {', '.join(roles) or 'a patient, to see their own record'}.")
    if not is_one:
        say("Apps that ask who uses them (fhirUser) are refused: say --fhir-user where there is a resource.")

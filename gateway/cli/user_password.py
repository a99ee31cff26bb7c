"""twin user password."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import msgspec

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home, now
from gateway.kept_files import read_secret
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts, hashed
from security.audit import settings_event
from security.errors import Misuse

__all__ = ["asked_password", "password_"]


def password_(user: str, /, *, password_file: Path | None = None, options: Options = Options()) -> None:
    """Give somebody another password. Whatever they are logged in to, or have allowed apps, ends.

    Parameters
    ----------
    user
        The name that they log in with.
    password_file
        A file that only you can read, with the password in it; else the terminal is asked.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        accounts = Accounts(home)
        account = accounts.must_get(user, now())
        fresh = hashed(asked_password(password_file), account.name, account.display)
        event = settings_event(home.access(), part=f"user.{account.name}", keys=["password"])
        accounts.change(
            account.name, lambda found: msgspec.structs.replace(found, password=fresh), now(), [event], ends=True
        )
    if options.json:
        print_json({"user": account.name, "changed": ["password"]})
    else:
        say(f"{account.name} has another password; sessions and apps of theirs begin anew.")


def asked_password(file: Path | None) -> str:
    """Read a new password from a file, or ask the terminal for it twice. Raises `Misuse`."""
    if file is not None:
        return read_secret(file, "--password-file").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Misuse("Nobody is there to type a password.", hint="Say --password-file.")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Once more: "):
        raise Misuse("The two passwords differ.", hint="Run it again.")
    return first

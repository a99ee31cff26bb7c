"""Somebody with an account shows at the terminal who they are: by their password, counted like any other attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.attempts import Attempts
from gateway.smart.values import Account
from security.audit import System, login_event, plain_name
from security.audit.access import Outcome
from security.errors import Denied, Unreachable
from security.passwords import verify_password

__all__ = ["log_in"]

_TERMINAL = "terminal"


def log_in(home: Home, name: str, password: str, now: datetime) -> Account:
    """Return the account whose password this is. Whoever tried, and how it ended, is recorded.

    Raises `Denied`, which says neither whether there is such an account nor whether it is disabled; `Unreachable` for
    who has to wait after too many attempts.
    """
    attempts = Attempts(home.store, "password")
    account = Accounts(home).get(name, now)
    known = account.name if account else plain_name(name.strip().casefold())
    if wait := attempts.begin(known, _TERMINAL, now):
        _record(home, known, now, "4", "too-many-attempts")
        raise Unreachable("Too many attempts.", hint=f"Try again in {wait} seconds.")
    if not verify_password(password, account.password if account else "") or account is None or account.disabled:
        _record(home, known, now, "8", "not-authenticated")
        raise Denied("The name or the password is wrong.", hint="twin user list tells who has an account.")
    attempts.succeeded(account.name, _TERMINAL, now)
    _record(home, account.name, now)
    return account


def _record(home: Home, name: str, now: datetime, outcome: Outcome = "0", reason: str = "") -> None:
    access = home.access(peer=System(_TERMINAL, home.access().system.address), outcome=outcome, reason=reason)
    home.store.append_audit([login_event(replace(access, when=now, actor=f"user:{name}"), method="password")])

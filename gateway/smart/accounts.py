"""Accounts of people who may log in, in the store's register: made and changed by commands, and told by each request.

Whoever changes an account's password, roles or tenant, or disables it, raises its `session`: what was given under a
lower number no longer holds (B13).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import msgspec

from gateway.home import Home
from gateway.smart.values import Account
from gateway.store.audited import Events
from security.errors import Misuse, UnknownName
from security.passwords import hash_password, is_outdated, weakness
from security.policy import ROLES, Role

__all__ = ["Accounts", "demand_fhir_user", "demand_name", "demand_roles", "hashed"]

KIND: Final = "account"
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}", re.ASCII)
_FHIR_USER = re.compile(r"(Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64}", re.ASCII)
_read = msgspec.msgpack.Decoder(Account)


class Accounts:
    """The accounts of a home."""

    def __init__(self, home: Home) -> None:
        self._store = home.store

    def get(self, name: str, now: datetime) -> Account | None:
        """Return the account of a name, however it is written ("Ana" is "ana"); `None` where there is none."""
        found = self._store.registered(KIND, name.strip().casefold(), now)
        return _read.decode(found.content) if found else None

    def must_get(self, name: str, now: datetime) -> Account:
        """Return it, or raise `UnknownName` with the nearest ones."""
        if (found := self.get(name, now)) is None:
            raise UnknownName("user", name, (each.name for each in self.all(now)))
        return found

    def all(self, now: datetime) -> list[Account]:
        """Return all accounts in the order of their names."""
        found = (_read.decode(each.content) for each in self._store.registered_all(KIND, now))
        return sorted(found, key=lambda each: each.name)

    def add(self, account: Account, now: datetime, events: Events = ()) -> None:
        """Keep a new account. Its `session` begins higher than that of whoever had the name before."""
        fresh = msgspec.structs.replace(account, session=int(now.timestamp()))
        if not self._store.register(KIND, account.name, msgspec.msgpack.encode(fresh), now, events=events):
            raise Misuse("There is a user of this name.", hint="Take another name, or change that one.")

    def change(
        self, name: str, change: Callable[[Account], Account], now: datetime, events: Events = (), *, ends: bool = False
    ) -> Account:
        """Replace an account by what `change` makes of it; `ends` ends what was given under it."""
        while True:
            found = self._store.registered(KIND, name.strip().casefold(), now)
            if found is None:
                raise UnknownName("user", name, (each.name for each in self.all(now)))
            before = _read.decode(found.content)
            after = change(before)
            if ends:
                after = msgspec.structs.replace(after, session=before.session + 1)
            content = msgspec.msgpack.encode(after)
            if self._store.register(KIND, before.name, content, now, after=found.revision, events=events):
                return after

    def remove(self, name: str, now: datetime, events: Events = ()) -> None:
        """Remove an account: tokens and sessions of it end."""
        account = self.must_get(name, now)
        self._store.strike(KIND, account.name, now, events)

    def renew_hash(self, account: Account, password: str, now: datetime) -> None:
        """Hash the password of who has just logged in at today's costs, where it was hashed at lower ones."""
        if is_outdated(account.password):
            fresh = hash_password(password)

            def renewed(found: Account) -> Account:
                same = found.password == account.password
                return msgspec.structs.replace(found, password=fresh) if same else found

            self.change(account.name, renewed, now)


def demand_name(name: str) -> str:
    """Return the name of a new account. Raises `Misuse`."""
    told = name.strip().casefold()
    if not _NAME.fullmatch(told):
        raise Misuse(
            "This is no name for a user.", hint="Letters, digits, dot, dash, underscore and @, 64 characters at most."
        )
    return told


def demand_roles(roles: Iterable[str]) -> tuple[Role, ...]:
    """Return roles, in their order, each once. Raises `UnknownName`, or `Misuse` where there is none."""
    told = {part for role in roles for part in role.replace(",", " ").split()}
    for role in sorted(told):
        if role not in ROLES:
            raise UnknownName("role", role, ROLES)
    if not told:
        raise Misuse("A user has a role at least.", hint=f"Say --role, once or more: {', '.join(ROLES)}.")
    return tuple(role for role in ROLES if role in told)


def demand_fhir_user(reference: str) -> str:
    """Return the resource that a person is, "" for none. Raises `Misuse`."""
    if reference and not _FHIR_USER.fullmatch(reference):
        raise Misuse(
            "This is no resource that a user can be.",
            hint="A reference such as Practitioner/17, PractitionerRole/3, Patient/4f2e or RelatedPerson/9.",
        )
    return reference


def hashed(password: str, account_name: str, display: str) -> str:
    """Hash a new password. Raises `Misuse` for one that is too short, too long or easy to guess."""
    if wrong := weakness(password, (account_name, display)):
        raise Misuse(wrong, hint="Any characters may be used, spaces too; see docs/users.md.")
    return hash_password(password)

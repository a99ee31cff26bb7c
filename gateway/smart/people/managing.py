"""What a person has allowed, with a way to end it, and the passkeys that they sign in with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.responses import Response

from gateway.smart.granted import Granted, is_revoked
from gateway.smart.people.entering import challenge_in
from gateway.smart.people.office import Office, Visit
from gateway.smart.people.opening import openable
from gateway.smart.refresh import revoke_family
from gateway.smart.values import Account, Passkey
from security.audit import settings_event
from security.passkeys import creation_options, made_passkey

__all__ = ["Managing"]

_MOST_PASSKEYS: Final = 10


@dataclass(frozen=True, slots=True)
class _App:
    id: str
    name: str
    since: str
    until: str
    patient: str
    scopes: tuple[str, ...]


class Managing:
    """The pages /auth/manage, /auth/end, and those that add and remove a passkey."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def show(self, visit: Visit, told: str = "", status: int = 200) -> Response:
        """Show what holds."""
        office, account = self._office, visit.browser.account
        if account is None:
            return office.go("login")
        options = ""
        if office.party is not None:
            options = creation_options(
                office.party,
                office.challenge(visit.browser, visit.now),
                handle=bytes.fromhex(office.home.blind.of("passkey user", account.name)),
                name=account.name,
                display=account.display,
                known=[each.id for each in account.passkeys],
            )
        return office.page(
            visit,
            "manage.html",
            "Your apps",
            status,
            told=told,
            account=account,
            apps=[self._told(each, visit) for each in self._granted(account, visit)],
            launches=bool(openable(office, visit)),
            passkeys=office.party is not None,
            passkey_options=options,
        )

    def revoke(self, visit: Visit) -> Response:
        """End what an app was allowed: at once, in every process."""
        office = self._office
        account = office.demand_account(visit)
        office.demand_ours(visit, "end")
        wanted = visit.form.one("grant")
        granted = next((each for each in self._granted(account, visit) if each.id == wanted), None)
        if granted is None:
            return self.show(visit, "That had ended already.")
        access = office.access(visit, account)
        event = settings_event(access, part=f"user.{account.name}", keys=[f"revoked.{granted.client}"])
        with office.home.store.transaction():
            revoke_family(office.home.store, granted, visit.now)
            office.home.store.append_audit([event])
        return self.show(visit, "It has ended.")

    def add_passkey(self, visit: Visit) -> Response:
        """Keep the passkey that the browser has made."""
        office, now = self._office, visit.now
        account = office.demand_account(visit)
        office.demand_ours(visit, "passkey")
        credential = visit.form.one("credential")
        challenge = challenge_in(credential)
        if len(account.passkeys) >= _MOST_PASSKEYS:
            return self.show(visit, "You have as many passkeys as can be kept. Remove one first.", 422)
        is_good = office.party is not None and office.use_challenge(visit.browser, challenge, now)
        made = made_passkey(office.party, challenge, credential) if is_good and office.party else None
        taken = {key.id for each in office.accounts.all(now) for key in each.passkeys}
        if made is None or made.id in taken:
            return self.show(visit, "The passkey was not accepted. Try again.", 422)
        label = "".join(letter for letter in visit.form.one("label")[:60] if letter.isprintable()).strip()
        passkey = Passkey(
            id=made.id, public_key=made.public_key, count=made.count, name=label or f"Added {now:%Y-%m-%d}"
        )
        self._change(visit, account, lambda found: (*found.passkeys, passkey))
        return office.go("manage")

    def remove_passkey(self, visit: Visit) -> Response:
        """Forget a passkey."""
        account = self._office.demand_account(visit)
        self._office.demand_ours(visit, "passkey")
        id_ = visit.form.one("id")
        self._change(visit, account, lambda found: tuple(each for each in found.passkeys if each.id != id_))
        return self._office.go("manage")

    def _change(self, visit: Visit, account: Account, passkeys: Callable[[Account], tuple[Passkey, ...]]) -> None:
        event = settings_event(self._office.access(visit, account), part=f"user.{account.name}", keys=["passkeys"])
        self._office.accounts.change(
            account.name,
            lambda found: msgspec.structs.replace(found, passkeys=passkeys(found)),
            visit.now,
            [event],
        )

    def _granted(self, account: Account, visit: Visit) -> Iterator[Granted]:
        store = self._office.home.store
        for each in store.registered_all("grant", visit.now):
            granted = msgspec.msgpack.decode(each.content, type=Granted)
            is_theirs = granted.user == account.name and granted.session == account.session
            if is_theirs and not is_revoked(store, granted, visit.now):
                yield granted

    def _told(self, granted: Granted, visit: Visit) -> _App:
        client = self._office.clients.get(granted.client, visit.now)
        until = f"until {granted.refresh:%Y-%m-%d %H:%M} UTC" if granted.refresh else "for an hour at most"
        return _App(
            id=granted.id,
            name=client.name if client else granted.client,
            since=f"{granted.since:%Y-%m-%d %H:%M} UTC",
            until=until,
            patient=f"twin {granted.patient[:8]}" if granted.patient else "",
            scopes=granted.scopes,
        )

"""Who somebody is by now who asked for a job: a client that was removed, or a person who left, gets nothing more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gateway.api.operations.bench import Standing
from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.clients import find_client
from security.narrowing import narrow
from security.policy import Caller

__all__ = ["standing_of"]


def standing_of(home: Home) -> Standing:
    """Look callers up among the registered clients and accounts of a home.

    Who came with a token of an issuer that is trusted ([serve.trust]) is not among them: they are who they were, as
    long as that issuer is trusted.
    """
    accounts = Accounts(home)
    trusted = {each.issuer for each in home.settings.serve.trust.values()}

    def standing(caller: Caller, now: datetime) -> Caller | None:
        if caller.token.issuer in trusted:
            return caller
        client = find_client(home.store, caller.client, now)
        if client is None or client.tenant != caller.tenant:
            return None
        roles = caller.roles
        if caller.user:
            account = accounts.get(caller.user, now)
            if account is None or account.disabled or account.tenant != caller.tenant:
                return None
            roles = frozenset(account.roles)
        scopes = tuple(narrow(caller.scopes, client.scopes))
        return replace(caller, roles=roles, scopes=scopes)

    return standing

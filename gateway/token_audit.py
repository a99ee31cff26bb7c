"""Records each access token that an EHR's authorization server gave us or refused (IHE ITI-71), before it is used."""

from __future__ import annotations

from gateway.home import Home
from gateway.pull.connection import Credentials
from gateway.pull.tokens import ClientCredentials, TokenAsked
from security.audit import System, token_event

__all__ = ["record_tokens"]


def record_tokens(auth: Credentials | None, home: Home, source: str, client_id: str) -> None:
    """Have the requests for tokens of a source recorded; credentials that ask for none are left as they are."""
    if not isinstance(auth, ClientCredentials):
        return

    def record(asked: TokenAsked) -> None:
        peer = System(source, asked.endpoint)
        if asked.ended:
            outcome = "4" if asked.may_pass else "8"
            access = home.access(peer=peer, outcome=outcome, reason=asked.ended.replace("_", "-"))
        else:
            access = home.access(peer=peer)
        home.store.append_audit([token_event(access, client_id=client_id, form=asked.form)])

    auth.heard = record

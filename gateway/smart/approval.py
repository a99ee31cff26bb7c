"""How an authorization request ends: in a code, because a person allowed it, or in an error. Either goes to the app.

The pages that ask the person call these two. A request is used up by the code: of two approvals the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from gateway.home import Home
from gateway.home import now as clock
from gateway.smart.clients import find_client
from gateway.smart.granted import ACCESS, CODE, OFFLINE, ONLINE, Code, Granted, new_id
from gateway.smart.values import Account, Pending
from security.audit import signed_token
from security.errors import Misuse
from security.grants import usable
from security.narrowing import narrow
from security.policy import Caller

__all__ = ["approve", "deny", "find_pending", "redirect", "within"]


def find_pending(home: Home, id_: str, now: datetime) -> Pending | None:
    """Return an authorization request that waits for a person."""
    found = home.store.registered("pending", id_, now) if id_ else None
    return msgspec.msgpack.decode(found.content, type=Pending) if found else None


def approve(
    home: Home,
    pending: Pending,
    account: Account,
    scopes: Sequence[str],
    patient: str = "",
    encounter: str = "",
    now: datetime | None = None,
) -> str:
    """Give the app a code for what the person allowed, and return where the browser goes with it.

    Raises `Misuse` where that cannot be: more than was asked, patient/ scopes or launch/patient without a patient
    (A10), fhirUser of a person who is no resource (A12), a request that was answered before or is too old, a client
    that is gone.
    """
    now = now or clock()
    client = find_client(home.store, pending.client, now)
    if client is None or client.tenant != account.tenant:
        raise Misuse("This app may not ask any more.")
    if account.disabled or pending.launch.get("user", account.name) != account.name:
        raise Misuse("This account may not answer this request.")
    granted = _granted(pending, account, scopes, patient, encounter, client.purpose, now)
    if home.store.take("pending", pending.id, now) is None:
        raise Misuse("This request was answered already, or waited too long.", hint="Start again in the app.")
    code = new_id()
    kept = Code(granted=granted, redirect_uri=pending.redirect_uri, challenge=pending.challenge)
    # Used or not, it is kept as long as a token under it may hold, so that a second use revokes those (A6); that it
    # holds for a minute only stands in granted.since.
    home.store.register("code", code, msgspec.msgpack.encode(kept), now, until=(granted.refresh or now + ACCESS) + CODE)
    return redirect(pending.redirect_uri, code=code, state=pending.state, iss=pending.audience)


def deny(pending: Pending, error: str = "access_denied") -> str:
    """Return where the browser goes to tell the app that it gets nothing (RFC 6749 4.1.2.1)."""
    return redirect(pending.redirect_uri, error=error, state=pending.state, iss=pending.audience)


def redirect(uri: str, **told: str) -> str:
    """Add what is told to a redirect URI, which is one that was registered; what it says itself stays as it is."""
    query = urlencode({name: text for name, text in told.items() if text}, quote_via=quote)
    return f"{uri}{'&' if '?' in uri else '?'}{query}"


def _granted(
    pending: Pending,
    account: Account,
    scopes: Sequence[str],
    patient: str,
    encounter: str,
    purpose: str,
    now: datetime,
) -> Granted:
    allowed = tuple(dict.fromkeys(scopes))
    if not allowed:
        raise Misuse("Nothing was allowed: deny the request instead.")
    if not within(allowed, pending.scopes):
        raise Misuse("More was allowed than was asked for.")
    if not patient and any(each.startswith("patient/") or each == "launch/patient" for each in allowed):
        raise Misuse("These scopes are about one patient, and none was chosen.")
    if "fhirUser" in allowed and not account.fhir_user:
        raise Misuse("This person is no resource, so that the app cannot be told which.")
    allowed = _within_policy(allowed, pending, account, patient, now)
    offline, online = "offline_access" in allowed, "online_access" in allowed
    return Granted(
        id=new_id(),
        client=pending.client,
        user=account.name,
        session=account.session,
        tenant=account.tenant,
        purpose=str(pending.launch.get("purpose") or purpose),
        scopes=allowed,
        patient=patient,
        encounter=encounter,
        fhir_user=account.fhir_user if "fhirUser" in allowed else "",
        context={name: pending.launch[name] for name in _CONTEXT if name in pending.launch},
        nonce=pending.nonce,
        browser=pending.session,
        since=now,
        refresh=now + OFFLINE if offline else now + ONLINE if online else None,
    )


def _within_policy(
    allowed: tuple[str, ...], pending: Pending, account: Account, patient: str, now: datetime
) -> tuple[str, ...]:
    """Leave out the scopes by which this person could have nothing, whatever a patient consents to (A9)."""
    asker = Caller(
        client=pending.client,
        user=account.name,
        fhir_user=account.fhir_user,
        roles=frozenset(account.roles),
        tenant=account.tenant,
        patient=patient,
        scopes=allowed,
        token=signed_token(pending.id),
        expires=now,
    )
    kept = usable(asker)
    if not kept:
        raise Misuse("Nothing of what was asked for is for this person to give.")
    return kept


_CONTEXT = ("intent", "need_patient_banner", "fhirContext")


def within(allowed: Sequence[str], asked: Sequence[str]) -> bool:
    """Say whether each of the scopes allows no more than those that were asked for."""
    left = narrow(allowed, asked)
    return all(each in left for each in allowed)

"""Clients that show who they are by a signature: private_key_jwt (SMART App Launch 2.2, asymmetric; RFC 7523).

An assertion holds once: its (iss, jti), read from what was verified, is kept until it would have ended, in the store,
so that it is known in all processes and after a crash (C2, C3).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.smart.clients import find_client
from gateway.smart.key_sets import KeySets
from gateway.smart.values import Client
from gateway.store import Store
from security.signed import BadToken, PublicKey, open_unverified, verify
from security.tokens import SKEW, check_times

__all__ = ["ALGORITHMS", "ASSERTION_TYPE", "check_assertion", "claimed_client", "keys_of"]

ALGORITHMS: Final = ("RS384", "ES384")
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST: Final = timedelta(minutes=5)
_LONGEST_JTI: Final = 512


def claimed_client(assertion: str) -> str:
    """Say which client an assertion claims to be; "" where it says none. Nobody has checked it."""
    try:
        claimed = open_unverified(assertion).claims.get("sub")
    except BadToken:
        return ""
    return claimed if isinstance(claimed, str) else ""


async def keys_of(store: Store, sets: KeySets, assertion: str, now: datetime) -> Sequence[PublicKey]:
    """Return the keys that an assertion may be checked with: those that are registered, or at the registered URL.

    Nothing is fetched for a header that points elsewhere (`jku`), nor for an algorithm that we do not take (C4).
    """
    try:
        header = open_unverified(assertion).header
    except BadToken:
        return ()
    client = find_client(store, claimed_client(assertion), now)
    if client is None or client.kind != "asymmetric":
        return ()
    kid, told = header.get("kid"), header.get("jku")
    if (told is not None and told != client.keys_url) or header.get("alg") not in ALGORITHMS:
        return ()
    if not isinstance(kid, str) or not client.keys_url:
        return client.keys
    return await sets.keys(client.keys_url, kid, now)


def check_assertion(
    store: Store,
    client: Client,
    assertion: str,
    keys: Iterable[PublicKey],
    audiences: Collection[str],
    now: datetime,
) -> None:
    """Check that a client signed an assertion for us, now, for the first time. Raises `BadToken`."""
    signed = verify(assertion, keys, ALGORITHMS)
    told = signed.header.get("jku")
    if told is not None and (not client.keys_url or told != client.keys_url):
        raise BadToken("jku")
    claims = signed.claims
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise BadToken("issuer")
    meant = claims.get("aud")
    if not any(each in audiences for each in (meant if isinstance(meant, list) else [meant])):
        raise BadToken("audience")
    _, ends = check_times(claims, now)
    if ends > now + _LONGEST + SKEW:
        raise BadToken("too-long")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise BadToken("jti")
    if not store.register("assertion", json.dumps([client.id, jti]), b"", now, until=ends + 2 * SKEW):
        raise BadToken("replayed")

"""Asks a server for one resource that its list left out: is it gone, or was the list not whole?

A list that leaves something out proves nothing by itself. Gone is what the server says is gone: 410, or 404 where it
gives what it does list by the same kind of question.
"""

from __future__ import annotations

import re

from gateway.pull.bundle import head_of
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import TooLarge
from gateway.pull.page import Entry, Gone
from gateway.pull.scopes import missing
from gateway.pull.tokens import ClientCredentials
from security.errors import Denied, NotFhir, Refused, Unreachable

__all__ = ["can_be_asked", "grants_all", "is_readable", "look_for"]

_GONE, _UNKNOWN = 410, 404
_TRIES = 2  # one of very many questions, and one whose answer can wait for the next pull
_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}")


def can_be_asked(name: str) -> bool:
    """Say whether a resource has a name that a URL can hold: a type, and an id of FHIR's letters."""
    return _NAME.fullmatch(name) is not None


async def grants_all(connection: Connection, type_: str) -> bool:
    """Say whether our token allows all of a type. With a part of it, a list is shorter and nothing is deleted.

    What a server allows that tells no scopes is not known, and counts as all.
    """
    auth = connection.auth
    if not isinstance(auth, ClientCredentials):
        return True
    await auth.authorization(connection.wire)
    return auth.grant is None or not missing([f"system/{type_}.rs"], auth.grant.granted)


async def is_readable(connection: Connection, name: str) -> bool:
    """Say whether a server gives a resource that it lists when it is asked for by its name."""
    return isinstance(await look_for(connection, name, believes_404=False), Entry)


async def look_for(connection: Connection, name: str, *, believes_404: bool) -> Gone | Entry | None:
    """Ask for a resource ("Observation/1"): gone, there, or `None` where the answer settles nothing.

    Raises what ends a pull: `Denied` where our credentials are no longer good, `Unreachable`, also "come back later".
    """
    type_, _, id_ = name.partition("/")
    try:
        reply = await connection.get(name, allow={403, _UNKNOWN, _GONE}, tries=_TRIES, fresh=True)
    except (ComeBackLater, Denied):
        raise
    except (NotFhir, Refused, TooLarge):
        return None
    except Unreachable:
        if await connection.answers():
            return None
        raise
    if reply.status == _GONE:
        return Gone(type_, id_, "deleted")
    if reply.status == _UNKNOWN:
        return Gone(type_, id_, "absent") if believes_404 else None
    head = head_of(reply.body)
    if reply.status != 200 or head is None or (head.resourceType, head.id) != (type_, id_):
        return None
    return Entry(
        reply.body, f"{connection.base.url}/{name}", f"{name}, asked for", version=connection.fhir_version or ""
    )

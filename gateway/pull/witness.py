"""Whether a list lacks what the server has: its history of the type names what should be there.

Searches answer from an index or a replica, histories mostly from the store: rows that searches leave out of pages and
counts alike (hapi-fhir#818, #3608) are in it. One question a list, where the server tells histories.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.pull.absent import can_be_asked, look_for
from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from gateway.pull.inflate import TooLarge
from gateway.pull.page import Entry
from gateway.pull.reading import read_rows
from gateway.pull.seen import Fingerprint, fingerprint
from security.errors import NotFhir, Refused, Unreachable

__all__ = ["left_out"]

_NEWEST = "20"  # versions that are looked at
_ASKED = 5  # resources that are asked for: one is enough to know


async def left_out(
    connection: Connection, type_: str, came: Callable[[Fingerprint], bool], *, since: str, until: str
) -> list[Entry]:
    """Return resources that were there when a list was asked for, and that it left out, as they are now.

    Parameters
    ----------
    came
        Says whether a resource was in the list, by its fingerprint (`gateway.pull.seen`).
    since, until
        What the list was asked for, and when: instants of the server. What changed outside is no witness.
    """
    try:
        reply = await connection.get(f"{type_}/_history", (("_count", _NEWEST),), allow=SAID_NO, tries=1, fresh=True)
        bundle = read_bundle(reply.body) if reply.status not in SAID_NO else None
    except (NotFhir, NotReadError, Refused, TooLarge, Unreachable):
        return []
    if bundle is None:
        return []
    deleted = ("/".join(item.deletes.split("/_history/")[0].split("/")[-2:]) for item in bundle.entry)
    found: list[Entry] = []
    asked = 0
    known = {fingerprint(name.encode()) for name in deleted}
    for row in read_rows(bundle, type_, "history", connection.fhir_version or "").rows:
        is_due = row.id and row.type == type_ and row.stamp and since <= row.stamp < until
        if is_due and row.key not in known and not came(row.key) and can_be_asked(f"{type_}/{row.id}"):
            known.add(row.key)
            asked += 1
            if asked > _ASKED:
                break
            told = await look_for(connection, f"{type_}/{row.id}", believes_404=False)
            found += [told] if isinstance(told, Entry) else []
    return found

"""One thing that arrived by itself, and what is promised to whoever sent it.

Each way in (MQTT, HTTP POST, a watched folder, a subscription) makes deliveries and hands them to one `Accept`. When
that returns, the delivery is on disk, sealed, and will be mapped exactly once, whatever happens to the process; only
then may the sender be told that it has arrived.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from gateway.pull.page import Entry

__all__ = ["Accept", "Delivery"]


class Delivery(msgspec.Struct, frozen=True):
    """Resources that came together.

    Parameters
    ----------
    source
        The name in `[sources]` whose ids, people and FHIR version these are.
    key
        What makes this delivery one: a second one of the same source and key is dropped and counted as a repeat. It may
        be patient data, and is kept as a keyed hash only.
    what
        For people and the audit, without patient data ("mqtt", "event 12").
    entries
        The resources, as received.
    memo
        Name and content of what the stream has to remember from now on; it is kept, sealed, in the same transaction as
        the delivery (also where the delivery is a repeat, or has no entries).
    """

    source: str
    key: str
    what: str
    entries: tuple[Entry, ...] = ()
    memo: tuple[str, bytes] | None = None


Accept = Callable[[Delivery], Awaitable[bool]]
"""Put a delivery on disk: `True` where it is new, `False` for a repeat. It waits while the queue behind it is full.

Raises the store's Fault where it cannot be kept; nothing may be acknowledged then.
"""

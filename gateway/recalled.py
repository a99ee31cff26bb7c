"""What resources refer to and what came before: the medicine of an order that alone has changed since."""

from __future__ import annotations

import msgspec

from gateway.census import Census
from gateway.home import Home
from gateway.store import StoredResource, name_of
from gateway.store.holders import Holders
from mappers import needed_of, read_json
from mappers.resources import as_link

__all__ = ["recall"]

_UNUSED = "unused-link"


def recall(home: Home, census: Census, holders: Holders | None = None) -> list[StoredResource]:
    """Fetch what resources refer to and what came in earlier deliveries or pulls (a Medication).

    Returns those that nothing had used so far, as the links that they have become. With `holders`, what a patient has
    of their own (a Device) is looked for in their twin.
    """
    wanted = [name for name in census.users if name not in census.linked]
    if holders is not None and len(holders):
        for name in wanted:
            for twin in filter(None, holders.of(name_of(census.source, name))):
                for key, stored in home.store.held(twin, census.source, [name]).items():
                    census.linked[key] = needed_of(read_json(stored.raw))
    used = []
    for key, stored in home.store.held(None, census.source, wanted).items():
        census.linked[key] = read_json(stored.raw)
        if unused := next((r for r in stored.refusals if r.reason == _UNUSED), None):
            link = as_link(unused.origin, census.users[key])
            used.append(msgspec.structs.replace(stored, outcomes=(link,)))
    return used

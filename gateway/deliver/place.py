"""Where the resources of a delivered result stand at an EHR, by what was noted when they arrived, or by asking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.deliver.presence import reader
from gateway.deliver.seek import find_ours
from gateway.deliver.shipment import Shipment
from gateway.deliver.standing import is_result
from gateway.deliver.target import Target
from gateway.store import Delivery, Landed

__all__ = ["Place", "find_places", "known_places"]


@dataclass(frozen=True, slots=True)
class Place:
    """One resource of ours at an EHR, as it was sent, and the versions of it there that are ours."""

    landed: Landed
    sent: Mapping[str, Any]
    versions: frozenset[str] = frozenset()

    @property
    def reference(self) -> str:
        """Its address there ("Observation/12")."""
        return self.landed.reference

    @property
    def type(self) -> str:
        """Its type there."""
        return self.reference.partition("/")[0]


def known_places(delivery: Delivery) -> list[Place]:
    """List where the results of a delivery stand, as far as it was noted."""
    sent = {item.uuid: reader.decode(item.resource) for item in Shipment.read(delivery.bundle).items}
    return [
        Place(each, sent.get(each.uuid, {}), frozenset({each.version} - {""}))
        for each in delivery.landed
        if is_result(each.reference)
    ]


async def find_places(target: Target, delivery: Delivery, old: Delivery) -> list[Place]:
    """List them with all versions that we wrote; where nothing was noted, as by older releases, the EHR is asked."""
    ours: dict[str, set[str]] = {}
    for each in target.home.store.outbox(old.source, old.twin):
        for landed in each.landed if each.replaces == old.id and each.kind == "change" else ():
            ours.setdefault(landed.uuid, set()).update({landed.version} - {""})
    found = known_places(old) or [place async for place in _searched(target, delivery, old)]
    return [Place(each.landed, each.sent, each.versions | ours.get(each.landed.uuid, set())) for each in found]


async def _searched(target: Target, delivery: Delivery, old: Delivery) -> AsyncIterator[Place]:
    """Ask for the results of a delivery by the names under which they were written."""
    for item in Shipment.read(old.bundle).results:
        if item.unless and is_result(f"{item.type}/"):
            target.demand(delivery.id)
            for hit in await find_ours(target, item):
                yield Place(Landed(item.uuid, hit.reference, how="existed"), reader.decode(item.resource))

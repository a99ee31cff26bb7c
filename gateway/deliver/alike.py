"""What may be ours at a server of which nobody knows yet whether it keeps our names.

Some servers keep neither the identifiers nor the tags that are sent, and find nothing by them. Until something of a
type has been found there by our name, that nothing is found does not show that nothing is there: the patient's
resources are looked through for what says the same. It is not claimed to be ours, nor sent again: a person decides.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.deliver.seek import OF_PATIENT, Hit, NotSearchedSo, Unsearchable, ours_among, pages_of
from gateway.deliver.shipment import Item
from gateway.deliver.target import Target
from gateway.deliver.ways.went import Went
from mappers.outbound.names import RESULT_TAG, URI_SYSTEM
from mappers.outbound.returned import losses
from mappers.reading import Unreadable, read_json

__all__ = ["look_through", "says_the_same"]

_TIMES: Final = (
    *("effectiveDateTime", "effectivePeriod", "occurrenceDateTime", "occurrencePeriod"),
    *("issued", "date", "indexed", "recorded"),
)
_ITS_OWN: Final = frozenset({"id", "meta", "text", "identifier"})
_ENOUGH: Final = 4  # elements, the type among them, that have to agree before something is taken for ours
_SAID: Final = ("code", "type", "method", "valueQuantity", "valueCodeableConcept", "component", "prediction")


async def look_through(target: Target, item: Item, went: Went) -> list[Hit]:
    """Return what carries our name of an item although a search by that name does not find it.

    It ends at once where something of the type was found by its name before, or where the server does not search so.
    Raises `Unsearchable` where something says what the item says, without our name.
    """
    if target.learned.found.get(item.type) == "yes":
        return []
    for parameter, value in _asked(item, went):
        try:
            there = [raw async for page in pages_of(target, item.type, [(parameter, value)]) for raw in page]
        except NotSearchedSo:
            continue
        hits, others = ours_among(there, item)
        if not hits and any(_is_alike(item.resource, other) for other in others):
            raise Unsearchable(
                f"A {item.type} that says the same is there, without our name: it may be this one.",
                hint="Look at it in the EHR: twin outbox drop --even-if-unsure, or twin outbox retry --not-there.",
            )
        return hits
    return []


def says_the_same(sent: bytes, other: bytes) -> bool:
    """Say whether something at a place where we put a resource is that one, although it does not carry our name.

    What a server has left out or added does not count, nor do the names that it gives; what it says otherwise does.
    """
    try:
        ours, theirs = read_json(sent), read_json(other)
    except Unreadable:
        return False
    shared = (ours.keys() & theirs.keys()) - _ITS_OWN
    return len(shared) >= _ENOUGH and not any(_differs(ours, theirs, name) for name in shared)


def _asked(item: Item, went: Went) -> list[tuple[str, str]]:
    if item.type == "Provenance":
        return [("target", address) for address in [*went.addresses.values()][:1]]
    return [(parameter, went.patient) for parameter in OF_PATIENT if went.patient]


def _is_alike(sent: bytes, other: bytes) -> bool:
    """Say whether two resources are of the same time, and differ in nothing that both of them say.

    What carries a name of the kind that we give, and another one, is something else.
    """
    try:
        ours, theirs = read_json(sent), read_json(other)
    except Unreadable:
        return False
    if _named(theirs):
        return False
    shared = [name for name in (*_TIMES, *_SAID) if name in ours and name in theirs]
    return any(name in _TIMES for name in shared) and not any(_differs(ours, theirs, name) for name in shared)


def _named(resource: dict[str, Any]) -> bool:
    """Say whether a resource carries a name of the kind that we give: a UUID as an identifier, or our tag."""
    told = resource.get("identifier"), resource.get("masterIdentifier")
    identifiers = [one for each in told for one in (each if isinstance(each, list) else [each])]
    tags = (resource.get("meta") or {}).get("tag") or []
    return any(isinstance(one, dict) and one.get("system") == URI_SYSTEM for one in identifiers) or any(
        isinstance(one, dict) and one.get("system") == RESULT_TAG for one in tags
    )


def _differs(ours: dict[str, Any], theirs: dict[str, Any], name: str) -> bool:
    return any(loss.what == "changed" for loss in losses({name: ours[name]}, {name: theirs[name]}))

"""What an EHR has from us already, beside what a proposal would write: element by element, by FHIR's paths.

The EHR is asked: for each resource by our own name of it, and where it is not there for the older result in whose place
it would come. Each question is recorded before it is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import uuid4

from gateway.deliver.draft import Revised, read_draft
from gateway.deliver.journal import Journal
from gateway.deliver.lease import Leases
from gateway.deliver.seek import find_ours
from gateway.deliver.shipment import Item, Shipment
from gateway.deliver.target import Target, reach
from gateway.home import Home
from gateway.store import Delivery
from security.audit import Access, fetch_event, query_event

__all__ = ["Difference", "Line", "compare", "differences"]

Resource = dict[str, Any]
How = Literal["new", "changed", "gone"]

_NO_LEASE: Final = timedelta(0)  # nothing is written
_GONE: Final = frozenset({404, 410})
_THEIRS: Final = frozenset({"id", "meta.versionId", "meta.lastUpdated", "meta.source", "text.status", "text.div"})
"""What a server adds by itself, and the narrative, which says in words what the elements say."""


@dataclass(frozen=True, slots=True)
class Line:
    """One element that differs: `before` is at the EHR, `after` is proposed."""

    path: str
    how: How
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One resource of a proposal beside what the EHR has.

    Parameters
    ----------
    type, uuid
        What it is, and our name of it.
    at
        Where that which it is compared with stands ("Observation/12"), "" where there is nothing.
    stands
        "new": the EHR has nothing like it. "there": it has this very one. "older": it has an older result in whose
        place this one comes.
    lines
        What differs; of what is new, all of it.
    """

    type: str
    uuid: str
    at: str
    stands: Literal["new", "there", "older"]
    lines: tuple[Line, ...]

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts. It is patient data."""
        return {
            "type": self.type,
            "name": f"urn:uuid:{self.uuid}",
            "at": self.at or None,
            "stands": self.stands,
            "lines": [
                {"path": each.path, "how": each.how, "before": each.before or None, "after": each.after or None}
                for each in self.lines
            ],
        }


async def differences(home: Home, delivery: Delivery) -> list[Difference]:
    """Ask an EHR what it has from us for a result, and hold that against the proposal.

    Raises what asking a source raises: `Unreachable`, `Denied`, `Refused`, `Unsearchable` where nothing of ours can be
    looked for, and `UnknownName` or `BadSettings` for a source that is gone or has no server.
    """
    shipment = Shipment.read(delivery.bundle)
    draft = read_draft(delivery.content) if delivery.content and delivery.kind != "change" else None
    async with reach(home, delivery.source, uuid4().hex, Leases(_NO_LEASE), Journal(home.store)) as target:
        asking = _Asking(target, delivery, draft.patient if draft else "")
        there = {item.uuid: await asking.find(item) for item in shipment.items}
        older = await asking.older(draft.revises[-1]) if draft and draft.revises else []
    places = {uuid: _address(found) for uuid, found in there.items() if found}
    return [
        _difference(item, _read(shipment.resolved(item.resource, places)), there[item.uuid], older)
        for item in shipment.items
    ]


def compare(before: Resource, after: Resource) -> tuple[Line, ...]:
    """List the elements that differ, in the order of the newer one; numbers are alike where their values are."""
    was, now = dict(_flat(before)), dict(_flat(after))
    told = [
        Line(path, "changed" if path in was else "new", was.get(path, ""), text)
        for path, text in now.items()
        if path not in was or not _is_same(was[path], text)
    ]
    return (*told, *(Line(path, "gone", text, "") for path, text in was.items() if path not in now))


class _Asking:
    """Questions to one EHR about one delivery, each recorded before it is asked."""

    def __init__(self, target: Target, delivery: Delivery, patient: str) -> None:
        self._target, self._delivery, self._patient = target, delivery, patient
        self._landed = {each.uuid: each.reference for each in delivery.landed}

    async def find(self, item: Item) -> Resource | None:
        """Read a resource of ours where it landed, or look for it by our name of it; of several the oldest."""
        if (address := self._landed.get(item.uuid)) is not None:
            return await self._read(address)
        self._record(query_event, query=f"GET {item.type}?{item.unless}".encode())
        found = await find_ours(self._target, item, patient=self._patient)
        return _read(found[0].resource) if found else None

    async def older(self, revised: Revised) -> list[Resource]:
        """Read the older result in whose place the new one comes; what is no longer there is passed over."""
        found = [await self._read(reference) for reference in revised.references]
        return [each for each in found if each is not None]

    async def _read(self, reference: str) -> Resource | None:
        self._record(fetch_event, what=(reference,))
        reply = await self._target.connection.get(reference, allow=_GONE, fresh=True)
        return None if reply.status in _GONE else _read(reply.body)

    def _record(self, event: Callable[[Access], Resource], **what: Any) -> None:
        home = self._target.home
        access = home.access(peer=home.peer(self._delivery.source), patient=self._delivery.twin, **what)
        home.store.append_audit([event(access)])


def _difference(item: Item, ours: Resource, found: Resource | None, older: list[Resource]) -> Difference:
    if found is not None:
        return Difference(item.type, item.uuid, _address(found), "there", compare(found, ours))
    before = next((each for each in older if _is_of(each, ours)), None)
    if before is not None:
        return Difference(item.type, item.uuid, _address(before), "older", compare(before, ours))
    return Difference(item.type, item.uuid, "", "new", compare({}, ours))


def _is_of(older: Resource, ours: Resource) -> bool:
    """Say whether an older resource tells the same thing: the same type, and the same code where it has one."""
    if older.get("resourceType") != ours.get("resourceType"):
        return False
    return bool(_code(older) == _code(ours))


def _code(resource: Resource) -> Any:
    code = resource.get("code") if resource.get("resourceType") == "Observation" else None
    if not isinstance(code, Mapping):
        return None
    coding = [each for each in code.get("coding", []) if isinstance(each, Mapping)]
    return (coding[0].get("system"), coding[0].get("code")) if coding else code.get("text")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if path in _THEIRS:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{number}]")
    elif value is not None:
        yield path, json.dumps(value) if isinstance(value, bool) else str(value)


def _is_same(before: str, after: str) -> bool:
    if before == after:
        return True
    try:
        return Decimal(before) == Decimal(after)
    except ArithmeticError:
        return False


def _read(body: bytes) -> Resource:
    found = json.loads(body, parse_float=Decimal)
    return found if isinstance(found, dict) else {}


def _address(resource: Resource) -> str:
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"

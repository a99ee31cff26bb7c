"""What was mapped by forms is stored in columns, and read back as if it had been mapped one by one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
import zstandard

from gateway.pull.page import Entry, Page
from gateway.store import Store, StoredResource
from gateway.store.columns import pack_resources, unpack_resources
from gateway.store.values import AnyResource, FilledResource
from mappers import map_resource, read_json
from mappers.facts import Origin
from mappers.forms import Forms

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def raws(count: int) -> list[bytes]:
    """Some laboratory results: one in ten is panic, one in ten has a unit that cannot be."""
    told: list[dict[str, Any]] = [
        {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "2823-3"}], "text": "K"},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": f"2026-01-02T03:{n % 60:02}:05Z",
            "valueQuantity": {"value": 12 if n % 10 == 3 else n % 7 + 1, "unit": "kg" if n % 10 == 5 else "mmol/L"},
        }
        for n in range(count)
    ]
    return [json.dumps(each, separators=(",", ":")).encode() for each in told]


def one_by_one(raw: bytes, number: int) -> StoredResource:
    """Map a resource without forms."""
    resource = read_json(raw)
    origin = Origin("north", "Observation", resource["id"], "", f"file line {number}")
    outcomes = tuple(map_resource(resource, "r4", origin, {}))
    return StoredResource("north", origin.resource, "r4", raw, outcomes, f"urn:{number}", origin.place)


def by_form(told: list[bytes]) -> list[AnyResource]:
    """Map resources by forms, where they are of one; what is not is stored whole."""
    forms, made = Forms("north"), list[AnyResource]()
    for number, raw in enumerate(told):
        filled = forms.read(raw, "r4")
        whole = filled is None or number % 4 == 1
        made.append(
            one_by_one(raw, number)
            if whole or filled is None
            else FilledResource(filled, raw, f"urn:{number}", f"file line {number}")
        )
    return made


def test_columns_give_back_what_was_written_in_the_same_order():
    told = raws(100)
    mixed = by_form(told)
    assert {type(each) for each in mixed} == {StoredResource, FilledResource}
    whole = tuple(one_by_one(raw, number) for number, raw in enumerate(told))
    assert unpack_resources(pack_resources(mixed)) == whole
    assert {fact.flags for resource in whole for fact in resource.facts} == {(), ("unusual",)}
    assert {refusal.reason for resource in whole for refusal in resource.refusals} == {"unit-not-convertible"}


def test_blocks_of_earlier_releases_are_read():
    whole = tuple(one_by_one(raw, number) for number, raw in enumerate(raws(20)))
    assert unpack_resources(msgspec.msgpack.encode(whole)) == whole
    assert unpack_resources(msgspec.msgpack.encode(())) == ()


def test_columns_take_less_room():
    told = raws(200)
    whole = [one_by_one(raw, number) for number, raw in enumerate(told)]
    packed, before = (len(zstandard.compress(pack_resources(each), 1)) for each in (by_form(told), whole))
    assert packed < 0.9 * before


def test_whichever_way_it_was_mapped_a_resource_is_known_again(store: Store, at: Any):
    told = raws(30)
    twin = _twin(store, at(0))
    whole = [one_by_one(raw, number) for number, raw in enumerate(told)]
    first = _append(store, twin, by_form(told), at(1))
    again = _append(store, twin, whole, at(2))
    assert (first.stored, again.stored, again.unchanged) == (30, 0, 30)
    assert store.twin_record(twin).resources == tuple(whole)


def _twin(store: Store, now: datetime) -> str:
    with store.enrol("north", {"Patient/p1": frozenset()}, now) as roll:
        return roll.new_twin()


def _append(store: Store, twin: str, resources: list[AnyResource], now: datetime) -> Any:
    pull = store.begin_pull("north", now)
    store.land(pull, Page(1, "all", (Entry(b"{}"),), "end"))
    done = store.append(pull, 1, {twin: resources}, [], {}, now=now)
    store.abandon_pull(pull, now)
    return done

"""A model's Device is at an EHR once, whoever needs it, and all results of all patients refer to it."""

from __future__ import annotations

import json

from conformance.hostile import Ehr
from tests.gateway.deliver.delivering import ward


def referred(ehr: Ehr) -> set[str]:
    return {each["device"]["reference"] for each in ehr.store.all("Observation") if "device" in each}


async def test_one_is_made_for_many_patients_and_many_at_once(tmp_path):
    with ward(tmp_path, number=6, of=6, at_once=6) as it:
        await it.deliver()
        [device] = it.ehr.store.all("Device")
        assert referred(it.ehr) == {f"Device/{device['id']}"}
        assert len([path for path in it.asked() if path.endswith("/Device")]) == 1


async def test_one_that_somebody_deleted_is_made_again(tmp_path):
    with ward(tmp_path, number=2, of=2) as it:
        one, two = it.home.store.outbox()
        await it.deliver(twin=one.twin)
        [device] = it.ehr.store.all("Device")
        it.ehr.store.remove("Device", device["id"])
        await it.deliver(twin=two.twin)
        [other] = it.ehr.store.all("Device")
        assert other["id"] != device["id"]
        assert f"Device/{other['id']}" in referred(it.ehr)


async def test_of_several_the_oldest_is_taken(tmp_path):
    with ward(tmp_path) as it:
        [delivery] = it.home.store.outbox()
        [device] = [
            entry["resource"]
            for entry in json.loads(delivery.bundle)["entry"]
            if entry["resource"]["resourceType"] == "Device"
        ]
        for id_, when in (("b", "2026-02-01T00:00:00Z"), ("a", "2026-03-01T00:00:00Z")):
            it.ehr.load(device | {"id": id_, "meta": device["meta"] | {"lastUpdated": when}})
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert referred(it.ehr) == {"Device/b"}
        assert [each.reference for each in ended.devices] == ["Device/b"]

"""A model's Device is at an EHR once, whoever needs it, and all results of all patients refer to it."""

from __future__ import annotations

import json

import pytest

from conformance.hostile import Ehr
from tests.gateway.deliver.delivering import VERSIONS, ward


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


@pytest.mark.parametrize("fault", ["identifier-dropped", "identifier-replaced"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_one_that_lost_our_name_there_is_not_made_again(tmp_path, version, fault):
    with ward(tmp_path, version, number=2, of=2, risks=False) as it:
        it.strike(fault, type="Device")
        one, two = it.home.store.outbox()
        await it.deliver(twin=one.twin)
        await it.deliver(twin=two.twin)
        [device] = it.ehr.store.all("Device")
        assert referred(it.ehr) == {f"Device/{device['id']}"}


async def test_what_stands_at_its_address_and_is_another_one_is_not_taken_for_it(tmp_path):
    with ward(tmp_path, number=2, of=2) as it:
        one, two = it.home.store.outbox()
        await it.deliver(twin=one.twin)
        [device] = it.ehr.store.all("Device")
        other = {name: value for name, value in device.items() if name != "identifier"}
        it.ehr.load(other | {"deviceName": [{"name": "pump", "type": "model-name"}]})
        await it.deliver(twin=two.twin)
        assert len(it.ehr.store.all("Device")) == 2


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

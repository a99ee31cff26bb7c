"""After an answer from which nobody knows: the EHR is asked, and nothing is sent that may be there already."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest

from gateway.deliver.shipment import Shipment
from gateway.home import now
from tests.gateway.deliver.delivering import ward

WHOLE = {"Device": 1, "Observation": 1, "RiskAssessment": 1, "Provenance": 1}


@pytest.mark.parametrize(
    "fault",
    [
        "lost-answer",
        "status-after-write",
        "page-after-write",
        "outcome-after-write",
        "empty-after-write",
        "entries-missing",
        "entries-shuffled",
        "no-location",
    ],
)
async def test_what_was_done_and_not_told_is_found(tmp_path, fault):
    with ward(tmp_path, settle_s=60) as it:
        it.strike(fault, type="Bundle", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.fault) == ("sent", None)
        assert it.found.is_well
        there = {f"{type_}/{each['id']}" for type_ in WHOLE for each in it.ehr.store.all(type_) if type_ != "Device"}
        assert {each.reference for each in ended.attempt.landed} == there


@pytest.mark.parametrize("fault", ["write-status", "outcome-for-write"])
async def test_what_was_not_done_is_sent_again_once_it_would_have_appeared(tmp_path, fault):
    with ward(tmp_path, settle_s=60) as it:
        it.strike(fault, type="Bundle", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason, ended.attempt.unsure) == ("failed", "settling", True)
        assert ended.attempt.not_before is not None
        assert it.held == {"Device": 1}
        it.hurry()
        [ended] = await it.deliver()  # a person who hurries it is told to wait
        assert (ended.attempt.reason, ended.attempt.counts) == ("settling", False)
        assert it.held == {"Device": 1}


async def test_and_then_it_is(tmp_path):
    with ward(tmp_path, settle_s=0) as it:
        it.strike("write-status", type="Bundle", times=1)
        await it.deliver()
        it.hurry()
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.held == WHOLE
        assert it.found.is_well


async def test_of_what_is_there_in_part_only_the_rest_is_sent(tmp_path):
    with ward(tmp_path, ehr={"bundles": frozenset()}) as it:
        it.strike("write-status", type="RiskAssessment", times=1)
        [ended] = await it.deliver()
        assert ended.attempt.reason == "settling"
        assert it.held == {"Device": 1, "Observation": 1}
        it.hurry()
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.found.is_well
        assert len([path for path in it.asked() if path.endswith("/Observation")]) == 1


async def test_a_server_that_ignores_our_search_is_looked_through_and_others_names_do_not_count(tmp_path):
    with ward(tmp_path, settle_s=60) as it:
        it.ehr.load(*({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "id": f"o{n}",
                       "subject": {"reference": "Patient/p0"}} for n in range(120)))  # fmt: skip
        it.strike("parameters-ignored", value="identifier")
        it.strike("lost-answer", type="Bundle", times=1)
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.held["Observation"] == 121


async def test_a_server_that_cannot_be_asked_gets_no_second_copy(tmp_path):
    needs = dict.fromkeys(("Observation", "RiskAssessment", "Provenance"), ("code", "date"))
    with ward(tmp_path, settle_s=0, ehr={"required": needs}) as it:
        it.strike("status-after-write", type="Bundle", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == ("dead", "unsearchable")
        assert it.held["Observation"] == 1


@pytest.mark.parametrize("fault", ["identifier-dropped", "identifier-replaced"])
async def test_nor_does_one_that_does_not_keep_our_name(tmp_path, fault):
    """That it does not is seen where the first result is read back; from then on nothing is believed to be absent."""
    with ward(tmp_path, number=2, of=2, at_once=1, settle_s=1, read_back="first") as it:
        it.strike(fault, type="Observation")
        it.strike("lost-answer", type="Bundle", after=1, times=1)
        second, first = sorted(await it.deliver(), key=lambda ended: ended.attempt.state)
        assert first.attempt.state == "sent"
        assert it.learned.found["Observation"] == "no"
        assert "identifier" in " ".join(it.learned.losses["Observation"])
        assert (second.attempt.state, second.attempt.reason) == ("dead", "unsearchable")
        assert it.held["Observation"] == 2


@pytest.mark.parametrize("settle_s", [0, 60])
@pytest.mark.parametrize(
    ("fault", "type_", "value"),
    [
        ("identifier-replaced", "Observation", ""),
        ("identifier-dropped", "Observation", ""),
        ("identifier-dropped", "RiskAssessment", ""),
        ("elements-dropped", "Provenance", "meta.tag"),
    ],
)
async def test_nor_is_the_first_result_sent_twice_to_it(tmp_path, fault, type_, value, settle_s):
    with ward(tmp_path, settle_s=settle_s) as it:
        it.strike(fault, type=type_, **({"value": value} if value else {}))
        it.strike("lost-answer", type="Bundle", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == ("dead", "unsearchable")
        assert it.held == WHOLE


async def test_what_a_person_did_not_find_there_is_sent_without_asking(tmp_path):
    with ward(tmp_path, settle_s=0, ehr={"required": {"Observation": ("code", "date")}}) as it:
        it.strike("write-status", type="Bundle", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == ("dead", "unsearchable")
        [lost] = it.home.store.outbox()
        it.home.store.decide_delivery(lost, "approved", now(), not_there=True)
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.held == WHOLE


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "dead"),
        ({"effectiveDateTime": "2026-11-24T02:03:04+01:00"}, "dead"),  # the same moment
        ({"effectiveDateTime": "2026-11-24T01:03:05+00:00"}, "sent"),
        ({"valueQuantity": {"value": 51.6, "unit": "mL/min/{1.73_m2}"}}, "sent"),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "33914-3"}]}}, "sent"),
        ({"identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"}]}, "sent"),
    ],
)
async def test_only_what_says_the_same_may_be_ours(tmp_path, changes, state):
    with ward(tmp_path, settle_s=0) as it:
        [delivery] = it.home.store.outbox()
        [sent] = (item for item in Shipment.read(delivery.bundle).items if item.type == "Observation")
        there = msgspec.json.decode(sent.resource)
        for name in ("identifier", "device", "derivedFrom"):
            del there[name]
        it.ehr.load(there | {"id": "other"} | changes)
        it.strike("write-status", type="Bundle", times=1)
        [ended] = await it.deliver()
        if state == "sent":
            assert ended.attempt.reason == "settling"
            it.hurry()
            [ended] = await it.deliver()
        assert ended.attempt.state == state
        assert it.held.get("RiskAssessment", 0) == (state == "sent")


async def test_how_long_a_search_lags_behind_is_learned_and_waited_for(tmp_path):
    with ward(tmp_path, settle_s=5, read_back="first") as it:
        it.strike("search-lag", value="0.7")
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.learned.search_lag_s > 0
        assert it.learned.found["Observation"] == "yes"

"""As a transaction, as a batch, in single requests: whatever the server can, each result is there once."""

from __future__ import annotations

import json

import pytest

from tests.gateway.deliver.delivering import VERSIONS, ward

WHOLE = {"Device": 1, "Observation": 2, "RiskAssessment": 2, "Provenance": 2}
WAYS = {"transaction": {"transaction", "batch"}, "batch": {"batch"}, "single": set()}


def habits(way: str) -> dict[str, object]:
    return {"bundles": frozenset(WAYS[way])}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_results_arrive_by_what_the_statement_says(tmp_path, version, way):
    with ward(tmp_path, version, number=2, of=2, ehr=habits(way)) as it:
        ended = await it.deliver()
        assert [each.attempt.state for each in ended] == ["sent", "sent"], [str(each.fault) for each in ended]
        assert it.found.is_well
        assert it.held == WHOLE
        at_the_base = len([path for path in it.asked() if not path.strip("/").partition("fhir")[2].strip("/")])
        assert at_the_base == (0 if way == "single" else 2)
        landed = {each.uuid for end in ended for each in end.attempt.landed}
        assert landed == set().union(*(it.expected.names[type_] for type_ in WHOLE if type_ != "Device"))


@pytest.mark.parametrize("way", WAYS)
async def test_a_provenance_refers_to_what_it_is_about_where_that_is(tmp_path, way):
    with ward(tmp_path, ehr=habits(way)) as it:
        await it.deliver()
        [provenance], [device] = it.ehr.store.all("Provenance"), it.ehr.store.all("Device")
        told = {each["reference"] for each in provenance["target"]}
        there = {f"{t}/{each['id']}" for t in ("Observation", "RiskAssessment") for each in it.ehr.store.all(t)}
        assert told == there
        assert f"Device/{device['id']}" in json.dumps(provenance, default=str)
        assert "urn:uuid" not in json.dumps(it.ehr.store.all("RiskAssessment")[0]["performer"], default=str)


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_sent_again_is_there_once(tmp_path, way):
    with ward(tmp_path, ehr=habits(way)) as it:
        it.strike("lost-answer", type="Bundle" if way != "single" else "RiskAssessment", times=1)
        [ended] = await it.deliver()
        if ended.attempt.state != "sent":
            it.hurry()
            [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.found.is_well


@pytest.mark.parametrize("status", ["400", "404", "405", "422", "501"])
async def test_a_server_that_takes_no_transactions_whatever_it_says_is_sent_to_otherwise_and_that_is_learned(
    tmp_path, status
):
    with ward(tmp_path, number=2, of=2, at_once=1) as it:
        it.strike("transaction-refused", value=status)
        it.strike("batch-refused", value=status)
        assert [each.attempt.state for each in await it.deliver()] == ["sent", "sent"]
        assert it.found.is_well
        assert (it.learned.transaction, it.learned.batch) == ("no", "no")
        refused = [path for path in it.asked() if path.rstrip("/").endswith("fhir")]
        assert len(refused) == 2  # the second result went in single requests at once


async def test_an_entry_that_failed_inside_a_200_is_no_success(tmp_path):
    with ward(tmp_path, ehr=habits("batch")) as it:
        it.strike("entry-failed", value="422", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == ("dead", "invalid")
        assert len(ended.attempt.landed) == 1  # what went is known, so that it can be taken back


@pytest.mark.parametrize("way", WAYS)
async def test_where_if_none_exist_is_ignored_the_server_is_asked_before_anything_is_made(tmp_path, way):
    with ward(tmp_path, ehr=habits(way)) as it:
        it.strike("condition-ignored")
        await it.deliver()
        from gateway.deliver import send

        [delivery] = it.home.store.outbox()
        [again] = await send(it.home, delivery.twin, again=True)
        assert again.created.total() == 0
        assert it.found.is_well

"""What each answer of a server leads to: the state, the reason, whether it is tried again, and what was learned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.deliver.approval import read_decision
from gateway.deliver.backoff import is_given_up, try_again_at
from gateway.deliver.verdict import REASONS
from tests.gateway.deliver.delivering import ward

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("401", "failed", "credentials"),
        ("403", "failed", "forbidden"),
        ("404", "dead", "no-rung"),
        ("405", "dead", "no-rung"),
        ("400", "dead", "invalid"),
        ("406", "failed", "format"),
        ("408", "failed", "settling"),
        ("409", "failed", "conflict"),
        ("410", "dead", "no-rung"),
        ("412", "dead", "several"),
        ("413", "dead", "too-large"),
        ("415", "failed", "format"),
        ("418", "dead", "refused"),
        ("422", "dead", "invalid"),
        ("423", "failed", "conflict"),
        ("429", "failed", "slow-down"),
        ("451", "dead", "refused"),
        ("500", "failed", "settling"),
        ("501", "dead", "no-rung"),
        ("502", "failed", "settling"),
        ("503", "failed", "settling"),
        ("504", "failed", "settling"),
    ],
)
async def test_a_status_to_every_write(tmp_path, status, state, reason):
    with ward(tmp_path) as it:
        await make_device(it)
        it.strike("write-status", value=status)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == (state, reason)
        assert it.told == [(state, reason)]
        assert REASONS[reason].again == (state != "dead")
        assert (ended.attempt.not_before is not None) == (state != "dead")
        assert it.held == {"Device": 1}
        assert it.home.store.verify_audit().ok


async def make_device(it):
    """Have the model's Device there already, so that what is refused is a result."""
    import json

    [delivery] = it.home.store.outbox()
    [device] = [
        e["resource"] for e in json.loads(delivery.bundle)["entry"] if e["resource"]["resourceType"] == "Device"
    ]
    it.ehr.load(device | {"id": "ours"})


async def test_a_429_is_no_attempt_and_waits_as_long_as_the_server_says(tmp_path):
    with ward(tmp_path, come_back_s=1) as it:
        it.strike("write-throttled", value="600", times=1)
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason, ended.attempt.counts) == ("failed", "slow-down", False)
        [delivery] = it.home.store.outbox()
        assert delivery.attempts == 0


async def test_a_short_pause_is_sat_out_in_the_same_attempt(tmp_path):
    with ward(tmp_path, tries=3) as it:
        it.strike("write-throttled", value="0", times=2)
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.found.is_well


async def test_a_type_that_is_refused_goes_as_another_one_and_is_not_tried_again(tmp_path):
    with ward(tmp_path, number=2, of=2, at_once=1) as it:
        it.strike("create-refused", type="RiskAssessment", value="405")
        ended = await it.deliver()
        assert [each.attempt.state for each in ended] == ["sent", "sent"]
        assert it.held == {"Device": 1, "Observation": 4, "Provenance": 2}
        assert it.learned.refused == {"RiskAssessment": "not-supported"}
        assert [(step.what, step.to) for step in ended[0].steps] == [("risks", "Observation")]
        assert "RiskAssessment" not in str(it.home.store.outbox()[0].bundle)
        assert len([path for path in it.asked() if path.rstrip("/").endswith("fhir")]) == 4  # the second: at once


async def test_a_type_that_is_forbidden_is_learned_once_the_server_took_another_one(tmp_path):
    with ward(tmp_path) as it:
        it.strike("create-refused", type="RiskAssessment", value="403")
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.learned.refused == {"RiskAssessment": "forbidden"}


async def test_a_server_that_forbids_all_writing_teaches_nothing_about_types(tmp_path):
    with ward(tmp_path) as it:
        it.strike("write-forbidden")
        [ended] = await it.deliver()
        assert (ended.attempt.state, ended.attempt.reason) == ("failed", "forbidden")
        assert it.learned.refused == {}
        it.ehr.misbehaviours.clear()
        it.hurry()
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.found.is_well


async def test_a_device_that_is_not_taken_stands_within_the_results(tmp_path):
    with ward(tmp_path, ehr={"accepts": frozenset({"Observation", "RiskAssessment", "Provenance"})}) as it:
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.held == {"Observation": 1, "RiskAssessment": 1, "Provenance": 1}


async def test_a_server_that_takes_documents_only_gets_one(tmp_path):
    with ward(tmp_path, ehr={"accepts": frozenset({"DocumentReference"})}) as it:
        [ended] = await it.deliver()
        assert ended.attempt.state == "sent"
        assert it.held == {"DocumentReference": 1}


async def test_what_is_there_several_times_and_the_same_is_kept_once(tmp_path):
    with ward(tmp_path) as it:
        await it.deliver()
        [first] = it.ehr.store.all("Observation")
        it.ehr.load({**first, "id": "copy", "meta": {**first["meta"], "lastUpdated": "2030-01-01T00:00:00Z"}})
        [delivery] = it.home.store.outbox()
        from gateway.deliver import send

        await send(it.home, delivery.twin, again=True)
        assert [each["id"] for each in it.ehr.store.all("Observation")] == [first["id"]]
        assert it.learned.conditional_create == "no"


def test_it_is_tried_less_and_less_often_and_given_up_in_the_end(tmp_path):
    waits = [(try_again_at(NOW, attempts) - NOW).total_seconds() for attempts in (1, 4, 8, 30)]
    assert waits == sorted(waits)
    assert waits[-1] <= 1800
    with ward(tmp_path) as it:
        [delivery] = it.home.store.outbox()
        decision = read_decision(delivery.decision)
        assert decision is not None
        from dataclasses import replace

        tried = replace(delivery, attempts=9)
        assert not is_given_up(tried, decision.when + timedelta(hours=1), 72)
        assert is_given_up(tried, decision.when + timedelta(hours=73), 72)
        assert not is_given_up(delivery, decision.when + timedelta(hours=73), 72)  # nobody has tried it yet


def test_every_reason_says_what_happened_and_what_would_help():
    for code, reason in REASONS.items():
        assert code == code.lower()
        assert reason.said.endswith(".")
        assert reason.hint.endswith(".")

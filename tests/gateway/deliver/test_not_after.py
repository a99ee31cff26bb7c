"""Nothing leaves after the patient withdrew consent, the twin was erased, or the source was taken away (N7, I10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.hostile import Misbehaviour
from gateway.deliver.approval import approve
from gateway.deliver.policy import with_account
from gateway.deliver.worker import work
from gateway.erasure import counted, erase, read_receipt
from gateway.home import now
from tests.gateway.consenting import CREATININE
from tests.gateway.deliver.ward import Ward, ward_with

CLINICIANS = '[approval]\n[[approval.rules]]\nby = "role"\nroles = ["clinician"]\n'


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    async with ward_with(tmp_path) as opened:
        yield opened


def stays(ward: Ward, reason: str, state: str = "held") -> None:
    """It stays here, says why, the EHR has heard nothing of it, and the log has the refusal."""
    assert (ward.delivery.state, ward.delivery.reason) == (state, reason)
    assert ward.writes(of_anybody=True) == []
    assert ("delivery", "8", reason) in ward.audited()
    assert not any(kind == "delivery" and outcome == "0" for kind, outcome, _ in ward.audited())
    assert ward.home.store.verify_audit().ok


async def arrives_after_all(ward: Ward) -> None:
    """It is taken up again, and is there once."""
    assert ward.run("outbox", "retry", ward.delivery.id) == 0
    await ward.deliver()
    assert ward.delivery.state == "sent"
    assert len(ward.results()) == 1


async def lose_an_answer(ward: Ward) -> None:
    """It is done at the EHR, whose answer is lost and whose search does not know of it yet: nobody here knows."""
    ward.ehr.misbehaviours.add(
        Misbehaviour("lost-answer", type="Bundle", times=1), Misbehaviour("search-lag", value="3600")
    )
    await ward.deliver()
    assert (ward.delivery.state, ward.delivery.unsure) == ("failed", True)
    assert len(ward.results()) == 1
    ward.ehr.misbehaviours.clear()


async def test_what_the_patient_withdrew_does_not_leave_and_does_when_it_may_again(ward):
    ward.agree()
    await ward.consent("OPTOUT")
    await ward.deliver()
    stays(ward, "consent")
    await ward.consent("OPTIN")
    await arrives_after_all(ward)


async def test_who_withdraws_between_two_attempts_is_neither_sent_nor_asked_about(ward):
    """A search for our own result tells the EHR nothing new, and is an access all the same: it waits, too."""
    ward.agree()
    await lose_an_answer(ward)
    await ward.consent("OPTOUT")
    before = len(ward.ehr.seen)
    ward.run("outbox", "retry", ward.delivery.id)
    await ward.deliver()
    assert (ward.delivery.state, ward.delivery.reason, ward.delivery.unsure) == ("held", "consent", True)
    assert ward.asked_since(before) == []
    assert ("delivery", "8", "consent") in ward.audited()
    await ward.consent("OPTIN")
    await arrives_after_all(ward)
    assert [one.how for one in ward.delivery.landed if one.reference.startswith("Observation")] == ["existed"]


async def test_a_denied_fact_stops_what_was_made_of_it(ward):
    ward.agree()
    coded = {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]}
    await ward.consent("OPTIN", provision={"type": "deny", "code": [coded]})
    await ward.deliver()
    stays(ward, "consent")


@pytest.mark.parametrize("state", ["proposed", "approved"])
async def test_of_an_erased_twin_nothing_leaves_and_the_receipt_counts_it(ward, state):
    ward.propose() if state == "proposed" else ward.agree()
    receipt = read_receipt(erase(ward.home, ward.twin, "request"), ward.home.store.audit_public_key)
    assert counted(receipt)["deliveries"] == 1
    await ward.deliver()
    assert ward.home.store.outbox() == []
    assert ward.writes() == []


async def test_a_twin_that_is_erased_while_a_worker_has_its_delivery_is_not_told_of(tmp_path):
    """The worker is making sure of the model's Device, which is nobody's, when the twin goes."""
    async with ward_with(tmp_path, gate="/fhir/Device") as ward:
        ward.agree()
        assert ward.gate is not None
        ward.gate.is_shut = True
        working = asyncio.create_task(work(ward.home))
        await ward.gate.reached.wait()
        assert ward.delivery.state == "sending"
        await asyncio.to_thread(erase, ward.home, ward.twin, "request")
        ward.gate.open()
        tally = await working
        assert tally.ended["sent"] == 0
        assert ward.home.store.outbox() == []
        assert ward.writes() == []
        assert ward.results() == []
        assert ward.home.store.verify_audit().ok


async def test_a_twin_that_is_erased_after_a_lost_answer_is_not_asked_about(ward):
    ward.agree()
    await lose_an_answer(ward)
    receipt = read_receipt(erase(ward.home, ward.twin, "request"), ward.home.store.audit_public_key)
    assert counted(receipt)["deliveries"] == 1
    before = len(ward.ehr.seen)
    await ward.deliver()
    assert ward.asked_since(before) == []
    assert ward.home.store.outbox() == []


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("", "source-gone"),
        ('folder = "in"', "source-gone"),
        ('url = "{base}"\nwrite = false', "write-off"),
        ('url = "{base}"\ntenant = "elsewhere"', "tenant"),
    ],
)
async def test_to_a_source_that_was_taken_away_nothing_leaves_until_it_is_back(ward, section, reason):
    ward.agree()
    before = len(ward.ehr.seen)
    ward.settings(section.format(base=ward.base))
    ward.reopen()
    await ward.deliver()
    assert ward.ehr.seen[before:] == []  # not even what it can do
    stays(ward, reason)
    ward.settings()
    ward.reopen()
    await arrives_after_all(ward)


async def test_what_waits_for_a_source_that_stays_away_can_be_dropped(ward):
    ward.agree()
    ward.settings("")
    ward.reopen()
    await ward.deliver()
    assert ward.run("outbox", "drop", ward.delivery.id, "--why", "decommissioned") == 0
    ward.settings()
    ward.reopen()
    await ward.deliver()
    assert ward.delivery.state == "dropped"
    assert ward.writes() == []


async def test_of_a_restricted_twin_nothing_leaves_until_that_is_lifted(ward, capsys):
    ward.agree()
    assert ward.run("restrict", ward.twin, "--why", "case-1") == 0
    before = len(ward.ehr.seen)
    await ward.deliver()
    assert ward.delivery.state == "approved"
    assert ward.ehr.seen[before:] == []
    capsys.readouterr()
    ward.run("outbox", "list", "--format", "json")
    [row] = json.loads(capsys.readouterr().out)["deliveries"]
    assert row["reason"] == "restricted"
    assert ward.run("restrict", ward.twin, "--lift", "--why", "case-1") == 0
    await ward.deliver()
    assert ward.delivery.state == "sent"


@pytest.fixture
async def agreed_by_ana(tmp_path: Path) -> AsyncIterator[Ward]:
    """A delivery that a clinician with an account agreed to, as policy demands it."""
    password = tmp_path / "password"
    password.write_text("seven quiet herons wade", "utf-8")
    password.chmod(0o600)
    async with ward_with(tmp_path, CLINICIANS) as ward:
        assert ward.run("user", "add", "ana", "--role", "clinician", "--password-file", str(password)) == 0
        delivery = ward.propose()
        approve(ward.home, delivery, person=with_account(ward.home, "ana", "ward", now()))
        yield ward


async def test_what_somebody_agreed_to_whose_account_was_disabled_stays(agreed_by_ana):
    ward = agreed_by_ana
    assert ward.run("user", "disable", "ana") == 0
    await ward.deliver()
    stays(ward, "account-disabled")
    assert ward.run("user", "enable", "ana") == 0
    await arrives_after_all(ward)


async def test_what_somebody_agreed_to_who_has_not_the_role_any_more_stays(agreed_by_ana):
    ward = agreed_by_ana
    assert ward.run("user", "roles", "ana", "--role", "auditor") == 0
    await ward.deliver()
    stays(ward, "role-lost")


async def test_what_was_agreed_to_under_another_policy_stays(ward):
    ward.agree()
    ward.settings(more=CLINICIANS)
    ward.reopen()
    await ward.deliver()
    stays(ward, "policy-changed")


async def test_what_stands_on_a_record_that_was_taken_back_never_leaves(ward):
    ward.agree()
    ward.ehr.load(CREATININE | {"status": "entered-in-error"})
    await ward.pull()
    await ward.deliver()
    assert (ward.delivery.state, ward.delivery.reason) == ("dropped", "retracted")
    assert ward.writes() == []


async def test_what_newer_data_of_the_source_changed_never_leaves_as_it_was(ward):
    ward.agree()
    value = CREATININE["valueQuantity"] | {"value": 4.4}
    ward.ehr.load(CREATININE | {"status": "corrected", "valueQuantity": value})
    await ward.pull()
    await ward.deliver()
    assert ward.delivery.state == "overtaken"
    assert ward.delivery.reason in ("corrected", "overtaken")
    assert ward.writes() == []

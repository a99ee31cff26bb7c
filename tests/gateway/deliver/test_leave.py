"""What may not leave, at the moment at which it would."""

from __future__ import annotations

import pytest

from gateway.approval_settings import ApprovalSettings
from gateway.deliver.leave import Leave
from gateway.deliver.worker import work
from gateway.home import Home, now
from tests.gateway.deliver.delivering import ward


async def test_a_twin_that_is_restricted_or_erased_or_nobody_any_more(tmp_path):
    with ward(tmp_path, number=2, of=2) as it:
        leave = Leave(it.home)
        one, two = it.home.store.outbox()
        assert leave.of(one, is_new=True) is None
        it.home.store.guard(one.twin, "restriction", "case-7", now())
        stays = leave.of(one)
        assert stays is not None
        assert (stays.state, stays.reason) == ("held", "restricted")
        [ended] = await it.deliver()
        assert {state for state, _ in it.told} == {"approved", "sent"}
        assert ended.attempt.state == "sent"
        assert two.twin != one.twin


@pytest.mark.parametrize("change", [{"write": False}, {"tenant": "other"}])
async def test_settings_count_as_they_are_now(tmp_path, change):
    with ward(tmp_path) as it:
        settings = it.home.settings
        other = settings.source("ward").model_copy(update=change)
        with Home.open(settings.model_copy(update={"sources": {"ward": other}}), create=False) as home:
            [delivery] = home.store.outbox()
            stays = Leave(home).of(delivery)
        assert stays is not None
        assert stays.reason == {"write": "write-off", "tenant": "tenant"}[next(iter(change))]


async def test_an_agreement_that_policy_no_longer_gives_lets_nothing_leave(tmp_path):
    with ward(tmp_path) as it:
        nobody = it.home.settings.model_copy(update={"approval": ApprovalSettings()})  # by itself it is not agreed to
        with Home.open(nobody, create=False) as home:
            await work(home)
        assert it.told == [("held", "policy-changed")]
        assert it.asked() == []

"""docs/delivery.md says what is done, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from gateway.deliver.letters import STATES
from gateway.deliver.verdict import Deed
from tests.gateway.deliver import verdict_tables

TOLD = (Path(__file__).resolve().parents[3] / "docs" / "delivery.md").read_text("utf-8")
ANEW = "write it anew: python -m tests.gateway.deliver.verdict_tables"


def test_every_reason_is_told_with_what_would_help():
    assert verdict_tables.reasons() == verdict_tables.REASON_TABLE.read(), ANEW


def test_every_status_is_told_with_what_is_done():
    assert verdict_tables.statuses() == verdict_tables.STATUS_TABLE.read(), ANEW
    assert set(verdict_tables.DEEDS) == set(get_args(Deed))


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_told(state):
    assert f"`{state}`" in TOLD

"""Two workers that share a database, and are killed: each result is at the EHR once, and in order, there too."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.gateway.deliver.ordeals import deliver_to_hostile
from tests.gateway.deliver.workers import foreman
from tests.postgres.fixture import PostgreSQL
from tests.postgres.told import store_table

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 10_000)  # noqa: S311 - a test's choice
NUMBER, PATIENTS, KILLS = 40, 5, 2


def test_each_result_is_there_once_and_in_order(postgresql: PostgreSQL, tmp_path: Path) -> None:
    store = store_table(postgresql.store())
    with foreman() as men:
        outcome = deliver_to_hostile(
            *(tmp_path / "home", men, "all together", SEED), number=NUMBER, of=PATIENTS, kills=KILLS, store=store
        )
    told = f"SEED={SEED}; {outcome}"
    assert outcome.course.states == {"sent": NUMBER}, told
    assert outcome.is_well, told
    assert outcome.course.killed == KILLS, told

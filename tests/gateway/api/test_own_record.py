"""A patient and their own record: they see it, and nobody else's, also with an app that does not ask who they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.home import now
from gateway.smart.accounts import Accounts
from gateway.smart.values import Account
from tests.gateway.api.visiting import Visited, visited


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Visited]:
    with visited(tmp_path) as made:
        yield made


async def test_a_patient_sees_their_own_record_and_no_other(there: Visited) -> None:
    mine, theirs = there.twins["a"], there.twins["b"]
    account = Account(name="kim", display="Kim", roles=(), fhir_user=f"Patient/{mine}", created=now())
    Accounts(there.home).add(account, now())
    async with there.caller(there.token("patient/*.rs", user="kim", patient=mine)) as caller:
        assert (await caller.get(f"/Patient/{mine}")).status_code == 200
        assert len((await caller.get("/Observation")).json()["entry"]) == 6
        assert (await caller.get(f"/Patient/{theirs}")).status_code == 404
    for scope in ("patient/*.rs", "user/*.rs"):
        async with there.caller(there.token(scope, user="kim", patient=theirs)) as caller:
            assert (await caller.get(f"/Patient/{theirs}")).status_code in (403, 404)
            found = await caller.get("/Observation", params={"patient": theirs})
            assert "entry" not in found.json()

"""A search that names whose it is opens that twin alone, and finds what one that does not name it would find."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.api.charts import StoreCharts
from tests.gateway.api.visiting import Visited, visited


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("narrowed")) as made:
        yield made


async def found(caller: httpx.AsyncClient, query: str) -> set[str]:
    answer = await caller.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


async def test_what_leads_to_nobodys_is_looked_for_in_all_twins_and_nobodys_is_found_by_its_id(there: Visited) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        [doctor] = await found(caller, "Practitioner")
        assert await found(caller, f"Practitioner?_id={doctor}") == {doctor}
        assert len(await found(caller, f"Observation?performer=Practitioner/{doctor}")) == 12
        one = f"Observation?performer=Practitioner/{doctor}&patient={there.twins['a']}"
        assert len(await found(caller, one)) == 6


async def test_what_leads_to_something_of_a_twin_opens_that_twin_alone(
    there: Visited, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        [first, *_] = sorted(await found(caller, f"Observation?patient={there.twins['a']}"))
        opened: set[str] = set()
        open_chart = StoreCharts.chart
        monkeypatch.setattr(StoreCharts, "chart", lambda self, twin: (opened.add(twin), open_chart(self, twin))[1])
        [lineage] = await found(caller, f"Provenance?target=Observation/{first}")
        assert opened == {there.twins["a"]}
        assert await found(caller, f"Observation?_has:Provenance:target:_id={lineage}") == {first}


async def test_behind_another_wall_nobody_is_there(there: Visited) -> None:
    """The twins are of the tenant "": a caller of another one reaches none, whichever way they name them."""
    twin = there.twins["a"]
    async with there.caller(there.token("user/*.rs")) as caller:
        [first, *_] = sorted(await found(caller, f"Observation?patient={twin}"))
    views = there.views()
    mine, other = (views(there.person(tenant=tenant)) for tenant in ("", "elsewhere"))
    assert mine.resources(twin, "Observation")
    assert mine.get("Observation", first)
    assert other.resources(twin, "Observation") == ()
    assert other.types(twin) == frozenset()
    assert [*other.twins()] == []
    assert other.state(twin) == ""
    assert not other.may_write("c", "Observation", mine.get("Observation", first).body, twin)

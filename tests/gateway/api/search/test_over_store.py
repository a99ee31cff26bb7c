"""The search over a real home, through the whole server: what is pulled while somebody reads loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api.charts import StoreCharts
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from tests.gateway.api.search.ward import link, resources
from tests.gateway.api.visiting import RECORDS, Visited, observation, person, visited


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("there")) as stands:
        yield stands


async def get(there: Visited, url: str, *scopes: str, **granted: Any) -> Any:
    async with there.caller(there.token(*(scopes or ("user/*.rs",)), **granted)) as caller:
        answer = await caller.get(url)
        return answer.json() if answer.status_code == 200 else answer


async def test_somebody_is_found_by_their_number(there: Visited, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    chart = StoreCharts.chart

    def counted(self: StoreCharts, twin: str) -> Any:
        opened.append(twin)
        return chart(self, twin)

    monkeypatch.setattr(StoreCharts, "chart", counted)
    for who in ("a", "b"):
        opened.clear()
        found = await get(there, f"/Patient?identifier=urn:mrn|mrn-{who}")
        assert [each["id"] for each in resources(found)] == [there.twins[who]]
        assert opened[0] == there.twins[who]
        chained = await get(there, f"/Observation?patient.identifier=urn:mrn|mrn-{who}&_summary=count")
        assert chained["total"] == 6
    nobody = await get(there, "/Patient?identifier=urn:mrn|mrn-x")
    assert nobody["total"] == 0


async def test_the_number_of_another_patient_tells_an_app_nothing(there: Visited):
    mine = {"patient": there.twins["a"]}
    bodies = [await get(there, f"/Patient?identifier=urn:mrn|mrn-{who}", "patient/*.rs", **mine) for who in ("b", "x")]
    told = [json.dumps(each).replace("mrn-b", "mrn-x") for each in bodies]
    assert told[0] == told[1]


async def test_a_patients_measurements_with_who_took_them(there: Visited):
    bundle = await get(
        there,
        f"/Observation?patient={there.twins['a']}&category=laboratory&_include=Observation:performer&_sort=-date&_count=3",
    )
    assert bundle["total"] == 5
    assert [each["effectiveDateTime"] for each in resources(bundle)] == ["2026-03-05", "2026-03-04", "2026-03-03"]
    assert [each["resourceType"] for each in resources(bundle, "include")] == ["Practitioner"]
    assert link(bundle, "next")


async def test_what_is_pulled_between_two_pages_loses_nothing(there: Visited, tmp_path: Path):
    patient = there.twins["b"]
    token = there.token("user/*.rs")
    found: list[str] = []
    async with there.caller(token) as caller:
        url = f"/Observation?patient={patient}&_count=2"
        while url:
            bundle = (await caller.get(url)).json()
            found += [each["id"] for each in resources(bundle)]
            url = link(bundle, "next")
            if len(found) == 2:
                changed = [r for r in person("b", "Brown", "1981-05-06") if r["resourceType"] == "Observation"]
                changed[0]["valueQuantity"]["value"] = 111
                changed.append(observation("b-new", "b", 5, 20))
                records = [*RECORDS[:1], *person("b", "Brown", "1981-05-06")[:1], *changed]
                (tmp_path / "all.ndjson").write_text("\n".join(map(json.dumps, records)), "utf-8")
                await ingest(there.home, Folder("ward", tmp_path, "r4"), lambda text: None)
        whole = (await caller.get(f"/Observation?patient={patient}&_count=100")).json()
    values = {each["id"]: each["valueQuantity"]["value"] for each in resources(whole)}
    assert len(values) == 7
    assert len(found) == len(set(found)) == 6
    assert [each for each in values if each not in found] == [each for each, value in values.items() if value == 5]

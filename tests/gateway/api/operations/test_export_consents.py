"""No export goes round a consent, a wall between tenants, or what is hidden: before, while and after it is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.api.operations.worker import Worker
from gateway.api.view import View
from gateway.home import Home
from gateway.settings import load_settings
from security.policy import Caller
from tests.gateway.api.operations.shelf import BASE, Desk, caller, desk_of, observation, person, pull, refusal_of
from tests.gateway.api.operations.test_export import ASYNC, begin, exported, lines, named, twin_of, work


async def refuse(desk: Desk, folder: Path, number: int) -> None:
    """Let a source say that a patient refuses."""
    before = [json.loads(line) for line in (folder / "a.ndjson").read_text().splitlines()]
    await pull(desk.home, folder, [*before, refusal_of(f"p{number}")])


def patients(found: list[dict[str, Any]]) -> set[str]:
    return {each["id"] for each in found if each["resourceType"] == "Patient"}


async def test_who_refuses_before_is_in_no_export(desk: Desk, tmp_path: Path):
    await refuse(desk, tmp_path / "in", 1)
    manifest, found = await exported(desk)
    assert patients(found) == {twin_of(desk, 2), twin_of(desk, 3)}
    assert twin_of(desk, 1) not in json.dumps([manifest, found])


async def test_who_refuses_while_it_is_made_is_left_out(desk: Desk, tmp_path: Path):
    first, *_ = desk.charts.twins("")
    number = next(n for n in (1, 2, 3) if twin_of(desk, n) != first)
    seen = []

    def view(who: Caller, now: datetime, path: Mapping[str, str]) -> View:
        made = desk.bench.view(who, now, path)
        seen.append(made)
        if len(seen) == 4:  # the first twin has been read by then
            raise _Now
        return made

    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient,Observation")
        with pytest.raises(_Now):
            Worker(replace(desk.bench, view=view)).work_once()
        await refuse(desk, tmp_path / "in", number)
        work(desk)
        manifest = (await client.get(place)).json()
        found = [line for each in manifest["output"] for line in lines(await client.get(each["url"]))]
    assert twin_of(desk, number) not in json.dumps(found)
    assert len(patients(found)) == 2


class _Now(BaseException):
    """Ends a worker as a kill does."""


async def test_who_refuses_afterwards_is_in_no_file_that_is_fetched_from_then_on(desk: Desk, tmp_path: Path):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient,Observation")
        work(desk)
        files = [each["url"] for each in (await client.get(place)).json()["output"]]
        before = [line for url in files for line in lines(await client.get(url))]
        await refuse(desk, tmp_path / "in", 1)
        after = [line for url in files for line in lines(await client.get(url))]
    assert patients(before) - patients(after) == {twin_of(desk, 1)}
    assert twin_of(desk, 1) not in json.dumps(after)
    assert named(after) == {each for each in named(before) if twin_of(desk, 1) not in each}


async def test_a_change_that_hides_nothing_leaves_the_files_as_they_are(desk: Desk, tmp_path: Path):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Observation")
        work(desk)
        url = (await client.get(place)).json()["output"][0]["url"]
        before = await client.get(url)
        await pull(desk.home, tmp_path / "more", [person(1)[0], observation("n", "p1", "2160-0", 1.4, "mg/dL")], "more")
        assert (await client.get(url)).content == before.content


async def test_nothing_of_another_tenant_is_exported_by_whatever_level_or_list(tmp_path: Path):
    (tmp_path / "home").mkdir(mode=0o700)
    told = f'[sources.theirs]\nfolder = "{tmp_path / "theirs"}"\ntenant = "they"\n'
    (tmp_path / "home" / "twin.toml").write_text(told, "utf-8")
    with Home.open(load_settings(tmp_path / "home")) as home:
        await pull(home, tmp_path / "ours", person(1), "ours")
        await pull(home, tmp_path / "theirs", person(2), "theirs")
        callers = {"bulk": caller("bulk", "system/*.rs"), "they": caller("they", "system/*.rs", tenant="they")}
        desk = desk_of(home, callers)
        [mine], [other] = desk.charts.twins(""), desk.charts.twins("they")
        for path in ("/$export", "/Patient/$export"):
            _, found = await exported(desk, path)
            assert mine in json.dumps(found)
            assert other not in json.dumps(found)
        async with desk.client("bulk") as client:
            group = desk.charts.group_of("theirs")
            assert (await client.get(f"{BASE}/Group/{group}/$export", headers=ASYNC)).status_code == 404
            asked = {
                "resourceType": "Parameters",
                "parameter": [{"name": "patient", "valueReference": {"reference": f"Patient/{other}"}}],
            }
            refused = await client.post(f"{BASE}/Patient/$export", json=asked, headers=ASYNC)
            asked["parameter"][0]["valueReference"] = {"reference": "Patient/11111111-1111-4111-8111-111111111111"}
            absent = await client.post(f"{BASE}/Patient/$export", json=asked, headers=ASYNC)
            assert (
                (refused.status_code, refused.content) == (absent.status_code, absent.content) == (404, absent.content)
            )


async def test_an_export_is_the_same_with_and_without_a_patient_who_refuses(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        await pull(home, tmp_path / "in", person(1))
        desk = desk_of(home, {"bulk": caller("bulk", "system/*.rs")})
        one, before = await exported(desk, "/Patient/$export")
        await pull(home, tmp_path / "more", [*person(2), refusal_of("p2")], "more")
        other, after = await exported(desk, "/Patient/$export")
        assert before == after
        assert [each["count"] for each in one["output"]] == [each["count"] for each in other["output"]]
        assert [each["type"] for each in one["output"]] == [each["type"] for each in other["output"]]
        assert other["error"] == other["deleted"] == []

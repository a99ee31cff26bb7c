"""What our operations define and answer, judged by HL7's validator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api.breaking_glass import BREAK_GLASS
from gateway.api.operations import DECLARED
from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import BASE, DOCTOR, Desk, caller, desk_of, person, pull
from tests.gateway.api.operations.test_operations import BOLUS, CLINICIAN, GLUCOSE, MEAL, body, living, plan
from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

__all__ = ["living"]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    with Home.open(load_settings(tmp_path / "home")) as home:
        await pull(home, tmp_path / "in", [DOCTOR, *person(1)])
        yield desk_of(home, {"clinic": caller("clinic", "user/*.rs", **CLINICIAN)})


def errors(server: HapiServer, resource: bytes) -> list[str]:
    issues = server.judge(resource)
    return [f"{each.place}: {each.said}" for each in issues if each.severity in ("error", "fatal")]


DEFINED = {each.id: each for each in (*DECLARED, BREAK_GLASS)}


@pytest.mark.parametrize("name", sorted(DEFINED))
def test_a_definition_is_valid(hapi_server: HapiServer, name: str):
    assert errors(hapi_server, json.dumps(DEFINED[name].resource(BASE)).encode()) == []


@pytest.mark.parametrize(
    "path", ["$twin", "$simulate?model=prevent&assumeAbsent=true", "$simulate?model=kidney", "$simulate?model=prevent"]
)
async def test_an_answer_is_valid(hapi_server: HapiServer, desk: Desk, path: str):
    [twin] = desk.charts.twins("")
    async with desk.client("clinic") as client:
        answer = await client.get(f"{BASE}/Patient/{twin}/{path}")
    assert answer.status_code in (200, 422)
    assert errors(hapi_server, answer.content) == []


async def test_courses_and_branches_are_valid(hapi_server: HapiServer, living: Desk):
    [twin] = living.charts.twins("")
    asked = body(GLUCOSE, {"name": "minutes", "valueInteger": 60}, plan("dosed", MEAL, BOLUS))
    async with living.client("clinic") as client:
        branches = await client.post(f"{BASE}/Patient/{twin}/$what-if", json=asked)
        course = await client.get(f"{BASE}/Patient/{twin}/$simulate?model=glucose&minutes=30")
    assert errors(hapi_server, branches.content) == []
    assert errors(hapi_server, course.content) == []

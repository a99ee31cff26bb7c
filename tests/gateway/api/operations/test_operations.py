"""Models run on what the caller sees of a patient; what they say is labelled, recorded, and rests on nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.api.operations.worker import Worker
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import BASE, Desk, caller, desk_of, observation, pull
from tests.gateway.api.operations.test_export import twin_of

CLINICIAN = {"user": "ana", "roles": frozenset({"clinician"})}
MOMENTS = {"timestamp", "issued", "occurrenceDateTime", "recorded", "occurredDateTime", "at"}
MEAL = {"name": "give", "valueString": "60 g carbohydrate over 15 min at +30min"}
BOLUS = {"name": "give", "valueString": "4 [iU] insulin-bolus at +30min"}


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The woman with type 1 diabetes of the cohort, with a sensor, meals and insulin."""
    place: Path = tmp_path_factory.mktemp("living")
    (place / "in").mkdir()
    cohort = build(1)
    patient = next(member for member in cohort.people if member.story == "type-1-diabetes").ids["summit"]
    directory, *people = cohort.bundles("summit")
    mine = next(b for b in people if any(e["fullUrl"].endswith(f"Patient/{patient}") for e in b["entry"]))
    for number, bundle in enumerate((directory, mine)):
        (place / "in" / f"{number}.json").write_bytes(to_json(bundle))
    with Home.open(load_settings(place / "home")) as home:
        asyncio.run(ingest(home, Folder("summit", place / "in", VERSIONS["summit"]), lambda text: None))
        yield desk_of(home, {"clinic": caller("clinic", "user/*.rs", **CLINICIAN)})


def without_moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_moments(v) for k, v in value.items() if k not in MOMENTS and k != "text"}
    if isinstance(value, list):
        return [without_moments(each) for each in value]
    return value


def parts(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    inside = found.get("parameter", found.get("part", []))
    return [each for each in inside if each["name"] == name]


def texts(found: dict[str, Any], name: str) -> list[str]:
    return [each["valueString"] for each in parts(found, name)]


def body(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [*parameters]}


def plan(title: str, *given: dict[str, Any]) -> dict[str, Any]:
    return {"name": "plan", "part": [{"name": "title", "valueString": title}, *given]}


GLUCOSE = {"name": "model", "valueCode": "glucose"}


async def test_an_answer_is_a_labelled_bundle_with_its_model_and_the_versions_it_stands_on(desk: Desk):
    twin = twin_of(desk, 1)
    async with desk.client("clinic") as client:
        answer = await client.get(f"{BASE}/Patient/{twin}/$simulate?model=prevent&assumeAbsent=true")
    assert answer.status_code == 200, answer.text
    resources = [entry["resource"] for entry in answer.json()["entry"]]
    assert [each["resourceType"] for each in resources].count("RiskAssessment") == 1
    assert {"Device", "Provenance"} <= {each["resourceType"] for each in resources}
    for each in (answer.json(), *resources):
        assert "AIAST" in {label["code"] for label in each["meta"]["security"]}
        assert each.get("status", "preliminary") in ("preliminary", "active")
    risk = next(each for each in resources if each["resourceType"] == "RiskAssessment")
    assert risk["subject"] == {"reference": f"{BASE}/Patient/{twin}"}
    used = {each["reference"].removeprefix(f"{BASE}/").partition("/_history/")[0] for each in risk["basis"]}
    seen = {each.reference for type_ in ("Observation", "Patient") for each in desk.charts.chart(twin).of_type(type_)}
    assert used
    assert used <= seen


async def test_a_run_is_recorded_with_its_model_and_the_references_of_its_inputs(desk: Desk):
    twin = twin_of(desk, 1)
    async with desk.client("clinic") as client:
        await client.get(f"{BASE}/Patient/{twin}/$simulate?model=prevent&assumeAbsent=true")
    events = [entry.event for entry in desk.home.store.audit_events()]
    [run] = [each for each in events if "prevent@" in json.dumps(each)]
    told = json.dumps(run)
    assert f"Patient/{twin}/_history/" in told
    assert "Observation/" in told
    assert "138" not in told
    assert '"TREAT"' in told


async def test_what_is_missing_is_said_and_not_guessed(desk: Desk):
    async with desk.client("clinic") as client:
        answer = await client.get(f"{BASE}/Patient/{twin_of(desk, 1)}/$simulate?model=prevent")
    assert answer.status_code == 422
    assert any("cannot be proven whole" in each["diagnostics"] for each in answer.json()["issue"])


async def test_nothing_hidden_plays_a_part(desk: Desk, tmp_path: Path):
    twin = twin_of(desk, 1)
    some = "user/Observation.rs?code=2160-0,2093-3,2085-9,39156-5,8480-6,72166-2"
    desk.callers["narrow"] = caller("narrow", "user/Patient.rs", "user/Condition.rs", some, **CLINICIAN)
    at = "at=2026-11-20T00:00:00Z"
    answers = (f"$simulate?model=prevent&assumeAbsent=true&{at}", f"$simulate?model=kidney&{at}")
    paths = (*answers, f"$twin?{at}", "$everything")
    async with desk.client("narrow") as client:
        before = [await client.get(f"{BASE}/Patient/{twin}/{path}") for path in paths]
        hidden = [
            observation("h1", "p1", "9318-7", 350, "mg/g", effectiveDateTime="2026-10-01T08:00:00Z"),
            observation("h2", "p1", "4548-4", 9.1, "%"),
        ]
        folder = tmp_path / "in"
        lines = [json.loads(line) for line in (folder / "a.ndjson").read_text().splitlines()]
        await pull(desk.home, folder, [*lines, *hidden])
        after = [await client.get(f"{BASE}/Patient/{twin}/{path}") for path in paths]
    async with desk.client("clinic") as client:
        wide = await client.get(f"{BASE}/Patient/{twin}/$twin")
    for one, other in zip(before, after, strict=True):
        assert one.status_code == other.status_code
        assert json.dumps(without_moments(one.json()), indent=1) == json.dumps(without_moments(other.json()), indent=1)
    assert "350" in wide.text


async def test_who_is_not_seen_is_not_there_for_any_operation(desk: Desk):
    twin = twin_of(desk, 1)
    desk.callers["other"] = caller("other", "patient/*.rs", patient=twin_of(desk, 2), **CLINICIAN)
    desk.callers["labs"] = caller("labs", "user/Observation.rs", **CLINICIAN)
    desk.callers["away"] = caller("away", "user/*.rs", tenant="elsewhere", **CLINICIAN)
    for token, status in (("other", 404), ("labs", 403), ("away", 404)):
        async with desk.client(token) as client:
            absent = await client.get(f"{BASE}/Patient/11111111-1111-4111-8111-111111111111/$twin")
            for path in ("$twin", "$simulate?model=kidney", "$everything"):
                answer = await client.get(f"{BASE}/Patient/{twin}/{path}")
                assert (answer.status_code, answer.content) == (status, absent.content)


@pytest.mark.parametrize(
    ("operation", "told", "status"),
    [
        ("simulate", body(), 400),
        ("simulate", body({"name": "model", "valueCode": "nonsense"}), 400),
        ("simulate", body({"name": "model", "valueCode": "kidney"}, {"name": "nonsense", "valueString": "1"}), 400),
        ("simulate", body({"name": "model", "valueCode": "kidney"}, {"name": "model", "valueCode": "kidney"}), 400),
        ("simulate", body({"name": "model", "valueCode": "kidney"}, {"name": "at", "valueDate": "2026"}), 400),
        ("simulate", {"resourceType": "Patient"}, 400),
        ("simulate", body({"name": "model"}), 400),
        ("what-if", body(GLUCOSE), 400),
        ("what-if", body(GLUCOSE, plan("empty")), 400),
        ("what-if", body(GLUCOSE, plan("one", MEAL), {"name": "minutes", "valueInteger": 10**9}), 400),
        ("what-if", body(GLUCOSE, plan("one", MEAL), {"name": "minutes", "valueDecimal": 77777}), 400),
        ("compare", body(GLUCOSE, plan("one", MEAL)), 400),
    ],
)
async def test_parameters_that_cannot_be_are_refused_with_an_outcome_that_repeats_nothing(
    desk, operation, told, status
):
    async with desk.client("clinic") as client:
        sent = json.dumps(told).replace("77777", "1e400").encode()
        headers = {"Content-Type": "application/fhir+json"}
        answer = await client.post(f"{BASE}/Patient/{twin_of(desk, 1)}/${operation}", content=sent, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "nonsense" not in answer.text


async def test_a_what_if_tells_branches_and_risks_and_no_observation(living: Desk):
    [twin] = living.charts.twins("")
    asked = body(GLUCOSE, {"name": "minutes", "valueInteger": 120}, plan("bare", MEAL), plan("dosed", MEAL, BOLUS))
    async with living.client("clinic") as client:
        answer = await client.post(f"{BASE}/Patient/{twin}/$compare", json=asked)
        again = await client.post(f"{BASE}/Patient/{twin}/$compare", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {"AIAST"} == {each["code"] for each in found["meta"]["security"]}
    assert [texts(branch, "title")[0] for branch in parts(found, "branch")] == ["nothing new", "bare", "dosed"]
    assert set(texts(found, "ranking")) == {"nothing new", "bare", "dosed"}
    greatest = [
        next(o for o in parts(branch, "outcome") if texts(o, "name") == ["greatest"])
        for branch in parts(found, "branch")
    ]
    nothing, bare, dosed = (parts(each, "value")[0]["valueQuantity"]["value"] for each in greatest)
    assert bare > nothing + 10
    assert bare >= dosed
    assert '"Observation"' not in answer.text
    assert '"hypothetical"' in answer.text
    assert texts(found, "run") == texts(again.json(), "run")


async def test_a_model_that_follows_readings_foresees_with_how_right_it_was(living: Desk):
    [twin] = living.charts.twins("")
    async with living.client("clinic") as client:
        answer = await client.get(f"{BASE}/Patient/{twin}/$simulate?model=glucose&minutes=60")
    found = answer.json()
    course = parts(found, "course")[0]
    assert len(parts(course, "median")[0]["valueSampledData"]["data"].split()) == 12
    assert parts(found, "score")
    assert any("simulated, not measured" in each for each in texts(found, "title"))


async def test_an_operation_may_be_a_job_and_its_result_is_the_same(desk: Desk):
    twin = twin_of(desk, 1)
    url = f"{BASE}/Patient/{twin}/$simulate?model=prevent&assumeAbsent=true"
    async with desk.client("clinic") as client:
        begun = await client.get(url, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202
        place = begun.headers["content-location"]
        assert (await client.get(place)).status_code == 202
        await asyncio.to_thread(Worker(desk.bench).work_once)
        done = await client.get(place)
        at_once = await client.get(url)
        assert done.status_code == 200
        assert done.headers["content-type"] == "application/fhir+json"
        assert without_moments(done.json()) == without_moments(at_once.json())
        desk.callers["clinic"] = replace(desk.callers["clinic"], scopes=("user/Patient.rs",))
        assert (await client.get(place)).status_code == 404
        assert (await client.delete(place)).status_code == 202
        assert (await client.get(place)).status_code == 404


async def test_a_job_whose_caller_may_no_longer_fails(desk: Desk):
    async with desk.client("clinic") as client:
        url = f"{BASE}/Patient/{twin_of(desk, 1)}/$simulate?model=kidney"
        place = (await client.get(url, headers={"Prefer": "respond-async"})).headers["content-location"]
        bench = replace(desk.bench, standing=lambda who, now: None)
        await asyncio.to_thread(Worker(bench).work_once)
        assert (await client.get(place)).status_code == 403


async def test_everything_comes_in_pages_once_and_no_page_is_another_callers(desk: Desk, tmp_path: Path):
    twin = twin_of(desk, 1)
    seen: list[str] = []
    async with desk.client("clinic") as client:
        url: str | None = f"{BASE}/Patient/{twin}/$everything?_count=4"
        first = url
        while url:
            page = (await client.get(url)).json()
            seen += [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in page["entry"]]
            links = {link["relation"]: link["url"] for link in page["link"]}
            url = links.get("next")
            first = first if first and "_page" in first else url
    assert seen[0] == f"Patient/{twin}"
    assert len(seen) == len(set(seen)) == page["total"]
    chart = desk.charts.chart(twin)
    mine = {each.reference for type_ in chart.types() for each in chart.of_type(type_)}
    assert mine <= set(seen)
    assert {each.partition("/")[0] for each in set(seen) - mine} == {"Practitioner"}
    desk.callers["bob"] = caller("bob", "user/*.rs", user="bob", roles=frozenset({"clinician"}))
    async with desk.client("bob") as other:
        assert first is not None
        assert (await other.get(first)).status_code == 404


async def test_everything_is_narrowed_by_type_dates_and_time(desk: Desk):
    twin = twin_of(desk, 1)

    async def types(query: str) -> list[str]:
        async with desk.client("clinic") as client:
            answer = await client.get(f"{BASE}/Patient/{twin}/$everything?{query}")
        assert answer.status_code == 200, answer.text
        return [each["resource"]["resourceType"] for each in answer.json().get("entry", [])]

    assert set(await types("_type=Condition,Patient")) == {"Condition", "Patient"}
    assert "Observation" not in await types("end=2021-01-01")
    assert "Condition" in await types("end=2021-01-01")
    assert "Condition" not in await types("start=2026-01-01&_type=Condition,Observation")
    assert await types("_since=2036-01-01T00:00:00Z") == []
    async with desk.client("clinic") as client:
        for query in ("_type=Nonsense", "start=soon", "_count=0", "_since=2026", "other=1"):
            assert (await client.get(f"{BASE}/Patient/{twin}/$everything?{query}")).status_code == 400


async def test_each_operation_has_a_definition_that_anybody_may_read(desk: Desk):
    offered = {offer.name for offer in desk.door.offers if offer.interaction == "operation"} - {"export"}
    async with desk.client("nobody") as client:
        for name in offered:
            told = await client.get(f"{BASE}/OperationDefinition/twin-{name}")
            assert (told.status_code, told.json()["code"]) == (200, name)
        assert (await client.get(f"{BASE}/OperationDefinition/none")).status_code == 404

"""The CapabilityStatement is true both ways: what it tells is done, and what it does not tell is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from gateway.api.audit_parameters import PARAMETERS
from gateway.api.offers import offers_of
from mappers.search import parameters
from security.compartment import TYPES
from tests.gateway.api.visiting import BASE, Visited, visited

Json = dict[str, Any]
OTHER_WAY = {"DELETE": "delete", "PATCH": "patch", "PUT": "update"}
NO_ADDRESS = "nothing at this address"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("statement")) as made:
        yield made


@pytest.fixture
async def caller(there: Visited) -> AsyncIterator[httpx.AsyncClient]:
    async with there.caller(there.token("user/*.cruds")) as client:
        yield client


async def resources(caller: httpx.AsyncClient) -> list[Json]:
    told = (await caller.get("/metadata")).json()
    assert (told["resourceType"], told["fhirVersion"], told["kind"]) == ("CapabilityStatement", "4.0.1", "instance")
    found: list[Json] = told["rest"][0]["resource"]
    return found


async def test_each_type_that_is_told_is_there_and_no_other(caller: httpx.AsyncClient) -> None:
    told = {each["type"] for each in await resources(caller)}
    for type_ in sorted(TYPES | told):
        answer = await caller.get(f"/{type_}/no-such-one")
        assert answer.status_code in (403, 404)
        assert (NO_ADDRESS in answer.text) is (type_ not in told), type_


async def test_each_interaction_that_is_told_is_done_and_no_other(caller: httpx.AsyncClient, there: Visited) -> None:
    for each in await resources(caller):
        done, type_ = {one["code"] for one in each["interaction"]}, each["type"]
        assert done
        for method, path, code in (
            ("GET", f"/{type_}/x", "read"),
            ("GET", f"/{type_}/x/_history/1", "vread"),
            ("GET", f"/{type_}/x/_history", "history-instance"),
            ("GET", f"/{type_}?_count=1", "search-type"),
            ("POST", f"/{type_}/_search", "search-type"),
            ("POST", f"/{type_}", "create"),
            ("PUT", f"/{type_}/x", "update"),
            ("PATCH", f"/{type_}/x", "patch"),
            ("DELETE", f"/{type_}/x", "delete"),
            ("GET", f"/{type_}/_history", "history-type"),
        ):
            form = {"content-type": "application/x-www-form-urlencoded"} if path.endswith("_search") else {}
            answer = await caller.request(method, path, headers=form, content=b"" if form else None)
            is_done = answer.status_code != 405 and NO_ADDRESS not in answer.text
            if code == "history-type" and "read" in done:
                is_done = is_done and answer.status_code == 200  # else it is a read of the id "_history"
            assert is_done is (code in done), (method, path, answer.status_code, answer.text)


async def test_each_search_parameter_that_is_told_is_known_and_no_other(caller: httpx.AsyncClient) -> None:
    for each in await resources(caller):
        if not any(one["code"] == "search-type" for one in each["interaction"]) or each["type"] == "AuditEvent":
            continue
        type_, told = each["type"], {one["name"] for one in each["searchParam"]}
        assert told == set(parameters(type_)) - set(), type_
        for name in sorted(told):
            missing = await caller.get(f"/{type_}", params={f"{name}:missing": "false", "_count": "1"})
            assert missing.status_code == 200, (type_, name, missing.text)
        for name in ("nonsense", "_filter", "_content", "_text", f"{type_.lower()}x"):
            assert (await caller.get(f"/{type_}", params={name: "x"})).status_code == 400


async def test_includes_that_are_told_are_answered(caller: httpx.AsyncClient) -> None:
    for each in await resources(caller):
        for kind, told in (
            ("_include", each.get("searchInclude", ())),
            ("_revinclude", each.get("searchRevInclude", ())),
        ):
            for value in told:
                answer = await caller.get(f"/{each['type']}", params={kind: value, "_count": "1"})
                assert answer.status_code == 200, (each["type"], kind, value, answer.text)


async def test_the_log_is_searched_by_what_is_told(there: Visited) -> None:
    async with there.caller(there.token("user/AuditEvent.rs", user="odd")) as auditor:
        [log] = [each for each in await resources(auditor) if each["type"] == "AuditEvent"]
        assert {one["name"] for one in log["searchParam"]} <= set(PARAMETERS)
        assert {one["code"] for one in log["interaction"]} == {"read", "search-type"}


async def test_operations_and_system_interactions_that_are_told_are_offered_and_no_other(
    caller: httpx.AsyncClient, there: Visited
) -> None:
    rest = (await caller.get("/metadata")).json()["rest"][0]
    told = {(each["type"], one["name"]) for each in rest["resource"] for one in each.get("operation", ())}
    told |= {("", one["name"]) for one in rest.get("operation", ())}
    offered = {
        (type_, offer.name)
        for offer in offers_of(there.home, BASE)
        if offer.interaction == "operation" and offer.definition
        for type_ in offer.types or ("",)
    }
    assert told == offered
    assert ("Patient", "everything") in told
    assert {one["code"] for one in rest["interaction"]} == {"transaction", "batch"}
    for code in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": code, "entry": []}
        assert (await caller.post(f"{BASE}", json=bundle)).status_code == 200


async def test_it_names_the_endpoints_of_the_authorization_server(caller: httpx.AsyncClient) -> None:
    security = (await caller.get("/metadata")).json()["rest"][0]["security"]
    [extension] = security["extension"]
    told = {each["url"]: each["valueUri"] for each in extension["extension"]}
    known = (await caller.get("/.well-known/smart-configuration")).json()
    assert told["token"] == known["token_endpoint"]
    assert told["authorize"] == known["authorization_endpoint"]

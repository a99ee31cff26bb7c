"""What the server says of itself is well-formed in its version, and true."""

from __future__ import annotations

import pytest
from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b
from fhir.resources.STU3 import get_fhir_model_class as stu3

VERSIONS = [
    ("dstu2", "Conformance", "1.0.2"),
    ("stu3", "CapabilityStatement", "3.0.2"),
    ("r4", "CapabilityStatement", "4.0.1"),
    ("r4b", "CapabilityStatement", "4.3.0"),
    ("r5", "CapabilityStatement", "5.0.0"),
]
MODELS = {"stu3": stu3, "r4": r4b, "r4b": r4b, "r5": r5}


@pytest.mark.parametrize(("version", "kind", "number"), VERSIONS)
async def test_the_statement_has_the_shape_of_its_version(version, kind, number, bench):
    table = bench(fhir_version=version, require_auth=True)
    answer = await table.http.get("metadata")
    told = answer.json()
    assert (told["resourceType"], told["fhirVersion"]) == (kind, number)
    assert ("acceptUnknown" in told) == (version in ("dstu2", "stu3"))
    assert ("transactionMode" in told["rest"][0]) == (version == "dstu2")
    assert answer.headers["content-type"].startswith(
        "application/json+fhir" if version == "dstu2" else "application/fhir+json"
    )
    if version in MODELS:
        MODELS[version]("CapabilityStatement").model_validate(told)
    [oauth] = told["rest"][0]["security"]["extension"]
    assert oauth["extension"] == [{"url": "token", "valueUri": "http://ehr.test/auth/token"}]


@pytest.mark.parametrize(("version", "kind", "number"), VERSIONS)
async def test_every_search_parameter_that_is_listed_is_mounted(version, kind, number, bench):
    table = bench(fhir_version=version, without=frozenset({"_lastUpdated"}))
    sample = {"date": "2024", "token": "x", "reference": "Patient/x", "string": "x"}
    for resource in (await table.http.get("metadata")).json()["rest"][0]["resource"]:
        names = [parameter["name"] for parameter in resource["searchParam"]]
        assert "_lastUpdated" not in names
        query = {parameter["name"]: sample[parameter["type"]] for parameter in resource["searchParam"]}
        answer = await table.http.get(resource["type"], params=query)
        assert answer.status_code == 200, (resource["type"], answer.text)


@pytest.mark.parametrize(("version", "model"), MODELS.items())
async def test_every_type_that_is_listed_is_one_of_the_version(version, model, bench):
    told = (await bench(fhir_version=version).http.get("metadata")).json()
    for resource in told["rest"][0]["resource"]:
        assert model(resource["type"])


async def test_a_type_that_may_not_be_written_is_not_listed_so(bench):
    told = (await bench(accepts=frozenset({"Observation"})).http.get("metadata")).json()
    creates = [
        resource["type"] for resource in told["rest"][0]["resource"] if {"code": "create"} in resource["interaction"]
    ]
    assert creates == ["Observation"]


@pytest.mark.parametrize(("version", "model"), MODELS.items())
async def test_search_history_and_errors_are_well_formed(version, model, bench, observation):
    table = bench(observation(id="a"), fhir_version=version, page_size=1)
    table.ehr.load(observation(id="b"))
    table.ehr.store.remove("Observation", "b")
    for path, kind in (
        ("Observation", "Bundle"),
        ("Observation?_summary=count", "Bundle"),
        ("Observation/a/_history", "Bundle"),
        ("Observation/b/_history", "Bundle"),
        ("Observation/b", "OperationOutcome"),
    ):
        model(kind).model_validate((await table.http.get(path)).json())


async def test_an_open_server_says_nothing_of_tokens(bench):
    table = bench()
    assert "security" not in (await table.http.get("metadata")).json()["rest"][0]
    assert (await table.http.get(".well-known/smart-configuration")).status_code == 404


async def test_the_smart_configuration_is_json_whatever_is_accepted(bench):
    """SMART App Launch 2.2.0 conformance.html, client-confidential-asymmetric (requirements 285 to 289)."""
    table = bench(require_auth=True)
    answer = await table.http.get(".well-known/smart-configuration", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["token_endpoint"] == "http://ehr.test/auth/token"
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in told["capabilities"]
    hidden = bench(require_auth=True, well_known=False)
    assert (await hidden.http.get(".well-known/smart-configuration")).status_code == 404

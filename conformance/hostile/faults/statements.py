"""Faults of what a server says about itself."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, Response

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Statement
from conformance.hostile.problem import Problem

__all__: list[str] = []


def _resources(statement: Statement) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = statement.told["rest"][0]["resource"]
    return resources


@fault("no-statement", "statement", "404 to metadata", "interop.md 2a: servers rarely advertise correctly (Veradigm)")
def no_statement(statement: Statement, struck: Any) -> None:
    raise Problem(404, "not-found", "There is no capability statement.")


@fault(
    "statement-page",
    "statement",
    "200 with a proxy's HTML page for metadata",
    "interop.md 2a: proxies answer in their own words",
)
def statement_page(statement: Statement, struck: Any) -> Response:
    return HTMLResponse("<html><title>Maintenance</title><body>Back soon</body></html>")


@fault("statement-as-xml", "statement", "metadata is XML whatever is accepted", "smart-on-fhir/client-js#52")
def statement_as_xml(statement: Statement, struck: Any) -> Response:
    number = statement.ehr.version.number
    body = f'<CapabilityStatement xmlns="http://hl7.org/fhir"><fhirVersion value="{number}"/></CapabilityStatement>'
    return Response(body, 200, media_type="application/fhir+xml")


@fault(
    "statement-wants-a-token",
    "statement",
    "401 to metadata",
    "http.html#capabilities: it is open; 11: jwilleke/yourphr#338",
)
def statement_wants_a_token(statement: Statement, struck: Any) -> None:
    raise Problem(401, "login", "This server wants a bearer token.", {"WWW-Authenticate": 'Bearer realm="fhir"'})


@fault(
    "statement-promises-too-much",
    "statement",
    "lists a resource type (value) that is not there",
    "hapi-fhir#6696; interop.md 2a: Veradigm",
    value="VisionPrescription",
)
def statement_promises_too_much(statement: Statement, struck: Any) -> None:
    listed = _resources(statement)
    listed[:] = [each for each in listed if each["type"] != struck.setting]
    listed.append({"type": struck.setting, "interaction": [{"code": "read"}, {"code": "search-type"}]})


@fault(
    "statement-hides-parameters",
    "statement",
    "lists no search parameters, though they work",
    "microsoft/fhir-server#4672",
)
def statement_hides_parameters(statement: Statement, struck: Any) -> None:
    for each in _resources(statement):
        each.pop("searchParam", None)


@fault(
    "statement-hides-a-type",
    "statement",
    "does not list a resource type (value) that is there",
    "microsoft/fhir-server#4672; interop.md 2a: servers rarely advertise correctly",
    value="Observation",
)
def statement_hides_a_type(statement: Statement, struck: Any) -> None:
    listed = _resources(statement)
    listed[:] = [each for each in listed if each["type"] != struck.setting]


@fault(
    "statement-of-another-version",
    "statement",
    "fhirVersion is another (value)",
    "hapi-fhir#519; requirement: a version that is not understood is told",
    value="3.5.0",
)
def statement_of_another_version(statement: Statement, struck: Any) -> None:
    statement.told["fhirVersion"] = struck.setting


@fault(
    "no-smart-configuration",
    "discovery",
    "404 to .well-known/smart-configuration",
    "11: microsoft/fhir-server#2138",
)
def no_smart_configuration(statement: Statement, struck: Any) -> None:
    raise Problem(404, "not-found", "This server has no SMART configuration.")


@fault(
    "stale-smart-configuration",
    "discovery",
    "names a token endpoint that is no more",
    "11: jwilleke/yourphr#338",
)
def stale_smart_configuration(statement: Statement, struck: Any) -> None:
    statement.told["token_endpoint"] = f"{statement.ehr.origin}/auth/v1/token"

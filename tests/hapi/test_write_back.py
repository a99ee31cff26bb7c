"""What we write, before a server and a validator that we did not write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, get_args
from uuid import uuid4

import httpx
import msgspec
import pytest

from mappers.outbound import Form, Result, render, to_json
from mappers.outbound.returned import losses
from mappers.outbound.withdrawn import Standing, withdraw
from mappers.versions import FhirVersion
from tests.hapi.fixture import HapiServer
from tests.hapi.samples import falling, heart, kidney, prevent, valve, warning

pytestmark = pytest.mark.jvm

Sample = Callable[..., Result]
VERSIONS: tuple[FhirVersion, ...] = get_args(FhirVersion)


class Ehr:
    """One FHIR version of the server, with a patient of its own and a measurement in its second version."""

    def __init__(self, http: httpx.Client, version: FhirVersion) -> None:
        self.http = http
        self.version = version
        patient, measured = f"urn:uuid:{uuid4()}", f"urn:uuid:{uuid4()}"
        observation: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "preliminary",
            "code": {"text": "measured"},
        }
        first: list[tuple[str, dict[str, Any]]] = [
            (patient, {"resourceType": "Patient", "active": True}),
            (measured, observation | {"subject": {"reference": patient}}),
        ]
        entries = [
            {"fullUrl": url, "resource": told, "request": {"method": "POST", "url": told["resourceType"]}}
            for url, told in first
        ]
        made = self.send({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        self.patient_version = made[0]["location"]
        self.patient = self.patient_version.split("/_history")[0]
        path = made[1]["location"].split("/_history")[0]
        changed = self.read(path) | {"status": "final"}
        assert self.http.put(path, content=to_json(changed)).status_code == 200
        self.measured_version = f"{path}/_history/2"

    def send(self, bundle: dict[str, Any]) -> list[dict[str, str]]:
        answer = self.http.post("", content=to_json(bundle))
        assert answer.status_code == 200, answer.text
        return [entry["response"] for entry in answer.json()["entry"]]

    def sent(self, bundle: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Send a transaction, and give each resource as it was sent, with what it refers to resolved, and as read."""
        made = self.send(bundle)
        became = {
            entry["fullUrl"]: each["location"].split("/_history")[0]
            for entry, each in zip(bundle["entry"], made, strict=True)
        }
        new = {each["status"].split()[0] for each in made if not each["location"].startswith("Device/")}
        assert new == {"201"}
        text = to_json(bundle).decode()
        for name, path in became.items():
            text = text.replace(f'"reference":"{name}"', f'"reference":"{path}"')
        for entry, path in zip(_as_written(text.encode())["entry"], became.values(), strict=True):
            yield entry["resource"], self.read(path)

    def read(self, path: str) -> dict[str, Any]:
        """Read a resource, each number as the text that stood there: 12.30 is not 12.3."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return _as_written(answer.content)

    def count(self, search: str) -> int:
        answer = self.http.get(f"{search}&_summary=count", headers={"Cache-Control": "no-cache"})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["total"])

    def render(self, sample: Sample, **also: Any) -> dict[str, Any]:
        """Render a result of this patient, in a run of its own."""
        here = {"Patient": self.patient_version, "Observation": self.measured_version}
        inputs = [
            msgspec.structs.replace(each, reference=here[each.type]) if each.local else each for each in sample().inputs
        ]
        result = sample(run=uuid4().hex, inputs=tuple(inputs))
        return render(result, self.version, patient=self.patient, sender="fhirtwin 0.1.0", **also)


def _as_written(content: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(content, parse_float=str, parse_int=str)
    return read


def without_the_servers_own(resource: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a server adds; meta's lists are sets (FHIR R4 resource.html#Meta) and come back in any order."""
    meta = {
        name: sorted(resource["meta"][name], key=json.dumps)
        for name in resource["meta"].keys() - {"versionId", "lastUpdated", "source", "extension"}
    }
    return {name: value for name, value in resource.items() if name != "id"} | {"meta": meta}


@pytest.fixture(scope="module")
def all_started(hapi_server: HapiServer) -> HapiServer:
    hapi_server.start(*VERSIONS)
    return hapi_server


@pytest.fixture(params=VERSIONS)
def ehr(request: pytest.FixtureRequest, all_started: HapiServer) -> Iterator[Ehr]:
    version: FhirVersion = request.param
    json_of_fhir = "application/json+fhir" if version == "dstu2" else "application/fhir+json"
    headers = {"Content-Type": json_of_fhir, "Accept": json_of_fhir}
    with httpx.Client(base_url=f"{all_started.base(version)}/", headers=headers, timeout=120) as http:
        yield Ehr(http, version)


Told = tuple[Sample, dict[str, Any]]
FORMS = frozenset(get_args(Form))
WARNINGS: list[Told] = [(falling, {"attention": warning(), "form": form}) for form in get_args(Form)]
RESULT: Told = (heart, {})  # values with and without an interval, and a risk
RESULTS: list[Told] = [RESULT, (valve, {}), (kidney, {}), (prevent, {})]
ALL = frozenset({"Device", "Observation", "RiskAssessment", "DocumentReference", "Provenance"}) | FORMS
RUNGS: dict[str, frozenset[str] | None] = {  # what an EHR takes; all that we have to say is written to each
    "whatever comes": None,
    "no risks": ALL - {"RiskAssessment"},
    "no models": ALL - {"Device"},
    "no origins": ALL - {"Provenance"},
    "no risks, models or origins": ALL - {"RiskAssessment", "Device", "Provenance"},
    "documents and models": ALL - {"RiskAssessment", "Observation", *FORMS},
    "documents and warnings": FORMS | {"DocumentReference"},
}


@pytest.mark.parametrize("takes", RUNGS.values(), ids=RUNGS)
def test_what_we_write_is_accepted_and_comes_back_unchanged(ehr: Ehr, takes: frozenset[str] | None) -> None:
    for sample, also in [*RESULTS, *(WARNINGS if takes is None or takes >= FORMS else [])]:
        for sent, returned in ehr.sent(ehr.render(sample, takes=takes, **also)):
            assert losses(sent, returned) == ()
            assert without_the_servers_own(returned) == without_the_servers_own(sent)


@pytest.mark.parametrize("takes", [ALL, ALL - {"RiskAssessment", "Observation"}], ids=["resources", "documents"])
def test_a_result_that_takes_the_place_of_others_names_them(ehr: Ehr, takes: frozenset[str]) -> None:
    older = [
        f"{returned['resourceType']}/{returned['id']}"
        for lower in (ALL, ALL - {"RiskAssessment", "Observation"})
        for _, returned in ehr.sent(ehr.render(kidney, takes=lower))
        if returned["resourceType"] not in ("Device", "Provenance")
    ]
    assert len(older) == 3
    for sent, returned in ehr.sent(ehr.render(kidney, takes=takes, revises=older)):
        assert losses(sent, returned) == ()
        if sent["resourceType"] != "Device":
            assert all(each in json.dumps(returned) for each in older)


def test_what_no_longer_stands_is_taken_back_by_an_update_and_stays_what_it_was(ehr: Ehr) -> None:
    """Overtaken first and then entered in error, so that each type is updated twice."""
    places = [
        f"{returned['resourceType']}/{returned['id']}"
        for sample, also in (RESULT, (heart, {"takes": {"DocumentReference"}}), *WARNINGS)
        for _, returned in ehr.sent(ehr.render(sample, **also))
    ]
    assert {place.split("/")[0] for place in places} == ALL
    for place in places:
        for version, to in enumerate(get_args(Standing), start=1):
            before = json.loads(ehr.http.get(place).content, parse_float=Decimal)
            after = withdraw(before, ehr.version, to, "New data have overtaken it.", place)
            if after == before:
                assert place.split("/")[0] in ("Device", "Provenance")
                continue
            answer = ehr.http.put(place, content=to_json(after), headers={"If-Match": f'W/"{version}"'})
            assert answer.status_code == 200, answer.text
            kept = ehr.read(place)
            assert losses(_as_written(to_json(after)), kept) == ()
            assert kept["meta"]["versionId"] == str(version + 1)


@pytest.mark.parametrize("sample", [kidney, prevent, valve])
def test_to_send_again_creates_nothing_new(ehr: Ehr, sample: Sample) -> None:
    bundle = ehr.render(sample)
    first = ehr.send(bundle)
    again = ehr.send(bundle)
    assert {each["status"].split()[0] for each in again} == {"200"}
    assert [each["location"] for each in again] == [each["location"] for each in first]
    for entry in bundle["entry"]:
        request = entry["request"]
        assert ehr.count(f"{request['url']}?{request['ifNoneExist']}") == 1


def test_no_search_for_a_quantity_finds_the_end_of_an_interval(ehr: Ehr) -> None:
    """The ends are a Range; were they two quantities, who looks for low outputs would find this patient."""
    ehr.send(ehr.render(heart))
    mine = f"Observation?subject={ehr.patient}"
    assert ehr.count(f"{mine}&value-quantity=gt4.7") == 2  # 4.8 L/min and 5 /min
    assert ehr.count(f"{mine}&value-quantity=lt4.5") == 0
    for sought in ("lt4.5", "gt5"):
        assert ehr.count(f"{mine}&component-value-quantity={sought}") == 0


def test_two_runs_share_the_device_of_their_model(ehr: Ehr) -> None:
    [device, *_] = ehr.send(ehr.render(kidney))
    [same, *results] = ehr.send(ehr.render(kidney))
    assert same["location"] == device["location"]
    assert {each["status"].split()[0] for each in results} == {"201"}


def test_the_provenance_names_the_exact_versions_that_were_used(ehr: Ehr) -> None:
    made = ehr.send(ehr.render(kidney))
    told = json.dumps(ehr.read(made[-1]["location"])["entity"])
    assert ehr.measured_version in told
    assert ehr.patient_version in told


@pytest.mark.parametrize(
    "spoiled",
    [
        {"code": {}},
        {"code": None},
        {"subject": {"reference": "Patient/999999"}},
        {"component": [{"valueRange": {"low": {"value": 1}}}]},
        {"component": [{"code": {"text": "Interval"}, "valueInterval": {"low": {"value": 1}}}]},
    ],
)
def test_the_oracle_refuses_what_is_not_valid_or_points_nowhere(ehr: Ehr, spoiled: dict[str, Any]) -> None:
    bundle = ehr.render(heart)
    changed = bundle["entry"][1]["resource"] | spoiled
    bundle["entry"][1]["resource"] = {name: value for name, value in changed.items() if value is not None}
    answer = ehr.http.post("", content=to_json(bundle))
    assert answer.status_code in {400, 422}
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("ehr", VERSIONS[1:], indirect=True)  # HAPI does not evaluate the invariants of DSTU2
def test_the_oracle_holds_a_probability_to_be_a_percentage(ehr: Ehr) -> None:
    bundle = ehr.render(prevent)
    bundle["entry"][1]["resource"]["prediction"][0]["probabilityDecimal"] = Decimal("100.1")
    answer = ehr.http.post("", content=to_json(bundle))
    assert answer.status_code == 422
    assert "ras-2" in answer.text

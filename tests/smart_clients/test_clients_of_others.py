"""npm's fhirclient in Chromium and fhir-kit-client from Node get what they should from `twin serve`, and no more."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.smart.people.door import PASSWORD as DOOR_PASSWORD
from tests.gateway.smart.people.door import serving
from tests.smart_clients.clients import HERE, installed, run
from tests.smart_clients.served import MANY, PASSWORD, Served, app, served, twin

SCOPES = "launch launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    packages, folder = installed(), tmp_path_factory.mktemp("served")
    bundle = packages / "node_modules" / "fhirclient" / "build" / "fhir-client.js"
    with served(folder) as server, app(HERE / "app.html", bundle, folder / "app") as page:
        twin(
            *(server.home, "client", "add", "growth", "--name", "Growth chart", "--scopes", SCOPES),
            *("--redirect-uri", page, "--launch-url", page),
        )
        yield server, page


def drive(server: Served, **told: object) -> dict[str, object]:
    ended = run("drive.mjs", user="ana", password=PASSWORD, root=server.root, **told)
    assert ended.get("found"), ended
    assert ended["errors"] == []
    found: dict[str, object] = ended["found"]
    return found


def standalone(server: Served, page: str, scope: str) -> str:
    return f"{page}?iss={quote(server.base, safe='')}&scope={quote(scope, safe='')}"


def test_fhirclient_reads_a_twin_after_a_standalone_launch(here):
    server, page = here
    scope = SCOPES.replace("launch ", "", 1)
    found = drive(server, flow="standalone", url=standalone(server, page, scope), search="silva")
    assert found["patient"]["name"][0]["family"] == "Silva"
    assert found["patient"]["id"] == found["refreshed"] in server.patients
    assert len(found["observations"]) == len(set(found["observations"])) == MANY
    assert set(found["scope"].split()) == set(scope.split())
    assert found["user"].endswith("Practitioner/17")
    assert found["other"] == "403"


def test_what_the_person_leaves_out_the_app_does_not_get(here):
    server, page = here
    scope = SCOPES.replace("launch ", "", 1)
    found = drive(
        server,
        flow="standalone",
        url=standalone(server, page, scope),
        search="brown",
        without=["patient/Observation.rs"],
    )
    assert "403" in str(found["error"])


def test_fhirclient_reads_a_twin_after_an_ehr_launch(here):
    server, _ = here
    found = drive(server, flow="ehr", client="growth")
    assert found["patient"]["id"] in server.patients
    assert len(found["observations"]) == MANY


def test_an_app_that_is_denied_is_told_so(here):
    server, page = here
    found = drive(server, flow="denied", url=standalone(server, page, "launch/patient patient/Patient.rs"))
    assert "access_denied" in str(found["error"]) or "denied" in str(found["error"])


def test_fhir_kit_client_discovers_reads_and_pages(here, tmp_path: Path):
    server, _ = here
    key = ECKey.generate_key("P-384", parameters={"kid": "one", "use": "sig", "alg": "ES384"})
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}), "utf-8")
    twin(
        *(server.home, "client", "add", "robot", "--name", "Robot", "--backend", "--jwks", str(tmp_path / "keys.json")),
        *("--scopes", "system/Patient.rs system/Observation.rs"),
    )
    smart = httpx.get(f"{server.base}/.well-known/smart-configuration").json()
    claims = {
        **{"iss": "robot", "sub": "robot", "aud": smart["token_endpoint"]},
        **{"exp": int(time.time()) + 240, "jti": secrets.token_urlsafe(16)},
    }
    answer = httpx.post(
        smart["token_endpoint"],
        data={
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs system/Observation.rs",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "ES384", "kid": "one"}, claims, key, algorithms=["ES384"]),
        },
    )
    assert answer.status_code == 200, answer.text
    patient = next(iter(server.patients))
    found = run("kit.mjs", base=server.base, token=answer.json()["access_token"], patient=patient)
    assert found["token_endpoint"] == smart["token_endpoint"]
    assert found["fhirVersion"] == "4.0.1"
    assert found["read"] == patient
    assert len(set(found["found"])) == MANY
    assert found["history"] == "history"
    assert found["missing"] == 404


def test_a_passkey_is_made_and_used_and_needs_the_person(tmp_path: Path):
    installed()
    with Home.open(load_settings(tmp_path / "home")) as home, serving(home, "localhost") as server:
        server.user()
        ended = run("drive.mjs", flow="passkey", root=server.root, user="ana", password=DOOR_PASSWORD)
        assert ended.get("found"), ended
        assert "Key of the test" in ended["found"]["listed"]
        assert ended["found"]["again"] == "Your apps"
        assert [event["subtype"][0]["code"] for event in server.events("login")] == ["110122", "110122"]

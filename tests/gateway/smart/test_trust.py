"""Tokens of an OpenID provider or of an EHR's authorization server, by configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, Response

from gateway.api.refusal import Refusal
from gateway.home import Home
from gateway.settings import read_settings
from gateway.smart.resource_server import ResourceServer
from security.errors import BadSettings
from security.policy import Caller
from tests.gateway.smart.authorizing import EC, RSA, START, TWIN, public, recorded

BASE = "https://twin.example.org/fhir"
ISSUER = "https://idp.example.org/realms/ward"


@contextmanager
def trusting(folder: Path, entry: str) -> Iterator[tuple[Home, ResourceServer]]:
    (folder / "secret").write_text("idp-secret-canary\n")
    toml = f'[serve.trust.ward]\nissuer = "{ISSUER}"\n{entry}\n'
    with Home.open(read_settings(toml, folder)) as home:
        yield home, ResourceServer(home, BASE)


def token(key: Any = EC, alg: str = "ES384", header: dict[str, Any] | None = None, **changes: Any) -> str:
    at = int(START.timestamp())
    told = {"iss": ISSUER, "aud": BASE, "sub": "u-7", "exp": at + 600, "iat": at, "jti": "j-1", "azp": "dashboard"}
    claims = {**told, "scope": "openid user/*.rs", "realm_access": {"roles": ["doctor", "guest"]}, **changes}
    head = {"alg": alg, "kid": key.kid, "typ": "at+jwt", **(header or {})}
    return jwt.encode(head, {n: v for n, v in claims.items() if v is not None}, key, algorithms=[alg])


def who(resources: ResourceServer, shown: str, now: Any = START) -> Caller:
    return asyncio.run(resources.who(f"Bearer {shown}", now))


def refused(resources: ResourceServer, shown: str, now: Any = START) -> int:
    with pytest.raises(Refusal) as error:
        who(resources, shown, now)
    return error.value.status


ROLES = 'roles = "realm_access.roles"\nrole_names = { doctor = "clinician" }\ntypes = ["at+jwt"]\n'


def test_a_signed_token_is_taken_as_the_settings_say(tmp_path: Path) -> None:
    keys = {"/jwks": Response(json.dumps({"keys": public(EC)}))}
    with recorded(keys) as (url, asked), trusting(tmp_path, f'keys_url = "{url}/jwks"\n{ROLES}') as (_, resources):
        caller = who(resources, token())
        assert (caller.user, caller.client, caller.roles) == (f"{ISSUER}#u-7", "dashboard", {"clinician"})
        assert set(caller.scopes) == {"openid", "user/*.rs"}
        assert caller.token.mark == "urn:ietf:params:oauth:jti:j-1"
        for wrong in (
            token(iss="https://evil.example"),
            token(aud="dashboard"),
            token(aud=None),
            token(exp=int(START.timestamp()) - 61),
            token(exp=None),
            token(exp="later"),
            token(header={"typ": "JWT"}),
            token(header={"kid": "unknown"}),
            token(key=RSA, alg="RS384"),
            token(key=ECKey.generate_key("P-384", parameters={"kid": "ec-1"})),
            token(sub=None, azp=None),
            token() + "x",
        ):
            assert refused(resources, wrong) == 401
        assert asked == ["/jwks"]
        assert who(resources, token(aud=["x", BASE])).user


def test_their_patient_is_our_twin_by_the_source(tmp_path: Path) -> None:
    keys = {"/jwks": Response(json.dumps({"keys": public(EC)}))}
    entry = 'source = "ehr"\nscope = "scp"\npatient = "ctx.patient"\n'
    with recorded(keys) as (url, _), trusting(tmp_path, f'keys_url = "{url}/jwks"\n{entry}') as (home, resources):
        twin = home.store.new_twin(START)
        home.store.link_patient(twin, "ehr", "Patient/p-1")
        told = {"scp": ["patient/*.rs", "bad scope", 7], "scope": None}
        for named in ("p-1", "Patient/p-1", "https://ehr.example.org/Patient/p-1"):
            caller = who(resources, token(**told, ctx={"patient": named}))
            assert (caller.patient, caller.scopes) == (twin, ("patient/*.rs",))
        assert refused(resources, token(**told, ctx={"patient": "p-2"})) == 401
        assert who(resources, token(**told, ctx={})).scopes == ()  # A10: no patient, no patient scopes


def test_without_a_source_the_patient_is_our_twin_itself(tmp_path: Path) -> None:
    keys = {"/jwks": Response(json.dumps({"keys": public(EC)}))}
    with recorded(keys) as (url, _), trusting(tmp_path, f'keys_url = "{url}/jwks"\n') as (_, resources):
        assert who(resources, token(patient=TWIN)).patient == TWIN
        for strange in ("p-1", "../x", TWIN.upper(), TWIN + "\n"):
            assert refused(resources, token(patient=strange)) == 401


def test_an_opaque_token_is_asked_about_and_known_for_half_a_minute(tmp_path: Path) -> None:
    answers: dict[str, Response] = {
        "/introspect": JSONResponse(
            {"active": True, "scope": "system/*.rs", "client_id": "etl", "exp": int(START.timestamp()) + 600}
        )
    }
    with recorded(answers) as (url, asked):
        entry = f'introspection_url = "{url}/introspect"\nclient_id = "us"\nclient_secret_file = "secret"\n'
        with trusting(tmp_path, entry) as (_, resources):
            opaque = "opaque-token-" + "c" * 100
            caller = who(resources, opaque)
            assert (caller.client, caller.user, caller.scopes) == ("etl", "", ("system/*.rs",))
            assert opaque[:60] not in caller.token.mark
            assert who(resources, opaque, START + timedelta(seconds=29)).client == "etl"
            assert asked == ["/introspect"]
            answers["/introspect"] = JSONResponse({"active": False})
            assert refused(resources, opaque, START + timedelta(seconds=30)) == 401
            assert asked == ["/introspect"] * 2
            for bad in (
                Response("x"),
                JSONResponse([]),
                JSONResponse({"active": "true"}),
                JSONResponse({"active": True, "scope": "system/*.rs", "client_id": "etl", "aud": "other"}),
                JSONResponse({"active": True, "scope": "x", "client_id": "etl", "iss": "https://evil.example"}),
                JSONResponse({"active": True, "scope": "system/*.rs"}),
                JSONResponse({"active": True, "client_id": "etl", "exp": int(START.timestamp()) - 100}),
            ):
                answers["/introspect"] = bad
                assert refused(resources, f"other-{id(bad)}-" + "x" * 80) in (401, 503)


def test_whether_a_token_holds_is_not_guessed_while_its_issuer_does_not_answer(tmp_path: Path) -> None:
    with recorded({"/introspect": Response(status_code=500)}) as (url, _):
        entry = f'introspection_url = "{url}/introspect"\nclient_id = "us"\nclient_secret_file = "secret"\n'
        with trusting(tmp_path, entry) as (_, resources):
            assert refused(resources, "opaque-token") == 503
    assert refused_again(tmp_path, entry) == 503


def refused_again(folder: Path, entry: str) -> int:
    with trusting(folder, entry) as (_, resources):
        return refused(resources, "opaque-token")


@pytest.mark.parametrize(
    "entry",
    [
        "",
        'keys_url = "https://a.example/k"\nintrospection_url = "https://a.example/i"',
        'introspection_url = "https://a.example/i"',
        'keys_url = "http://a.example/k"',
        'keys_url = "https://a.example/k"\nalgorithms = ["HS256"]',
        'keys_url = "https://a.example/k"\nalgorithms = []',
        'keys_url = "https://a.example/k"\nrole_names = { doctor = "god" }',
        'keys_url = "https://a.example/k"\naudiance = "x"',
    ],
)
def test_settings_that_cannot_be_right_are_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(BadSettings), trusting(tmp_path, entry):
        pass


def test_we_are_not_an_issuer_that_we_trust(tmp_path: Path) -> None:
    toml = f'[serve.trust.me]\nissuer = "{BASE}"\nkeys_url = "https://a.example/k"'
    with Home.open(read_settings(toml, tmp_path)) as home, pytest.raises(BadSettings):
        ResourceServer(home, BASE)

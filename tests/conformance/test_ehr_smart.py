"""Tokens: SMART App Launch 2.2.0 backend-services.html; requirement numbers are those of security_conformance.md."""

from __future__ import annotations

import string
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from conformance.hostile import Ehr
from conformance.hostile.scopes import grant, parse_scope
from security.errors import BadSettings

TOKEN = "http://ehr.test/auth/token"


@pytest.fixture
def guarded(bench, observation, ec_client, rsa_client):
    """An EHR that wants a token, and knows two clients."""

    def make(scopes="system/*.cruds", **settings):
        table = bench(observation(id="a"), observation(id="b"), require_auth=True, **settings)
        for client in (ec_client, rsa_client):
            table.ehr.smart.register(client.name, client.jwks, scopes)
        return table

    return make


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_both_algorithms_get_a_token_that_opens_the_door(guarded, ec_client, rsa_client):
    """C1."""
    table = guarded()
    for client in (ec_client, rsa_client):
        answer = await table.http.post(TOKEN, data=client.form(TOKEN))
        told = answer.json()
        assert (answer.status_code, told["token_type"], told["expires_in"]) == (200, "bearer", 300)
        assert told["scope"] == "system/*.rs"
        assert answer.headers["cache-control"] == "no-store"
        assert (await table.http.get("Observation", headers=bearer(told["access_token"]))).json()["total"] == 2


async def test_without_a_token_only_the_statement_is_open(guarded):
    table = guarded()
    for path in ("Observation", "Observation/a", "Observation/a/_history", "?_getpages=x"):
        answer = await table.http.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["resourceType"] == "OperationOutcome"
    for header in ({"Authorization": "Basic eDp5"}, bearer("made-up"), bearer("")):
        assert (await table.http.get("Observation", headers=header)).status_code == 401
    assert (await table.http.get("metadata")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "http://elsewhere.invalid/token"},
        {"aud": None},
        {"sub": "someone-else"},
        {"iss": "someone-else", "sub": "someone-else"},
        {"exp": 1},
        {"exp": None},
        {"exp": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"jti": None},
        {"jti": 7},
        {"header": {"kid": "unknown"}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"jku": "http://elsewhere.invalid/keys"}},
    ],
)
async def test_an_assertion_with_one_fault_is_refused(changes, guarded, ec_client):
    """C2 and C4."""
    answer = await guarded().http.post(TOKEN, data=ec_client.form(TOKEN, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


async def test_an_assertion_signed_by_another_key_is_refused(guarded, ec_client):
    impostor = type(ec_client)("twin", ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True), "ES384")
    answer = await guarded().http.post(TOKEN, data=impostor.form(TOKEN))
    assert answer.json()["error"] == "invalid_client"


async def test_an_algorithm_off_the_list_is_refused(bench, ec_client):
    """C1: ES256 is sound, and still not one of SMART's two."""
    other = type(ec_client)("other", ECKey.generate_key("P-256", {"kid": "p256"}, private=True), "ES256")
    table = bench(require_auth=True)
    table.ehr.smart.register("other", other.jwks)
    assert (await table.http.post(TOKEN, data=other.form(TOKEN))).json()["error"] == "invalid_client"


async def test_an_assertion_works_once_however_it_is_spelled(guarded, rsa_client):
    """C3: 256 bytes leave four spare bits in base64, so that one signature has sixteen spellings."""
    table = guarded()
    form = rsa_client.form(TOKEN)
    assert (await table.http.post(TOKEN, data=form)).status_code == 200
    assert (await table.http.post(TOKEN, data=form)).json()["error"] == "invalid_client"
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    text = form["client_assertion"]
    respelled = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
    answer = await table.http.post(TOKEN, data={**form, "client_assertion": respelled})
    assert answer.json()["error"] == "invalid_client"
    for _ in range(2):  # another signature, the same jti
        answer = await table.http.post(TOKEN, data=rsa_client.form(TOKEN, jti="once"))
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "jwt"}, "invalid_client"),
        ({"client_assertion": "not.a.jwt"}, "invalid_client"),
        ({"client_assertion": "häh"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "patient/*.rs launch"}, "invalid_scope"),
    ],
)
async def test_a_request_with_one_fault_is_refused(change, error, guarded, ec_client):
    answer = await guarded().http.post(TOKEN, data={**ec_client.form(TOKEN), **change})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_token_expires(guarded):
    now = [datetime.now(UTC)]
    table = guarded(clock=lambda: now[0], token_lifetime=60.0)
    headers = bearer(table.ehr.smart.issue("twin", "system/*.rs"))
    assert (await table.http.get("Observation", headers=headers)).status_code == 200
    now[0] += timedelta(seconds=60)
    assert (await table.http.get("Observation", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("scope", "request_", "status"),
    [
        ("system/Observation.rs", "GET Observation", 200),
        ("system/Observation.r", "GET Observation", 403),
        ("system/Observation.s", "GET Observation/a", 403),
        ("system/Patient.rs", "GET Observation/a", 403),
        ("system/Observation.read", "GET Observation/a", 200),
        ("system/Observation.read", "POST Observation", 403),
        ("system/Observation.c", "POST Observation", 201),
        ("system/Observation.write", "POST Observation", 201),
        ("system/Observation.c", "DELETE Observation/a", 403),
        ("system/*.*", "DELETE Observation/a", 204),
    ],
)
async def test_a_scope_allows_what_it_says(scope, request_, status, guarded, observation):
    method, path = request_.split()
    table = guarded()
    headers = bearer(table.ehr.smart.issue("twin", scope))
    body = observation() if method == "POST" else None
    answer = await table.http.request(method, path, json=body, headers=headers)
    assert answer.status_code == status


async def test_each_entry_of_a_transaction_needs_its_scope(guarded, observation):
    """B9."""
    table = guarded()
    device = {"resourceType": "Device"}
    entries = [
        {"resource": observation(), "request": {"method": "POST", "url": "Observation"}},
        {"resource": device, "request": {"method": "POST", "url": "Device"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    narrow, wide = (table.ehr.smart.issue("twin", s) for s in ("system/Observation.c", "system/*.c"))
    assert (await table.http.post("", json=bundle, headers=bearer(narrow))).status_code == 403
    assert table.ehr.store.counts() == {"Observation": 2}
    assert (await table.http.post("", json=bundle, headers=bearer(wide))).status_code == 200


@pytest.mark.parametrize(
    ("asked", "allowed", "granted"),
    [
        ("system/*.rs", "system/*.cruds", "system/*.rs"),
        ("system/*.cruds", "system/Observation.rs", "system/Observation.rs"),
        ("system/*.*", "system/Patient.rs", "system/Patient.read"),
        ("system/*.read system/Observation.write", "system/*.read", "system/*.read"),
        ("system/Patient.rs", "system/Observation.rs", ""),
        ("system/Observation.cud", "system/Observation.cu system/Patient.rs", "system/Observation.cu"),
        ("system/Observation.rs?category=laboratory", "system/*.cruds", ""),
        ("system/Observation.sr", "system/*.cruds", ""),
        ("user/Observation.rs", "system/*.cruds", ""),
    ],
)
def test_a_grant_is_what_was_asked_as_far_as_it_is_allowed(asked, allowed, granted):
    assert " ".join(grant(asked, allowed, ("v1", "v2"))) == granted


@given(st.text(alphabet="cruds", max_size=6))
def test_the_letters_of_a_scope_stand_in_order(letters):
    """SMART 2.2.0: out-of-order letters are not guessed at."""
    in_order = bool(letters) and "".join(sorted(set(letters), key="cruds".index)) == letters
    assert (parse_scope(f"system/Observation.{letters}") is not None) == in_order


async def test_a_server_of_one_scope_version_grants_that_one(guarded, ec_client):
    table = guarded(scope_versions=("v1",))
    answer = await table.http.post(TOKEN, data=ec_client.form(TOKEN, scope="system/*.rs system/Patient.read"))
    assert answer.json()["scope"] == "system/Patient.read"
    told = (await table.http.get(".well-known/smart-configuration")).json()
    assert "permission-v2" not in told["capabilities"]


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": [{"kty": "EC"}]}, {"keys": [{"kid": "x", "kty": "EC"}]}])
def test_a_key_set_that_cannot_be_used_is_refused(jwks):
    with pytest.raises(BadSettings):
        Ehr().smart.register("twin", jwks)


def test_a_private_key_is_not_registered(ec_client):
    with pytest.raises(BadSettings, match="private"):
        Ehr().smart.register("twin", {"keys": [ec_client.key.as_dict(private=True)]})

"""An app gets tokens for a person: by Authlib's own client, as SMART App Launch 2.2 has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.gateway.smart.authorizing import (
    HTTP,
    LAUNCHED,
    REDIRECT,
    SECRET,
    TWIN,
    App,
    Server,
    query,
    served,
    with_secret,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as running:
        running.register()
        with_secret(running)
        yield running


@pytest.mark.parametrize(
    ("id_", "way"), [("app", "none"), ("portal", "client_secret_basic"), ("portal", "client_secret_post")]
)
def test_authlibs_client_gets_tokens_uses_and_renews_them(server: Server, id_: str, way: str) -> None:
    told = HTTP.get(server.base + "/.well-known/smart-configuration").json()
    secret = SECRET if way != "none" else None
    with OAuth2Client(
        id_, secret, token_endpoint_auth_method=way, scope=LAUNCHED, redirect_uri=REDIRECT, code_challenge_method="S256"
    ) as client:
        verifier = "v" * 43
        url, state = client.create_authorization_url(
            told["authorization_endpoint"], code_verifier=verifier, aud=server.base
        )
        where = server.agree(HTTP.get(url))
        assert query(where)["iss"] == told["issuer"]
        token = client.fetch_token(
            told["token_endpoint"], authorization_response=where, code_verifier=verifier, state=state
        )
        assert client.get(server.at("/who")).json()["patient"] == TWIN
        assert (token["patient"], token["token_type"], token["expires_in"]) == (TWIN, "Bearer", 3600)
        assert set(token["scope"].split()) == set(LAUNCHED.split())
        renewed = client.refresh_token(told["token_endpoint"], token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert renewed["access_token"] != token["access_token"]
        assert client.get(server.at("/who")).json()["user"] == "ana"


def test_the_id_token_says_who_the_person_is_to_this_app_only(server: Server) -> None:
    told = server.tokens(App(), nonce="n-123")
    keys = KeySet.import_key_set(HTTP.get(server.at("/auth/jwks")).json())
    token = jwt.decode(told["id_token"], keys, algorithms=["RS256"])
    assert token.claims["aud"] == "app"
    assert token.claims["iss"] == server.base
    assert token.claims["nonce"] == "n-123"
    assert token.claims["fhirUser"] == f"{server.base}/Practitioner/7"
    assert server.who(told["id_token"]).status_code == 401


def test_get_and_post_of_an_authorization_request_are_the_same(server: Server) -> None:
    asked = App().asks(server.base)
    by_get = HTTP.get(server.at("/auth/authorize"), params=asked)
    by_post = HTTP.post(server.at("/auth/authorize"), data=asked)
    assert (by_get.status_code, by_post.status_code) == (302, 302)
    login = [urlsplit(each.headers["location"]) for each in (by_get, by_post)]
    assert login[0].path == login[1].path == "/auth/login"
    assert server.redeem(App(), "x").status_code == 400


def test_state_comes_back_to_the_letter(server: Server) -> None:
    for state in ("a b+c%20&=?#/ä漢", "x" * 2048, '{"a": [1]}'):
        where = server.agree(server.authorize(App(state=state)))
        assert parse_qs(urlsplit(where).query)["state"] == [state]


def test_what_a_person_leaves_out_is_not_in_the_token(server: Server) -> None:
    told = server.tokens(App(), agreed="launch/patient patient/Observation.rs?category=laboratory")
    assert told["scope"] == "launch/patient patient/Observation.rs?category=laboratory"
    assert "refresh_token" not in told
    assert "id_token" not in told


def test_no_answer_about_tokens_is_kept_by_anybody(server: Server) -> None:
    good = server.redeem(app := App(), server.code(app))
    bad = server.redeem(app, "nothing")
    for answer in (good, bad):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["content-type"] == "application/json"


def test_patient_scopes_without_a_patient_cannot_be_had(server: Server) -> None:
    from security.errors import Misuse

    for scopes in ("patient/*.rs", "launch/patient", "launch/patient user/*.rs"):
        with pytest.raises(Misuse, match="one patient"):
            server.agree(server.authorize(App(), scope=LAUNCHED + " user/*.rs"), scopes, patient="")


def test_who_is_no_resource_gives_no_app_its_name(server: Server) -> None:
    from security.errors import Misuse

    nobody = server.enrol(name="eve", fhir_user="")
    with pytest.raises(Misuse, match="no resource"):
        server.agree(server.authorize(App()), account=nobody)


def test_a_token_lists_no_scope_by_which_its_person_could_have_nothing(server: Server) -> None:
    """A9: what was asked for, within what is registered, within policy."""
    from security.errors import Misuse

    odd = server.enrol(name="odd", roles=("auditor",))
    asked = "launch/patient patient/Consent.rs patient/Observation.rs patient/*.cud"
    app = App()
    where = server.agree(server.authorize(app, scope=asked), account=odd)
    told = server.redeem(app, query(where)["code"]).json()
    assert told["scope"] == "launch/patient patient/Consent.rs"
    with pytest.raises(Misuse, match="for this person"):
        server.agree(server.authorize(App(), scope="patient/Observation.rs"), account=odd)


def test_nobody_gives_more_than_was_asked(server: Server) -> None:
    from security.errors import Misuse

    for more in ("patient/*.cruds", "user/*.rs", "patient/*.rs user/Patient.r"):
        with pytest.raises(Misuse, match="More"):
            server.agree(server.authorize(App(), scope="launch/patient patient/*.rs"), more)


def test_no_credential_is_in_the_audit(server: Server, tmp_path: Path) -> None:
    app = App(id="portal", verifier="canary-verifier-" + "z" * 40)
    code = server.code(app)
    answer = server.redeem(app, code, client_secret=SECRET).json()
    server.refresh(app, answer["refresh_token"], client_secret=SECRET)
    server.refresh(app, answer["refresh_token"], client_secret="wrong-canary-secret")
    events = server.told()
    assert "IUA.71" in events
    assert "portal" in events
    assert "grant_type=authorization_code" in events
    for secret in (code, SECRET, app.verifier, answer["refresh_token"], answer["access_token"], "wrong-canary"):
        assert secret not in events
        assert secret[-33:] not in events


@pytest.mark.parametrize(
    "scope", ["user/*.read", "user/Observation.rs", "patient/*.read", "patient/Observation.rs?category=laboratory"]
)
def test_scopes_of_both_spellings_and_all_contexts_come_back_as_they_were_asked_for(server: Server, scope: str) -> None:
    told = server.tokens(App(), scope=f"launch/patient {scope}")
    assert set(told["scope"].split()) == {"launch/patient", scope}
    assert set(server.who(told["access_token"]).json()["scopes"]) == {"launch/patient", scope}


def test_no_secret_is_in_a_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        app = App(id="portal")
        code = server.code(app)
        told = server.redeem(app, code, client_secret=SECRET).json()
        server.refresh(app, told["refresh_token"], client_secret=SECRET)
        server.who(told["access_token"])
    said = "".join(each.getMessage() for each in caplog.records if not each.name.startswith(("httpx", "httpcore")))
    for secret in (code, SECRET, app.verifier, told["refresh_token"], told["access_token"]):
        assert secret not in said

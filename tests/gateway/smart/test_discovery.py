"""What we say of ourselves is so: each address answers, each capability has its test, whoever may read it can."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.smart.discovery import CAPABILITIES
from gateway.smart.rate import Rate
from tests.gateway.smart.authorizing import HTTP, SECRET, App, Server, served, with_secret

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 20") as running:
        running.register()
        with_secret(running)
        yield running


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "application/fhir+json", "image/png", ""])
def test_the_configuration_is_json_whatever_is_accepted(server: Server, accept: str) -> None:
    answer = HTTP.get(server.base + "/.well-known/smart-configuration", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    told = answer.json()
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["issuer"] == server.base
    for name, value in told.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(server.root + "/")


def test_it_is_the_same_where_oauth_and_openid_connect_look_for_it(server: Server) -> None:
    told = HTTP.get(server.base + "/.well-known/smart-configuration").json()
    for name in ("oauth-authorization-server", "openid-configuration"):
        assert HTTP.get(f"{server.base}/.well-known/{name}").json() == told
        assert HTTP.get(f"{server.root}/.well-known/{name}/fhir").json() == told


def test_each_address_that_is_ours_answers(server: Server) -> None:
    told = HTTP.get(server.base + "/.well-known/smart-configuration").json()
    assert HTTP.get(told["jwks_uri"]).json()["keys"][0]["alg"] == "RS256"
    assert HTTP.get(told["authorization_endpoint"]).status_code == 400
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert HTTP.post(told[name], data={"client_id": "nobody", "grant_type": "refresh_token"}).status_code == 400
        assert HTTP.get(told[name]).status_code == 405


def test_each_capability_has_a_test_and_no_other_is_claimed() -> None:
    table = re.findall(r"^\| `([a-z0-9-]+)` \| `([^`]+)::([^`]+)` \|$", (ROOT / "docs/smart.md").read_text(), re.M)
    assert sorted(name for name, _, _ in table) == sorted(CAPABILITIES)
    for name, file, test in table:
        tree = ast.parse((ROOT / file).read_text())
        assert test in {
            each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }, name


def test_pages_of_registered_apps_may_read_answers_and_no_others(server: Server) -> None:
    for path in ("/auth/token", "/auth/revoke", "/auth/introspect"):
        for origin, may in (
            ("https://app.example.org", True),
            ("https://evil.example", False),
            ("https://app.example.org.evil.example", False),
            ("null", False),
            ("http://app.example.org", False),
        ):
            asked = HTTP.options(server.at(path), headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
            answer = HTTP.post(server.at(path), data={"client_id": "nobody"}, headers={"Origin": origin})
            for each in (asked, answer):
                assert each.headers.get("access-control-allow-origin") == (origin if may else None)
                assert "access-control-allow-credentials" not in each.headers
                assert each.headers["vary"] == "Origin"
    assert (
        HTTP.get(server.at("/auth/jwks"), headers={"Origin": "https://evil.example"}).headers[
            "access-control-allow-origin"
        ]
        == "*"
    )


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"{}", "application/json", "invalid_request"),
        (b"grant_type=password&username=a&password=b", "", "invalid_request"),
        (b"grant_type=password&username=a&password=b&client_id=app", "form", "unsupported_grant_type"),
        (b"grant_type=refresh_token&grant_type=refresh_token", "form", "invalid_request"),
        (b"grant_type=%ff", "form", "invalid_request"),
        (b"a=" + b"x" * 40_000, "form", "invalid_request"),
        (b"&".join(b"a%d=1" % n for n in range(100)), "form", "invalid_request"),
        (b"", "form", "unsupported_grant_type"),
        (b"grant_type=authorization_code&client_id=app", "form", "invalid_request"),
        (b"grant_type=authorization_code&code=x", "form", "invalid_client"),
        (b"grant_type=client_credentials&client_id=app", "form", "unauthorized_client"),
    ],
)
def test_what_cannot_be_answered_is_told_in_the_words_of_oauth(
    server: Server, body: bytes, kind: str, error: str
) -> None:
    kind = "application/x-www-form-urlencoded" if kind == "form" else kind
    answer = HTTP.post(server.at("/auth/token"), content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" not in answer.text


def test_an_unknown_client_and_a_wrong_secret_look_the_same(server: Server) -> None:
    with_secret(server, id="off", disabled=True)
    answers = []
    for id_, secret in (("portal", "wrong"), ("nobody", "wrong"), ("off", SECRET), ("app", "wrong")):
        form = {"grant_type": "refresh_token", "refresh_token": "x"}
        answers.append(server.post("/auth/token", {**form, "client_id": id_, "client_secret": secret}))
        answers.append(server.post("/auth/token", form, auth=(id_, secret)))
    for same in (answers[0::2], answers[1::2]):
        assert len({(each.status_code, each.content, each.headers.get("www-authenticate")) for each in same}) == 1
    assert [each.status_code for each in answers[:2]] == [400, 401]


def test_who_asks_twice_as_often_as_they_may_is_told_when_to_come_back(server: Server) -> None:
    answers = [server.redeem(App(id="eager"), "x") for _ in range(40)]
    limited = [each for each in answers if each.status_code == 429]
    assert 15 <= len(limited) <= 25
    assert all(1 <= int(each.headers["retry-after"]) <= 60 for each in limited)
    assert server.redeem(App(id="calm"), "x").status_code == 400  # another client waits for nobody


def test_the_rate_comes_back_with_time() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait("a", "1.2.3.4") for _ in range(60)] == [0] * 60
    assert rate.wait("a", "1.2.3.4") == 1
    assert rate.wait("b", "1.2.3.4") == 0
    assert rate.wait("a", "1.2.3.5") == 0
    now[0] += 2
    assert [rate.wait("a", "1.2.3.4") for _ in range(3)] == [0, 0, 1]

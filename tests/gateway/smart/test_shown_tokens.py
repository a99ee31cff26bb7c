"""Others ask whether a token holds, and end tokens of their own (A14, A15)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.smart.authorizing import (
    LAUNCHED,
    SECRET,
    TWIN,
    App,
    Server,
    ask_as_robot,
    assertion,
    robot,
    served,
    with_secret,
)

AUTH = ("asker", SECRET)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as running:
        running.register()
        running.register(id="other")
        with_secret(running, id="asker", introspects=True, redirect_uris=())
        with_secret(running)
        robot(running)
        yield running


def asked(server: Server, token: str, **said: object) -> dict[str, object]:
    answer = server.post("/auth/introspect", {"token": token}, auth=AUTH, **said)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_of_a_token_that_holds_all_is_told(server: Server) -> None:
    told = server.tokens(App())
    found = asked(server, told["access_token"])
    assert found["active"] is True
    assert set(str(found["scope"]).split()) == set(LAUNCHED.split())
    assert (found["client_id"], found["sub"], found["iss"]) == ("app", "ana", server.base)
    assert found["fhirUser"] == f"{server.base}/Practitioner/7"
    assert found["patient"] == TWIN
    assert found["need_patient_banner"] is True
    assert found["exp"] == int(server.clock().timestamp()) + 3600
    renewed = asked(server, told["refresh_token"])
    assert (renewed["active"], renewed["client_id"]) == (True, "app")
    of_robot = asked(server, ask_as_robot(server, assertion(server)).json()["access_token"])
    assert (of_robot["client_id"], of_robot["sub"]) == ("robot", "robot")
    assert "username" not in of_robot


def test_of_a_token_that_does_not_hold_nothing_is_told(server: Server) -> None:
    told = server.tokens(App())
    server.post("/auth/revoke", {"client_id": "app", "token": told["refresh_token"]})
    expired = server.tokens(App())["access_token"]
    server.clock.on(minutes=62)
    for token in (told["access_token"], told["refresh_token"], expired, "x", "x" * 9000, "a.b.c"):
        assert asked(server, token) == {"active": False}


def test_nobody_else_may_ask(server: Server) -> None:
    token = server.tokens(App())["access_token"]
    assert server.post("/auth/introspect", {"token": token}).status_code == 400
    assert server.post("/auth/introspect", {"token": token}, auth=("asker", "wrong")).status_code == 401
    assert server.post("/auth/introspect", {"token": token}, auth=("portal", SECRET)).status_code == 403
    assert server.post("/auth/introspect", {"token": token, "client_id": "app"}).status_code == 403
    assert server.post("/auth/introspect", {}, auth=AUTH).status_code == 400


def test_a_tenant_is_a_wall_here_too(server: Server) -> None:
    with_secret(server, id="north", introspects=True, tenant="north", redirect_uris=())
    token = server.tokens(App())["access_token"]
    answer = server.post("/auth/introspect", {"token": token}, auth=("north", SECRET))
    assert answer.json() == {"active": False}


def test_a_program_asks_with_its_signature(server: Server) -> None:
    robot(server, introspects=True)
    form = {
        "token": server.tokens(App())["access_token"],
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(server, aud=server.at("/auth/introspect")),
    }
    assert server.post("/auth/introspect", form).json()["active"] is True
    assert server.post("/auth/introspect", form).json()["error"] == "invalid_client"  # used


def test_an_access_token_ends_alone_and_a_refresh_token_with_all_under_it(server: Server) -> None:
    app = App()
    told = server.tokens(app)
    other = server.refresh(app, told["refresh_token"]).json()
    end = {"client_id": "app"}
    assert server.post("/auth/revoke", {**end, "token": told["access_token"]}).status_code == 200
    assert server.who(told["access_token"]).status_code == 401
    assert server.who(other["access_token"]).status_code == 200
    assert server.post("/auth/revoke", {**end, "token": other["refresh_token"]}).status_code == 200
    assert server.who(other["access_token"]).status_code == 401
    assert server.refresh(app, other["refresh_token"]).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("token", ["x", "x.0.y", "a.b.c", "x" * 9000])
def test_it_is_200_whatever_the_token_is(server: Server, token: str) -> None:
    for hint in ({}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "nonsense"}):
        answer = server.post("/auth/revoke", {"client_id": "app", "token": token, **hint})
        assert (answer.status_code, answer.json()) == (200, {})


def test_nobody_ends_another_ones_token(server: Server) -> None:
    told = server.tokens(App())
    for token in (told["access_token"], told["refresh_token"]):
        assert server.post("/auth/revoke", {"client_id": "other", "token": token}).status_code == 200
    assert server.who(told["access_token"]).status_code == 200
    assert server.post("/auth/revoke", {"client_id": "portal", "token": told["access_token"]}).status_code == 400

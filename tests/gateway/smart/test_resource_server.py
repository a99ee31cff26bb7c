"""A token is asked about at each request: what was revoked or disabled anywhere ends at once (B4, B13, A15)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from gateway.home import Home
from gateway.settings import read_settings
from gateway.smart.refresh import revoke_family, see
from gateway.smart.resource_server import ResourceServer
from tests.gateway.smart.authorizing import HTTP, App, Server, ask_as_robot, assertion, robot, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as running:
        running.register()
        yield running


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", ""),
        ("Basic YTpi", "invalid_token"),
        ("Bearer", "invalid_token"),
        ("Bearer x", "invalid_token"),
        ("Bearer x y", "invalid_token"),
        ("Bearer " + "x" * 9000, "invalid_token"),
    ],
)
def test_without_a_token_that_holds_there_is_401_and_how_to_come(server: Server, header: str, error: str) -> None:
    answer = HTTP.get(server.at("/who"), headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    told = answer.headers["www-authenticate"]
    assert told.startswith("Bearer ")
    assert (f'error="{error}"' in told) is bool(error)
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_person_has_the_roles_that_they_have_now(server: Server) -> None:
    token = server.tokens(App())["access_token"]
    assert server.who(token).json()["roles"] == ["clinician"]
    server.enrol(roles=("auditor",))
    assert server.who(token).json()["roles"] == ["auditor"]
    server.enrol()


@pytest.mark.parametrize("change", [{"disabled": True}, {"session": 6}, {"tenant": "north"}])
def test_a_disabled_or_changed_account_ends_its_tokens_at_once(server: Server, change: dict[str, object]) -> None:
    token = server.tokens(App())["access_token"]
    assert server.who(token).status_code == 200
    server.enrol(**change)
    assert server.who(token).status_code == 401
    server.enrol()
    assert server.who(token).status_code == 200


def test_a_disabled_client_has_no_tokens(server: Server) -> None:
    token = server.tokens(App())["access_token"]
    server.register(disabled=True)
    assert server.who(token).status_code == 401
    server.register()
    assert server.who(token).status_code == 200
    robot(server)
    token = ask_as_robot(server, assertion(server)).json()["access_token"]
    assert server.who(token).status_code == 200
    robot(server, backend=False)
    assert server.who(token).status_code == 401


def test_what_another_process_revokes_is_revoked_here(server: Server) -> None:
    told = server.tokens(App())
    assert server.who(told["access_token"]).status_code == 200
    with Home.open(read_settings("", server.home.settings.home)) as other:  # a store of its own, as a process has
        shown = see(other.store, told["refresh_token"], server.clock())
        assert shown is not None
        revoke_family(other.store, shown.granted, server.clock())
    assert server.who(told["access_token"]).status_code == 401


def test_a_token_ends_when_it_says_so_though_it_is_known(server: Server) -> None:
    token = server.tokens(App())["access_token"]
    began = server.clock()
    assert server.who(token).status_code == 200
    server.clock.on(minutes=61)
    assert server.who(token).status_code == 401
    server.clock.now = began


def test_a_token_of_another_installation_is_none(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    token = server.tokens(App())["access_token"]

    async def asked(base: str) -> int:
        from gateway.api.refusal import Refusal

        try:
            await ResourceServer(server.home, base).who(f"Bearer {token}", server.clock())
        except Refusal as refusal:
            return refusal.status
        return 200

    assert asyncio.run(asked(server.base)) == 200
    assert asyncio.run(asked(server.base.replace("127.0.0.1", "other"))) == 401


def test_a_token_that_is_known_costs_next_to_nothing(server: Server) -> None:
    token = f"Bearer {server.tokens(App())['access_token']}"
    resources, now = ResourceServer(server.home, server.base), server.clock()

    async def measured() -> float:
        await resources.who(token, now)
        rounds = []
        for _ in range(9):
            begun = time.perf_counter()
            for _ in range(200):
                await resources.who(token, now)
            rounds.append((time.perf_counter() - begun) / 200)
        return min(rounds)

    took = asyncio.run(measured())
    assert took < 200e-6  # 15 µs on an idle machine; checking the signature alone is as much as this bound

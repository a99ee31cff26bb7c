"""A code is good once, for a minute, for its app and its verifier; a second use ends what it gave (A2, A6)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.smart.authorizing import App, Server, served, with_secret


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 10000") as running:
        running.register()
        with_secret(running)
        running.register(id="other")
        yield running


@pytest.mark.parametrize("verifier", [None, "", "wrong" * 10, "challenge", "a" * 42, "a" * 129, "ä" * 43])
def test_without_the_right_verifier_there_is_no_token_and_the_code_is_spent(
    server: Server, verifier: str | None
) -> None:
    app = App()
    code = server.code(app)
    shown = app.challenge if verifier == "challenge" else verifier
    answer = server.redeem(app, code, code_verifier=shown)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")
    assert server.redeem(app, code).json() == {"error": "invalid_grant"}


@settings(max_examples=15, deadline=None)
@given(st.one_of(*(st.text("abcXYZ019-._~", min_size=n, max_size=n) for n in (42, 43, 128, 129))))
def test_a_verifier_has_43_to_128_characters(server: Server, verifier: str) -> None:
    app = App(verifier=verifier)
    is_good = server.redeem(app, server.code(app)).status_code == 200
    assert is_good is (43 <= len(verifier) <= 128)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://app.example.org/callback/"},
        {"redirect_uri": None},
    ],
)
def test_a_code_is_for_one_app_at_one_place(server: Server, changes: dict[str, str | None]) -> None:
    app = App()
    assert server.redeem(app, server.code(app), **changes).json() == {"error": "invalid_grant"}


def test_a_code_is_good_for_a_minute(server: Server) -> None:
    app = App()
    code = server.code(app)
    server.clock.on(seconds=59)
    assert server.redeem(app, code).status_code == 200
    code = server.code(app)
    server.clock.on(seconds=60)
    assert server.redeem(app, code).json() == {"error": "invalid_grant"}


def test_a_code_that_comes_back_ends_the_tokens_that_it_gave(server: Server) -> None:
    app = App()
    code = server.code(app)
    told = server.redeem(app, code).json()
    assert server.who(told["access_token"]).status_code == 200
    assert server.redeem(app, code).json() == {"error": "invalid_grant"}
    assert server.who(told["access_token"]).status_code == 401
    assert server.refresh(app, told["refresh_token"]).json() == {"error": "invalid_grant"}
    assert "code-used-twice" in server.told()


def test_of_fifty_who_redeem_a_code_at_once_one_gets_tokens(server: Server) -> None:
    app = App()
    code = server.code(app)
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: server.redeem(app, code), range(50)))
    assert sorted(each.status_code for each in answers) == [200] + [400] * 49


def test_who_was_disabled_since_gets_nothing_for_their_code(server: Server) -> None:
    app = App()
    code = server.code(app)
    server.enrol(disabled=True)
    assert server.redeem(app, code).json() == {"error": "invalid_grant"}
    server.enrol()

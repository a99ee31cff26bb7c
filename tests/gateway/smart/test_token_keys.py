"""Signing keys are exchanged and nobody notices: who keeps our keys as long as we say has the new one (A13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.cli import main
from gateway.home import Home
from gateway.settings import read_settings
from gateway.smart.token_keys import PUBLISHED, rotate_signing_key, signing_keys
from security.signed import open_unverified
from tests.gateway.smart.authorizing import HTTP, App, Server, served


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as running:
        running.register()
        yield running


def kid(token: str) -> str:
    return str(open_unverified(token).header["kid"])


def published(server: Server) -> dict[str, object]:
    answer = HTTP.get(server.at("/auth/jwks"))
    assert answer.headers["cache-control"] == f"max-age={int(PUBLISHED.total_seconds())}"
    return dict(answer.json())


def test_a_key_is_published_before_it_signs_and_until_its_last_token_ends(server: Server) -> None:
    first = server.tokens(App())["access_token"]
    kept = KeySet.import_key_set(published(server))
    new = rotate_signing_key(server.home.store, server.clock())
    assert rotate_signing_key(server.home.store, server.clock()).kid == new.kid  # one at a time
    assert len(published(server)["keys"]) == 2  # type: ignore[arg-type]
    while server.clock() < new.signs:  # who fetched our keys at any time has the key of any token
        told = server.tokens(App())
        assert kid(told["access_token"]) == kid(first)
        jwt.decode(told["id_token"], kept, algorithms=["RS256"])
        server.clock.on(seconds=100)
        if server.clock() < new.signs and (new.signs - server.clock()) < PUBLISHED:
            kept = KeySet.import_key_set(published(server))
    told = server.tokens(App())
    assert kid(told["access_token"]) == new.kid
    jwt.decode(told["id_token"], kept, algorithms=["RS256"])
    assert server.who(told["access_token"]).status_code == server.who(first).status_code == 200
    server.clock.on(minutes=70)
    assert [key["kid"] for key in published(server)["keys"]] == [new.kid]  # type: ignore[attr-defined]
    assert server.who(first).status_code == 401


def test_two_processes_have_the_same_key(server: Server) -> None:
    with Home.open(read_settings("", server.home.settings.home)) as other:
        mine, theirs = (signing_keys(each.store, server.clock()) for each in (server.home, other))
        assert mine.rotation(server.clock()).kid == theirs.rotation(server.clock()).kid
        new = rotate_signing_key(other.store, server.clock())
    server.clock.on(seconds=(PUBLISHED + timedelta(minutes=2)).total_seconds())
    assert kid(server.tokens(App())["access_token"]) == new.kid


def test_the_keys_are_sealed(server: Server) -> None:
    key = signing_keys(server.home.store, server.clock()).rotation(server.clock()).key
    folder = server.home.settings.home
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert key["d"].encode() not in written
    assert key["n"].encode() not in written


def test_a_command_shows_and_exchanges_them(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(server.home.settings.home)]
    assert main(["keys", "tokens", *home]) == 0
    assert capsys.readouterr().out.count("signs:") == 1
    assert main(["keys", "tokens", "--rotate", *home]) == 0
    said = capsys.readouterr().out
    assert (said.count("signs:"), said.count("next:"), said.count("published until")) == (1, 1, 1)
    assert any("110136" in str(event) or "rotate" in str(event) for event in server.events())

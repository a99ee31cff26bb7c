"""Refresh tokens: exchanged each time, never widened, and ended as a family when one is used twice (A11)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gateway.smart.sessions import Session
from tests.gateway.smart.authorizing import App, Server, served

OFFLINE = "launch/patient patient/*.rs offline_access"
ONLINE = "launch/patient patient/*.rs online_access"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 10000") as running:
        running.register()
        running.register(id="other")
        yield running


def test_a_token_that_was_exchanged_ends_all_of_its_family(server: Server) -> None:
    app = App()
    first = server.tokens(app, scope=OFFLINE)
    second = server.refresh(app, first["refresh_token"]).json()
    assert server.who(second["access_token"]).status_code == 200
    assert server.refresh(app, first["refresh_token"]).json() == {"error": "invalid_grant"}
    for each in (first, second):
        assert server.who(each["access_token"]).status_code == 401
    assert server.refresh(app, second["refresh_token"]).json() == {"error": "invalid_grant"}
    assert "refresh-token-used-twice" in server.told()


def test_of_many_who_exchange_a_token_at_once_one_does_and_its_family_ends(server: Server) -> None:
    app = App()
    token = server.tokens(app, scope=OFFLINE)["refresh_token"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: server.refresh(app, token), range(32)))
    good = [each.json() for each in answers if each.status_code == 200]
    assert len(good) == 1
    assert server.refresh(app, good[0]["refresh_token"]).json() == {"error": "invalid_grant"}


def test_scopes_get_narrower_and_never_wider(server: Server) -> None:
    app = App()
    token = server.tokens(app, scope=OFFLINE)["refresh_token"]
    for wider in ("patient/*.cruds", "patient/*.rs user/*.rs", "openid", "patient/Observation.c"):
        assert server.refresh(app, token, scope=wider).json() == {"error": "invalid_scope"}
    told = server.refresh(app, token, scope="patient/Observation.r").json()
    assert told["scope"] == "patient/Observation.r"
    told = server.refresh(app, told["refresh_token"]).json()
    assert set(told["scope"].split()) == set(OFFLINE.split())  # RFC 6749 6: the grant itself stays


def test_a_token_is_for_its_app_only(server: Server) -> None:
    token = server.tokens(App(), scope=OFFLINE)["refresh_token"]
    assert server.refresh(App(id="other"), token).json() == {"error": "invalid_grant"}
    assert server.refresh(App(), token).status_code == 200


@pytest.mark.parametrize(
    "bent", ["", "x", "{family}.1.{mac}", "{family}.0.{wrong}", "{other}.0.{mac}", "{family}.00.{mac}"]
)
def test_a_token_that_we_did_not_give_gets_nothing_and_ends_nothing(server: Server, bent: str) -> None:
    app = App()
    token = server.tokens(app, scope=OFFLINE)["refresh_token"]
    family, _, mac = token.split(".")
    made = bent.format(family=family, mac=mac, wrong=secrets.token_urlsafe(32), other=secrets.token_urlsafe(32))
    assert server.refresh(app, made).status_code == 400
    assert server.refresh(app, token).status_code == 200


def test_offline_access_outlives_the_session_and_ends_after_thirty_days(server: Server) -> None:
    app, began = App(), server.clock()
    told = server.tokens(app, scope=OFFLINE)
    for _ in range(29):
        server.clock.on(days=1)
        told = server.refresh(app, told["refresh_token"]).json()
        assert "refresh_token" in told
    server.clock.on(days=1)
    assert server.refresh(app, told["refresh_token"]).json() == {"error": "invalid_grant"}
    server.clock.now = began


def begin_session(server: Server, name: str) -> None:
    account = server.enrol()
    session = Session(user="ana", account=account.session, method="password", begun=server.clock(), seen=server.clock())
    content, until = msgspec.msgpack.encode(session), server.clock() + timedelta(hours=12)
    server.home.store.register("session", name, content, server.clock(), until=until)


def test_online_access_ends_with_the_session(server: Server) -> None:
    app = App()
    begin_session(server, "browser-1")
    token = server.tokens(app, scope=ONLINE, browser="browser-1")["refresh_token"]
    told = server.refresh(app, token).json()
    assert "refresh_token" in told
    server.home.store.strike("session", "browser-1", server.clock())
    assert server.refresh(app, told["refresh_token"]).json() == {"error": "invalid_grant"}
    assert "refresh_token" not in server.tokens(app, scope="launch/patient patient/*.rs")


def test_a_disabled_or_changed_account_renews_nothing(server: Server) -> None:
    app = App()
    for change in ({"disabled": True}, {"session": 6}, {"tenant": "north"}):
        server.enrol()
        token = server.tokens(app, scope=OFFLINE)["refresh_token"]
        server.enrol(**change)
        assert server.refresh(app, token).json() == {"error": "invalid_grant"}
    server.enrol()


class Families(RuleBasedStateMachine):
    """Any order of exchanging, reusing, revoking and waiting: what holds is what a small table says."""

    live = Bundle("live")
    used = Bundle("used")

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.ended: set[str] = set()
        self.access: dict[str, list[str]] = {}

    def _keep(self, told: dict[str, str]) -> str:
        family = told["refresh_token"].split(".")[0]
        self.access.setdefault(family, []).append(told["access_token"])
        return told["refresh_token"]

    @rule(target=live)
    def begin(self) -> str:
        return self._keep(self.server.tokens(App(), scope=OFFLINE))

    @rule(target=used, token=consumes(live), narrow=st.booleans())
    def exchange(self, token: str, narrow: bool) -> object:
        said = {"scope": "patient/Patient.r"} if narrow else {}
        answer = self.server.refresh(App(), token, **said)
        if token.split(".", maxsplit=1)[0] in self.ended:
            assert answer.json() == {"error": "invalid_grant"}
            return token
        self.next = self._keep(answer.json())
        return token

    @rule(target=live)
    def follow(self) -> object:
        token, self.next = getattr(self, "next", None), None
        return token if token else multiple()

    @rule(token=used)
    def reuse(self, token: str) -> None:
        assert self.server.refresh(App(), token).json() == {"error": "invalid_grant"}
        self.ended.add(token.split(".", maxsplit=1)[0])

    @rule(token=live)
    def revoke(self, token: str) -> None:
        assert self.server.post("/auth/revoke", {"client_id": "app", "token": token}).status_code == 200
        self.ended.add(token.split(".", maxsplit=1)[0])

    @invariant()
    def access_holds_while_the_family_does(self) -> None:
        for family, tokens in self.access.items():
            assert self.server.who(tokens[-1]).status_code == (401 if family in self.ended else 200)


def test_whatever_is_done_in_whatever_order_a_family_stays_or_ends_as_a_whole(server: Server) -> None:
    Families.server = server
    run_state_machine_as_test(Families, settings=settings(max_examples=6, stateful_step_count=12, deadline=None))

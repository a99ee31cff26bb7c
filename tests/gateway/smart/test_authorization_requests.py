"""What an app may ask a person for, and where the answer goes: never to whom the app did not register (A2-A5, A8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.smart.approval import approve, find_pending
from gateway.smart.launches import Launch, begin_launch
from tests.gateway.smart.authorizing import HTTP, REDIRECT, TWIN, App, Server, query, robot, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 10000") as running:
        running.register()
        running.register(id="native", redirect_uris=("org.example.app:/cb", "http://127.0.0.1/cb?kept=%2F1"))
        running.register(id="disabled", disabled=True)
        robot(running)
        yield running


NEAR = [
    "https://app.example.org/callback/",
    "https://app.example.org/Callback",
    "https://APP.example.org/callback",
    "HTTPS://app.example.org/callback",
    "http://app.example.org/callback",
    "https://app.example.org:443/callback",
    "https://app.example.org:8443/callback",
    "https://app.example.org./callback",
    "https://app.example.org/callback?x=1",
    "https://app.example.org/callback?",
    "https://app.example.org/callback#",
    "https://app.example.org/callback#x",
    "https://app.example.org//callback",
    "https://app.example.org/./callback",
    "https://app.example.org/x/../callback",
    "https://app.example.org/%63allback",
    "https://app.example.org/callback%2f",
    "https://app.example.org/callback%00",
    "https://app.example.org\\@evil.example/callback",
    "https://app.example.org@evil.example/callback",
    "https://evil.example/https://app.example.org/callback",
    "https://app.example.org.evil.example/callback",
    "https://evil.example?https://app.example.org/callback",
    "https://app.example.org%40evil.example/callback",
    "https://аpp.example.org/callback",
    "https://xn--pp-2kc.example.org/callback",
    "//app.example.org/callback",
    "/callback",
    " https://app.example.org/callback",
    "https://app.example.org/callback ",
    "https://app.example.org/callback\r\nLocation: https://evil.example",
    "javascript:alert(1)//https://app.example.org/callback",
    "data:text/html,x",
    "*",
    "",
]


@pytest.mark.parametrize("uri", NEAR)
def test_a_redirect_uri_that_is_not_the_registered_one_gets_nothing_and_goes_nowhere(server: Server, uri: str) -> None:
    for changes in ({}, {"response_type": "nonsense"}, {"scope": ""}):
        for answer in (
            server.authorize(App(), redirect_uri=uri, **changes),
            HTTP.post(server.at("/auth/authorize"), data=App().asks(server.base, redirect_uri=uri, **changes)),
        ):
            assert answer.status_code == 400
            assert "location" not in answer.headers
            assert answer.headers["content-type"].startswith("text/html")
            assert "evil" not in answer.text
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("id_", ["nobody", "disabled", "robot", "", "app\x00", "x" * 5000])
def test_an_app_that_is_not_registered_gets_nothing_and_goes_nowhere(server: Server, id_: str) -> None:
    answer = server.authorize(App(id=id_))
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_parameter_that_comes_twice_goes_nowhere(server: Server) -> None:
    pairs = [*App().asks(server.base).items(), ("redirect_uri", "https://evil.example/")]
    assert HTTP.get(server.at("/auth/authorize"), params=pairs).status_code == 400


WRONG: list[tuple[dict[str, str | None], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge": "x" * 44}, "invalid_request"),
    ({"code_challenge": "=" * 43}, "invalid_request"),
    ({"aud": None}, "invalid_request"),
    ({"aud": "https://evil.example/fhir"}, "invalid_request"),
    ({"aud": "{base}//"}, "invalid_request"),
    ({"aud": "{base}/Patient"}, "invalid_request"),
    ({"state": None}, "invalid_request"),
    ({"state": "x" * 2049}, "invalid_request"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"scope": None}, "invalid_scope"),
    ({"scope": "email"}, "invalid_scope"),
    ({"scope": "launch/patient patient/Observation.sr"}, "invalid_scope"),
    ({"scope": "system/*.rs"}, "invalid_scope"),
    ({"prompt": "none"}, "login_required"),
    ({"request": "eyJ"}, "request_not_supported"),
    ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ({"nonce": "x" * 513}, "invalid_request"),
    ({"launch": "made-up", "scope": "launch patient/*.rs"}, "invalid_request"),
    ({"launch": "made-up"}, "invalid_scope"),
]


@pytest.mark.parametrize(("changes", "error"), WRONG)
def test_what_is_wrong_is_told_to_the_app_before_anybody_logs_in(
    server: Server, changes: dict[str, str | None], error: str
) -> None:
    changes = {name: text and text.replace("{base}", server.base) for name, text in changes.items()}
    app = App()
    answer = server.authorize(app, **changes)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(REDIRECT + "?")
    told = query(answer.headers["location"])
    assert told["error"] == error
    assert told["iss"] == server.base
    assert "code" not in told
    if "state" not in changes:
        assert told["state"] == app.state


def test_one_slash_at_the_end_of_aud_makes_no_difference(server: Server) -> None:
    assert "/auth/login" in server.authorize(App(), aud=server.base + "/").headers["location"]


def test_the_query_of_a_registered_uri_stays_as_it_is(server: Server) -> None:
    where = server.agree(server.authorize(App(id="native"), redirect_uri="http://127.0.0.1/cb?kept=%2F1"))
    assert where.startswith("http://127.0.0.1/cb?kept=%2F1&code=")
    where = server.agree(server.authorize(App(id="native"), redirect_uri="org.example.app:/cb"))
    assert where.startswith("org.example.app:/cb?code=")


def test_an_ehr_launch_is_good_once_for_its_app_and_for_five_minutes(server: Server) -> None:
    def launched(**changes: str) -> str:
        context = {"patient": TWIN, "encounter": "e1", "intent": "reconcile", "need_patient_banner": False}
        told = {"client": "app", "user": "ana", **changes}
        return begin_launch(server.home.store, Launch(context=context, **told), server.clock())

    def error(name: str) -> str:
        return query(server.authorize(App(), launch=name, scope="launch patient/*.rs").headers["location"]).get(
            "error", ""
        )

    name = launched()
    app = App()
    asked = server.authorize(app, launch=name, scope="launch patient/*.rs")
    [code] = [query(server.agree(asked))["code"]]
    told = server.redeem(app, code).json()
    assert (told["intent"], told["patient"]) == ("reconcile", TWIN)
    assert told["need_patient_banner"] is False
    assert HTTP.get(told["smart_style_url"]).json()["color_text"]
    assert "user" not in told
    assert error(name) == "invalid_request"
    assert error(launched(client="other")) == "invalid_request"
    old = launched()
    server.clock.on(minutes=6)
    assert error(old) == "invalid_request"


def test_a_launch_that_somebody_else_began_is_answered_by_nobody(server: Server) -> None:
    from security.errors import Misuse

    name = begin_launch(server.home.store, Launch(client="app", user="eve", context={"patient": TWIN}), server.clock())
    with pytest.raises(Misuse, match="may not answer"):
        server.agree(server.authorize(App(), launch=name, scope="launch patient/*.rs"))


def test_a_request_is_answered_once_and_within_five_minutes(server: Server) -> None:
    from security.errors import Misuse

    asked = server.authorize(App())
    server.agree(asked)
    with pytest.raises(AssertionError):  # it is gone
        server.agree(asked)
    late = server.authorize(App())
    pending = find_pending(server.home, query(late.headers["location"])["request"], server.clock())
    assert pending is not None
    server.clock.on(minutes=5, seconds=1)
    with pytest.raises(Misuse, match="waited too long"):
        approve(server.home, pending, server.enrol(), pending.scopes, TWIN, now=server.clock())


@pytest.mark.parametrize(
    ("prompt", "fresh"), [("login", True), ("consent login", True), ("consent", False), ("", False)]
)
def test_an_app_may_want_its_person_to_log_in_for_it(server: Server, prompt: str, fresh: bool) -> None:
    asked = server.authorize(App(), prompt=prompt)
    pending = find_pending(server.home, query(asked.headers["location"])["request"], server.clock())
    assert pending is not None
    assert pending.fresh is fresh

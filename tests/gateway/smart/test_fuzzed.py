"""Whatever is sent to our addresses, the answer is one of ours: never a trace, never a redirect to a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.smart.authorizing import HTTP, REDIRECT, App, Server, assertion, robot, served, with_secret

NAMES = [
    *("grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier", "scope", "refresh_token"),
    *("client_assertion", "client_assertion_type", "token", "token_type_hint", "state", "aud", "launch", "nonce"),
    *("response_type", "code_challenge", "code_challenge_method", "prompt", "request", "response_mode", "x"),
]
WORDS = [
    *("authorization_code", "refresh_token", "client_credentials", "app", "portal", "robot", "code", "S256", REDIRECT),
    *(
        "patient/*.rs",
        "openid",
        "a.b.c",
        "{}",
        "../..",
        "%00",
        "' OR 1=1",
        "<script>",
        "\r\nSet-Cookie: a=b",
        "x" * 3000,
    ),
    *("https://evil.example/", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "0", "-1", "null"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 100000") as running:
        running.register()
        with_secret(running)
        robot(running)
        yield running


forms = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.sampled_from(WORDS), st.text(max_size=40)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["/auth/token", "/auth/introspect", "/auth/revoke", "/auth/authorize"]),
    st.one_of(
        forms.map(lambda form: urlencode(form, errors="surrogatepass").encode()),
        st.binary(max_size=200),
    ),
    st.one_of(st.just(""), st.sampled_from(["Basic Og==", "Basic eDp5", "Bearer x", "Basic \x7f", "Digest a"])),
)
def test_no_form_does_harm(server: Server, path: str, body: bytes, authorization: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if authorization.isprintable() and authorization:
        headers["Authorization"] = authorization
    for answer in (
        HTTP.post(server.at(path), content=body, headers=headers),
        HTTP.get(server.at(f"/auth/authorize?{quote(body, safe='=&%+')}")),
    ):
        assert answer.status_code in (200, 302, 400, 401, 403), answer.text
        assert "Traceback" not in answer.text
        assert "set-cookie" not in answer.headers
        if answer.status_code == 302:
            assert answer.headers["location"].startswith((REDIRECT + "?", server.at("/auth/login?")))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
CLAIMS = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(CLAIMS, JSON, min_size=1))
def test_no_claim_does_harm(server: Server, changes: dict[str, object]) -> None:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(server, **changes),
    }
    answer = server.post("/auth/token", form)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:  # only what may be as it likes was changed
        assert not set(changes) & {"iss", "sub", "aud"}


@settings(max_examples=40, deadline=None)
@given(forms)
def test_an_authorization_request_goes_to_our_login_or_to_its_app(server: Server, changes: dict[str, str]) -> None:
    asked = {**App().asks(server.base), **changes}
    answer = HTTP.get(server.at("/auth/authorize?" + urlencode(asked, errors="surrogatepass")))
    assert answer.status_code in (302, 400)
    if answer.status_code == 302:
        assert answer.headers["location"].startswith((REDIRECT + "?", server.at("/auth/login?request=")))

"""Programs that sign: which signatures are taken, once, and what a header may not make us do (C1-C7)."""

from __future__ import annotations

import base64
import hmac
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey
from starlette.responses import RedirectResponse, Response

from tests.gateway.smart.authorizing import (
    EC,
    RSA,
    App,
    Server,
    ask_as_robot,
    assertion,
    public,
    recorded,
    robot,
    served,
    with_secret,
)

KEYS: dict[str, Any] = {
    "ES256": ECKey.generate_key("P-256", parameters={"kid": "es256"}),
    "ES384": EC,
    "ES512": ECKey.generate_key("P-521", parameters={"kid": "es512"}),
    "EdDSA": OKPKey.generate_key("Ed25519", parameters={"kid": "ed"}),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home"), "[serve]\ntokens_a_minute = 10000") as running:
        robot(running)
        yield running


def is_refused(answer: httpx.Response, error: str = "invalid_client") -> bool:
    return answer.status_code in (400, 401) and answer.json()["error"] == error


def forged(alg: str, claims: dict[str, Any]) -> str:
    """Sign with what everybody knows, or not at all, as joserfc itself would not."""

    def coded(text: bytes) -> str:
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    head = coded(json.dumps({"alg": alg, "kid": "rsa-1"}).encode())
    said = f"{head}.{coded(json.dumps(claims).encode())}"
    if alg == "none":
        return f"{said}."
    hashed = hmac.digest(RSA.as_pem(private=False), said.encode(), f"sha{alg[2:]}")
    return f"{said}.{coded(hashed)}"


@pytest.mark.parametrize("alg", [*KEYS, "HS256", "HS384", "HS512", "none"])
def test_only_rs384_and_es384_are_taken(server: Server, alg: str) -> None:
    """The HS ones are keyed with what everybody knows of our client: its public key (CVE-2024-37568)."""
    now = int(server.clock().timestamp())
    claims = {"iss": "robot", "sub": "robot", "aud": server.at("/auth/token"), "exp": now + 100, "jti": f"matrix-{alg}"}
    if (key := KEYS.get(alg)) is not None:
        robot(server, keys=public(*{each.kid: each for each in KEYS.values()}.values()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            signed = jwt.encode({"alg": alg, "kid": key.kid}, claims, key, algorithms=[alg])
    else:
        signed = forged(alg, claims)
    answer = ask_as_robot(server, signed)
    assert (answer.status_code == 200) is (alg in ("RS384", "ES384")), answer.text
    if answer.status_code != 200:
        assert is_refused(answer)
    robot(server)


def test_a_program_gets_five_minutes_of_what_it_is_registered_for(server: Server) -> None:
    told = ask_as_robot(server, assertion(server), scope="system/*.cruds system/Patient.rs").json()
    assert told["expires_in"] == 300
    assert set(told["scope"].split()) == {"system/*.rs", "system/Patient.rs"}
    assert "refresh_token" not in told
    assert server.who(told["access_token"]).json()["client"] == "robot"
    assert server.who(told["access_token"]).json()["user"] == ""


@pytest.mark.parametrize("scope", ["", "patient/*.rs", "user/*.rs", "system/Patient.sr", "openid", "launch"])
def test_a_program_gets_no_other_scopes(server: Server, scope: str) -> None:
    assert is_refused(ask_as_robot(server, assertion(server), scope=scope), "invalid_scope")


NOW = 1796040000
WRONG: list[dict[str, Any]] = [
    {"iss": "other"},
    {"sub": "other"},
    {"iss": None},
    {"iss": ["robot"]},
    {"aud": None},
    {"aud": "https://evil.example/auth/token"},
    {"aud": []},
    {"aud": {"a": 1}},
    {"exp": None},
    {"exp": NOW - 60},
    {"exp": NOW + 361},
    {"exp": NOW + 86400 * 365},
    {"exp": str(NOW + 100)},
    {"exp": True},
    {"exp": [NOW + 100]},
    {"exp": 1e300},
    {"nbf": NOW + 61},
    {"nbf": "soon"},
    {"iat": NOW + 61},
    {"jti": None},
    {"jti": ""},
    {"jti": 7},
    {"jti": "x" * 600},
]


@pytest.mark.parametrize("changes", WRONG)
def test_what_an_assertion_says_has_to_be_right(server: Server, changes: dict[str, Any]) -> None:
    assert server.clock().timestamp() == NOW
    assert is_refused(ask_as_robot(server, assertion(server, **changes)))


@pytest.mark.parametrize(
    "changes", [{"exp": NOW - 59}, {"exp": NOW + 360}, {"nbf": NOW + 60}, {"iat": NOW + 60}, {"exp": NOW + 100.5}]
)
def test_clocks_may_differ_by_a_minute(server: Server, changes: dict[str, Any]) -> None:
    assert ask_as_robot(server, assertion(server, **changes)).status_code == 200


def test_the_audience_may_be_one_of_several(server: Server) -> None:
    assert ask_as_robot(server, assertion(server, aud=["x", server.at("/auth/token")])).status_code == 200


@pytest.mark.parametrize(
    "kid",
    [None, "", "unknown", "../../etc/passwd", "' OR 1=1 --", "ec-1\x00", "EC-1", "/dev/null", "http://evil.example/k"],
)
def test_a_key_is_found_by_its_very_name(server: Server, kid: str | None) -> None:
    assert is_refused(ask_as_robot(server, assertion(server, header={"kid": kid})))


def test_of_two_keys_of_one_name_neither_is_taken(server: Server) -> None:
    other = ECKey.generate_key("P-384", parameters={"kid": "ec-1"})
    robot(server, keys=public(EC, other))
    assert is_refused(ask_as_robot(server, assertion(server)))
    robot(server)


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_header_that_brings_or_points_to_a_key_makes_us_ask_nobody(server: Server, name: str) -> None:
    stranger = ECKey.generate_key("P-384", parameters={"kid": "ec-1"})
    with recorded({"/jwks": Response(json.dumps({"keys": public(stranger)}))}) as (url, asked):
        header: dict[str, Any] = {
            "jku": f"{url}/jwks",
            "x5u": f"{url}/jwks",
            "jwk": dict(stranger.as_dict(private=False)),
            "x5c": ["MIIB"],
        }
        forged = assertion(server, key=stranger, header={name: header[name]})
        assert is_refused(ask_as_robot(server, forged))
        # For a client whose keys are elsewhere, too.
        robot(server, keys=(), keys_url=f"{url}/registered")
        assert is_refused(ask_as_robot(server, forged)) or name != "jku"
        assert asked in ([], ["/registered"])
        assert name != "jku" or asked == []
    robot(server)


def test_keys_are_fetched_from_the_registered_address_once(server: Server) -> None:
    answers = {"/jwks": Response(json.dumps({"keys": public(EC)}), headers={"Cache-Control": "max-age=60"})}
    with recorded(answers) as (url, asked):
        robot(server, keys=(), keys_url=f"{url}/jwks")
        assert ask_as_robot(server, assertion(server)).status_code == 200
        assert ask_as_robot(server, assertion(server, header={"jku": f"{url}/jwks"})).status_code == 200
        assert is_refused(ask_as_robot(server, assertion(server, header={"jku": f"{url}/jwks?"})))
        assert asked == ["/jwks"]
        for _ in range(5):  # a kid that nobody has: one more look, half a minute later at the earliest
            assert is_refused(ask_as_robot(server, assertion(server, header={"kid": "made-up"})))
        assert asked == ["/jwks"]
        server.clock.on(seconds=31)
        for _ in range(5):
            assert is_refused(ask_as_robot(server, assertion(server, header={"kid": "made-up"})))
        assert asked == ["/jwks"] * 2
        server.clock.on(seconds=61)
        assert ask_as_robot(server, assertion(server)).status_code == 200
        assert asked == ["/jwks"] * 3
    server.clock.on(seconds=-92)
    robot(server)


@pytest.mark.parametrize(
    "bad",
    [
        Response(status_code=500),
        Response("<html>"),
        Response("[" * 100_000),
        Response("x" * 70_000),
        Response(json.dumps({"keys": "none"})),
        RedirectResponse("/elsewhere"),
    ],
)
def test_keys_that_cannot_be_had_let_nobody_in_and_are_not_asked_for_again_at_once(
    server: Server, bad: Response
) -> None:
    good = Response(json.dumps({"keys": public(EC)}))
    with recorded({"/bad": bad, "/elsewhere": good}) as (url, asked):
        robot(server, keys=(), keys_url=f"{url}/bad")
        for _ in range(3):
            assert is_refused(ask_as_robot(server, assertion(server)))
        assert asked == ["/bad"]
    robot(server)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/jwks", "https://10.0.0.1/jwks", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/k"],
)
def test_keys_are_not_fetched_from_a_private_network(server: Server, url: str) -> None:
    robot(server, keys=(), keys_url=url)
    assert is_refused(ask_as_robot(server, assertion(server)))
    robot(server)


def test_an_assertion_is_good_once_also_of_a_hundred_at_once(server: Server) -> None:
    signed = assertion(server)
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: ask_as_robot(server, signed), range(100)))
    assert sorted(each.status_code for each in answers) == [200] + [400] * 99
    assert is_refused(ask_as_robot(server, signed))


def test_another_spelling_of_a_used_assertion_is_not_another_one(server: Server) -> None:
    """C3: base64url whose last bits mean nothing (Wycheproof 367, 370), and the same claims signed once more."""
    signed = assertion(server, key=RSA, alg="RS384", jti="twice")
    assert ask_as_robot(server, signed).status_code == 200
    head, body, end = signed.split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(base64.urlsafe_b64decode(end + "==")) == 256
    bent = end[:-1] + letters[letters.index(end[-1]) ^ 1]
    assert is_refused(ask_as_robot(server, f"{head}.{body}.{bent}"))
    assert is_refused(ask_as_robot(server, f"{head}.{body}.{end}="))
    assert is_refused(ask_as_robot(server, assertion(server, jti="twice")))


def test_what_is_no_token_is_refused_before_it_is_looked_at(server: Server) -> None:
    good = assertion(server)
    head, body, end = good.split(".")
    twice = jws.serialize_compact(
        {"alg": "ES384", "kid": "ec-1"}, b'{"iss":"x","iss":"robot","sub":"robot"}', EC, algorithms=["ES384"]
    )
    crit = base64.urlsafe_b64encode(b'{"alg":"ES384","kid":"ec-1","crit":["exp"],"exp":1}').rstrip(b"=").decode()
    plain = base64.urlsafe_b64encode(b'{"alg":"ES384","kid":"ec-1","b64":false}').rstrip(b"=").decode()
    deep = base64.urlsafe_b64encode(b'{"a":' * 2000 + b"1" + b"}" * 2000).rstrip(b"=").decode()
    for bad in (
        *("", "x", "..", "a.b.c", f"{head}.{body}.", f"{head}.{body}", f"{good}.x", f"{head}.{deep}.{end}"),
        *(twice, f"{crit}.{body}.{end}", f"{plain}.{body}.{end}", good + "\n", assertion(server, pad="x" * 9000)),
    ):
        assert is_refused(ask_as_robot(server, bad)), bad[:60]


def test_a_secret_is_no_key_and_a_key_no_secret(server: Server) -> None:
    with_secret(server, backend=True, scopes=("system/*.rs",), grants=("client_credentials",))
    answer = server.post(
        "/auth/token",
        {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_id": "portal",
            "client_secret": "Zz9-canary-secret-of-the-app-aaaaaaaaaaaaaaa",
        },
    )
    assert is_refused(answer, "unauthorized_client")  # SMART 2.2@344: no symmetric backend services
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": "robot"}
    assert is_refused(server.post("/auth/token", form))
    assert is_refused(server.post("/auth/token", {**form, "client_secret": ""}))
    assert is_refused(ask_as_robot(server, assertion(server), client_id="app"))
    assert is_refused(ask_as_robot(server, assertion(server), client_assertion_type="urn:x"))
    assert is_refused(ask_as_robot(server, assertion(server), client_secret="x"), "invalid_request")


def test_refusals_are_recorded_with_their_reason_and_without_the_assertion(server: Server) -> None:
    signed = assertion(server, aud="https://evil.example/")
    ask_as_robot(server, signed)
    told = server.told()
    assert "assertion-audience" in told
    assert signed not in told
    assert signed[-33:] not in told


KILLED = """
import os, sys
from datetime import datetime
from pathlib import Path
from gateway.home import Home
from gateway.settings import read_settings
from gateway.smart.assertions import check_assertion
from gateway.smart.clients import find_client
folder, signed, audience, when = sys.argv[1:]
now = datetime.fromisoformat(when)
home = Home.open(read_settings("", Path(folder)))
client = find_client(home.store, "robot", now)
check_assertion(home.store, client, signed, client.keys, [audience], now)
print("taken", flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_killed_process_does_not_forget_which_assertions_were_used(server: Server) -> None:
    signed = assertion(server)
    command = [sys.executable, "-c", KILLED, str(server.home.settings.home), signed, server.at("/auth/token")]
    done = subprocess.run(
        [*command, server.clock().isoformat()], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert (done.stdout, done.returncode) == ("taken\n", -signal.SIGKILL), done.stderr
    assert is_refused(ask_as_robot(server, signed))


def test_an_app_with_a_server_signs_too(server: Server) -> None:
    server.register(id="hub", kind="asymmetric", keys=public(EC))
    app = App(id="hub")

    def signed() -> dict[str, str]:
        told = assertion(server, iss="hub", sub="hub")
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": told,
        }

    code = server.code(app)
    told = server.redeem(app, code, **signed()).json()
    assert server.who(told["access_token"]).json()["client"] == "hub"
    assert "refresh_token" in server.refresh(app, told["refresh_token"], **signed()).json()
    assert is_refused(server.redeem(app, server.code(app)))  # without it
    assert is_refused(server.refresh(app, told["refresh_token"]))


def test_who_may_not_renew_is_not_promised_it(server: Server) -> None:
    server.register(id="brief", grants=("authorization_code",))
    told = server.tokens(App(id="brief"))
    assert "offline_access" not in told["scope"]
    assert "refresh_token" not in told

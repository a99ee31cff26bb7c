"""`twin client`: what may ask for access. What could not work, or would not be safe, is told and not registered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from gateway.smart.clients import knows_secret
from gateway.smart.registration import Clients

CB = "https://app.example.org/cb"
APP = ("client", "add", "app", "--name", "App", "--redirect-uri", CB, "--scopes", "launch/patient patient/*.rs")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--home", str(tmp_path / "home")])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def keys(tmp_path: Path):
    def keys(*made, private: bool = False) -> str:
        file = tmp_path / f"{len([*tmp_path.iterdir()])}.json"
        file.write_text(json.dumps({"keys": [key.as_dict(private=private) for key in made]}), "utf-8")
        return str(file)

    return keys


def client(tmp_path: Path, id_: str = "app"):
    with Home.open(load_settings(tmp_path / "home"), create=False) as home:
        return Clients(home).get(id_, datetime.now(UTC))


def es384(kid="one"):
    return ECKey.generate_key("P-384", parameters={"kid": kid, "use": "sig", "alg": "ES384"})


def test_a_public_app_is_registered_to_the_letter(run, tmp_path):
    status, out, _ = run(*APP, "--launch-url", "https://app.example.org/launch", "--format", "json")
    assert status == 0
    assert json.loads(out) | {"created": ""} == {
        **{"client_id": "app", "name": "App", "kind": "public", "redirect_uris": [CB], "tenant": ""},
        **{"launch_url": "https://app.example.org/launch", "scopes": ["launch/patient", "patient/*.rs"]},
        **{"grant_types": ["authorization_code"], "backend": False, "introspects": False, "purpose": "TREAT"},
        **{"jwks_url": "", "keys": [], "secrets": 0, "disabled": False, "created": ""},
    }


def test_a_secret_is_shown_once_kept_as_a_hash_and_exchanged_without_a_break(run, tmp_path):
    first = json.loads(run(*APP, "--kind", "symmetric", "--format", "json")[1])["client_secret"]
    assert len(first) >= 43  # 256 bits
    for words in (("client", "show", "app"), ("client", "list")):
        assert first not in run(*words)[1]
    assert first.encode() not in (tmp_path / "home" / "twin.db").read_bytes()
    second = json.loads(run("client", "rotate", "app", "--format", "json")[1])["client_secret"]
    assert knows_secret(client(tmp_path), first)
    assert knows_secret(client(tmp_path), second)
    assert run("client", "rotate", "app", "--end")[0] == 0
    assert not knows_secret(client(tmp_path), first)
    assert knows_secret(client(tmp_path), second)


def test_a_backend_service_has_public_keys_and_system_scopes(run, keys, tmp_path):
    rsa = RSAKey.generate_key(2048, parameters={"kid": "two", "alg": "RS384"})
    words = ("client", "add", "robot", "--name", "Robot", "--backend", "--scopes", "system/*.rs")
    assert run(*words, "--jwks", keys(es384(), rsa))[0] == 0
    kept = client(tmp_path, "robot")
    assert [key["kid"] for key in kept.keys] == ["one", "two"]
    assert (kept.kind, kept.grants) == ("asymmetric", ("client_credentials",))
    assert run("client", "rotate", "robot", "--jwks-url", "https://robot.example.org/jwks")[0] == 0
    assert (client(tmp_path, "robot").keys, client(tmp_path, "robot").keys_url) == (
        (),
        "https://robot.example.org/jwks",
    )


def test_a_key_that_is_not_public_or_not_usable_is_refused(run, keys):
    words = ("client", "add", "robot", "--name", "Robot", "--backend", "--scopes", "system/*.rs", "--jwks")
    nameless = ECKey.generate_key("P-384")
    small = ECKey.generate_key("P-256", parameters={"kid": "small"})
    for file, told in (
        (keys(es384(), private=True), "private"),
        (keys(OctKey.generate_key(256, parameters={"kid": "k"}), private=True), "private or a symmetric"),
        (keys(nameless), "no kid"),
        (keys(small), "P-384"),
        (keys(es384(), es384()), "same kid"),
        (keys(), "no JWK Set"),
    ):
        status, _, err = run(*words, file)
        assert (status, told in err) == (2, True), err


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.org/cb",
        "https://app.example.org/cb#part",
        "https://user@app.example.org/cb",
        "https://*.example.org/cb",
        "https://app.example.org/../cb",
        "https://app.example.org\\@evil.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//app.example.org/cb",
        "/cb",
        "https://",
        "https://app.example.org:port/cb",
        "https://äpp.example.org/cb",
        "myapp://cb",
    ],
)
def test_a_redirect_uri_that_could_be_read_two_ways_is_refused(run, uri, tmp_path):
    status, _, err = run(*(word if word != CB else uri for word in APP))
    assert status == 2, err
    assert not (tmp_path / "home" / "twin.db").exists()


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:8080/cb", "http://[::1]:8080/cb", "org.example.app:/cb", CB + "?a=b"]
)
def test_a_redirect_uri_of_the_own_machine_or_of_an_app_of_its_own_is_taken(run, uri):
    assert run(*(word if word != CB else uri for word in APP))[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scopes", "patient/Observation.sr"), "no scope"),
        (("--scopes", "patient/Nothing.rs"), "no scope"),
        (("--scopes", "opnid"), "Did you mean openid"),
        (("--scopes", "system/*.rs"), "backend"),
        (("--kind", "symmetric", "--jwks-url", "https://a.example.org/k"), "Only an asymmetric"),
        (("--kind", "asymmetric"), "public keys"),
        (("--backend", "--jwks-url", "https://a.example.org/k"), "no patient"),
        (("--launch-url", "http://app.example.org/l"), "launch URL is https"),
        (("--purpose", "because"), "v3-ActReason"),
        (("--introspect",), "authenticates"),
    ],
)
def test_what_could_not_work_is_told(run, words, told):
    status, _, err = run(*APP, *words)
    assert status == 2
    assert told in err, err


def test_a_client_is_disabled_enabled_and_removed(run, tmp_path):
    run(*APP)
    assert "a client of this id" in run(*APP)[2]
    run("client", "disable", "app")
    assert client(tmp_path).disabled
    run("client", "enable", "app")
    assert not client(tmp_path).disabled
    run("client", "remove", "app")
    assert client(tmp_path) is None
    assert "There is no client" in run("client", "show", "app")[2]


@pytest.mark.parametrize("name", [" ", "A\x1b[31mpp", "A\u202epp", "x" * 101])
def test_the_name_that_people_are_shown_is_one_that_they_can_read(run, name):
    status, _, err = run(*(word if word != "App" else name for word in APP), "--format", "json")
    assert (status, "shown to people" in err) == (2, True)

"""Our tokens are read in one way only: no other key, algorithm, spelling, audience or time passes (B4, M1)."""

from __future__ import annotations

import base64
import hmac
import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from security.signed import LARGEST, BadToken, fits, numeric_date, open_unverified, verify
from security.tokens import AccessToken, TokenKey, caller_of, read_access_token

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ISSUER = "https://twin.example.org/fhir"
KEY = TokenKey.new()
PRIVATE = RSAKey.import_key({name: text for name, text in KEY.private().items() if name != "kid"})


def token(**changes: Any) -> AccessToken:
    told = {"id": "j1", "issuer": ISSUER, "audience": ISSUER, "client": "app", "subject": "ana", "grant": "g1"}
    more = {"scopes": ("patient/*.rs",), "issued": NOW, "expires": NOW + timedelta(hours=1), "session": 3}
    return AccessToken(**{**told, **more, **changes})


def read(text: str, *, now: datetime = NOW, keys: Any = None, **changes: str) -> AccessToken:
    return read_access_token(
        text, [KEY.public()] if keys is None else keys, **{"issuer": ISSUER, "audience": ISSUER, "now": now, **changes}
    )


def signed(claims: dict[str, Any] | bytes, header: dict[str, Any] | None = None, key: Any = PRIVATE) -> str:
    head = {"alg": "RS256", "kid": KEY.kid, "typ": "at+jwt", **(header or {})}
    said = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        registry = jws.JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
        registry.max_header_length = registry.max_payload_length = 1 << 20
        return jws.serialize_compact({n: v for n, v in head.items() if v is not None}, said, key, registry=registry)


def claims(**changes: Any) -> dict[str, Any]:
    found = dict(open_unverified(token().signed_with(KEY)).claims)
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


def reason(text: str, **said: Any) -> str:
    with pytest.raises(BadToken) as refused:
        read(text, **said)
    return refused.value.reason


def test_a_token_says_what_was_put_into_it_and_who_shows_it():
    told = token(patient="p", encounter="e", fhir_user="Practitioner/7", tenant="north", purpose="HRESCH")
    assert read(told.signed_with(KEY)) == told
    caller = caller_of(told, ["clinician"])
    assert (caller.user, caller.client, caller.patient, caller.tenant) == ("ana", "app", "p", "north")
    assert caller.token.mark == "urn:ietf:params:oauth:jti:j1"
    assert caller_of(token(session=0, subject="app"), []).user == ""


def test_the_private_key_shows_itself_to_nobody():
    assert KEY.private()["d"] not in repr(KEY)
    assert "d" not in KEY.public()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://evil.example/fhir"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": "https://other.example/fhir"}, "audience"),
        ({"aud": ISSUER + "/"}, "audience"),
        ({"aud": [ISSUER, "x"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"jti": None}, "claims"),
        ({"jti": 7}, "claims"),
        ({"sub": ""}, "claims"),
        ({"scope": ["patient/*.rs"]}, "claims"),
        ({"patient": {"id": "x"}}, "claims"),
        ({"session": "3"}, "claims"),
        ({"session": True}, "claims"),
        ({"exp": None}, "exp"),
        ({"exp": "1796043600"}, "exp"),
        ({"exp": 1796043600.5}, "exp"),
        ({"exp": 10**30}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": True}, "exp"),
        ({"nbf": "now"}, "nbf"),
        ({"iat": 1e99}, "iat"),
    ],
)
def test_a_claim_that_is_wrong_is_refused(changes: dict[str, Any], expected: str):
    assert reason(signed(claims(**changes))) == expected


def test_clocks_may_differ_by_a_minute_and_no_more():
    text, end = token().signed_with(KEY), NOW + timedelta(hours=1)
    read(text, now=end + timedelta(seconds=59))
    assert reason(text, now=end + timedelta(seconds=60)) == "expired"
    read(text, now=NOW - timedelta(seconds=60))
    assert reason(text, now=NOW - timedelta(seconds=61)) == "not-yet"


@pytest.mark.parametrize(
    "alg", ["none", "HS256", "HS384", "RS384", "RS512", "PS256", "ES384", "rs256", "RS256 ", None, 7]
)
def test_no_other_algorithm_is_taken(alg: Any):
    """HS* with our public key as the secret (CVE-2024-37568); none; and whatever else the key could do."""
    _, body, _ = token().signed_with(KEY).split(".")
    head = coded(json.dumps({"alg": alg, "kid": KEY.kid, "typ": "at+jwt"}).encode())
    for end in (coded(hmac.digest(PRIVATE.as_pem(private=False), f"{head}.{body}".encode(), "sha256")), "AA"):
        assert reason(f"{head}.{body}.{end}") == "algorithm"
    assert reason(f"{head}.{body}.") == "malformed"


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt ", "id", 1])
def test_a_token_of_another_kind_is_not_taken(typ: Any):
    assert reason(jwt_of(claims(), typ)) == "type"
    read(jwt_of(claims(), "application/AT+JWT"))


def jwt_of(said: dict[str, Any], typ: Any) -> str:
    if isinstance(typ, int):
        head, body = coded(json.dumps({"alg": "RS256", "kid": KEY.kid, "typ": typ}).encode()), coded(b"{}")
        return f"{head}.{body}.AA"
    return signed(said, {"typ": typ})


@pytest.mark.parametrize(
    "kid",
    [None, "", "x", "../../dev/null", "x' OR '1'='1", KEY.kid + "\n", KEY.kid.upper() + "x"],
    ids=["none", "empty", "short", "a path", "a query", "a line more", "another case"],
)
def test_a_key_is_found_by_its_name_and_by_nothing_else(kid: str | None):
    assert reason(signed(claims(), {"kid": kid})) in ("kid", "key")


def test_a_key_that_a_token_brings_or_points_to_is_never_used():
    stranger = RSAKey.generate_key(2048)
    brought = dict(stranger.as_dict(private=False))
    for header in (
        {"jwk": brought},
        {"jku": "https://evil.example/k"},
        {"x5u": "https://evil.example/k"},
        {"x5c": ["x"]},
    ):
        assert reason(signed(claims(), header, stranger)) == "signature"
        assert reason(signed(claims(), {**header, "kid": "theirs"}, stranger)) == "key"


@pytest.mark.parametrize("header", [b'{"alg":"RS256","crit":["exp"],"exp":1}', b'{"alg":"RS256","b64":false}'])
def test_what_has_to_be_understood_and_is_not_is_refused(header: bytes):
    _, body, end = token().signed_with(KEY).split(".")
    assert reason(f"{coded(header)}.{body}.{end}") == "header"


def test_a_name_that_comes_twice_is_refused():
    good = json.dumps(claims())
    assert reason(signed(f'{{"sub":"eve",{good[1:]}'.encode())) == "malformed"
    _, body, end = token().signed_with(KEY).split(".")
    assert reason(f'{coded(b"""{"alg":"none","alg":"RS256"}""")}.{body}.{end}') == "malformed"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{",
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b"\xff",
        b'{"a":' * 900 + b"1" + b"}" * 900,
    ],
)
def test_what_is_no_object_of_json_is_refused(text: bytes):
    assert reason(signed(text)) == "malformed"


def test_a_token_has_one_spelling():
    """joserfc leaves that to us: last bits that mean nothing (Wycheproof JWS 367, 370), padding."""
    text = token().signed_with(KEY)
    head, body, end = text.split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for part, build in (
        (head, f"{{}}.{body}.{end}"),
        (body, f"{head}.{{}}.{end}"),
        (end, f"{head}.{body}.{{}}"),
    ):
        if len(part) % 4 != 0:
            bent = part[:-1] + letters[letters.index(part[-1]) ^ 1]
            assert reason(build.format(bent)) == "malformed"
        for wrong in (part + "=", part + "==", part[:2] + "+" + part[3:], part[:2] + "\n" + part[2:], " " + part):
            assert reason(build.format(wrong)) == "malformed"
    for wrong in (text + ".", "." + text, text + ".x.y", text.replace(".", "..", 1), "ä" + text):
        assert reason(wrong) == "malformed"


def test_a_token_longer_than_eight_kilobytes_is_not_looked_at():
    assert reason(signed(claims(pad="x" * LARGEST))) == "too-large"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_character_anywhere_is_noticed(data: st.DataObject):
    text = token().signed_with(KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABZaz09-_.=+/ \x00é"))
    if text[place] != other:
        with pytest.raises(BadToken):
            read(text[:place] + other + text[place + 1 :])


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.binary(max_size=60), min_size=1, max_size=4).map(lambda p: ".".join(map(coded, p))),
    )
)
def test_no_text_does_anything_but_be_refused(text: str):
    with pytest.raises(BadToken):
        read(text)


def coded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


P256, P384 = ECKey.generate_key("P-256"), ECKey.generate_key("P-384")


@pytest.mark.parametrize(
    ("key", "alg", "does"),
    [
        (P384.as_dict(private=False), "ES384", True),
        (P256.as_dict(private=False), "ES384", False),
        ({**P384.as_dict(private=False), "use": "enc"}, "ES384", False),
        ({**P384.as_dict(private=False), "alg": "ES256"}, "ES384", False),
        ({**P384.as_dict(private=False), "key_ops": ["sign"]}, "ES384", False),
        ({**P384.as_dict(private=False), "key_ops": 7}, "ES384", False),
        (KEY.public(), "RS256", True),
        (KEY.public(), "RS384", False),
        ({"kty": "oct", "k": "x"}, "HS256", False),
        ({}, "RS256", False),
    ],
)
def test_a_key_fits_by_all_that_it_says_of_itself(key: dict[str, Any], alg: str, does: bool):
    assert fits(key, alg) is does


def test_an_ecdsa_signature_is_r_and_s_and_not_der():
    key = ECKey.generate_key("P-384", parameters={"kid": "k"})
    good = jwt.encode({"alg": "ES384", "kid": "k"}, {"a": 1}, key, algorithms=["ES384"])
    assert verify(good, [dict(key.as_dict(private=False))], ["ES384"]).claims == {"a": 1}
    head, body, end = good.split(".")
    raw = base64.urlsafe_b64decode(end + "==")
    der = b"\x30\x64\x02\x30" + raw[:48] + b"\x02\x30" + raw[48:]
    for bad in (der, raw[:95], raw + b"\x00", b"\x00" * 96):
        with pytest.raises(BadToken):
            verify(f"{head}.{body}.{coded(bad)}", [dict(key.as_dict(private=False))], ["ES384"])


def test_a_key_that_is_none_lets_nobody_in():
    text = token().signed_with(KEY)
    for bad in (
        {**KEY.public(), "n": "AQAB"},
        {**KEY.public(), "n": "!"},
        {**KEY.public(), "e": ""},
        {k: v for k, v in KEY.public().items() if k != "n"},
    ):
        assert reason(text, keys=[bad]) in ("signature", "key")


def test_of_two_keys_of_one_name_neither_is_taken():
    assert reason(token().signed_with(KEY), keys=[KEY.public(), KEY.public()]) == "key"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 253402300800, None, "1", [1], {}])
def test_no_calendar_has_these(value: Any):
    with pytest.raises(BadToken):
        numeric_date({"exp": value}, "exp")

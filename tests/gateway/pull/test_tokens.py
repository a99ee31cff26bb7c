from __future__ import annotations

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from starlette.responses import JSONResponse, Response

from gateway.pull.connection import Connection
from gateway.pull.keys import KeySet, SigningKey, new_key
from gateway.pull.scopes import missing, wanted
from gateway.pull.tokens import BackendServices, narrowed
from security.errors import BadSettings, Denied, Misuse, NotFhir, UnknownName, Unreachable


@pytest.fixture(scope="module")
def key():
    return SigningKey.read(new_key()[0])


class Authority:
    """A token endpoint that keeps the requests it got."""

    def __init__(self, ehr, **changes) -> None:
        self.ehr, self.forms, self.answers = ehr, [], []
        self.changes = changes
        self.configuration = {"token_endpoint": f"{ehr.url}/auth/token", "capabilities": ["permission-v2"]}
        ehr.hooks.append(self.answer)

    def answer(self, request):
        if request.url.path == "/fhir/.well-known/smart-configuration":
            return JSONResponse(self.configuration) if self.configuration else Response(status_code=404)
        if request.url.path != "/auth/token":
            return None
        form = {k: v[0] for k, v in parse_qs(self.ehr.bodies[-1].decode()).items()}
        self.forms.append(form)
        if self.answers:
            return self.answers.pop(0)
        token = {
            "access_token": f"t{len(self.forms)}",
            "token_type": "bearer",
            "expires_in": 300,
            "scope": form["scope"],
        }
        return JSONResponse({k: v for k, v in {**token, **self.changes}.items() if v is not None})


@pytest.fixture
async def talk(ehr, clock, key):
    opened = []

    def make(signing=None, **settings):
        settings = {"read": ["Patient"], "create": ["Observation"], **settings}
        auth = BackendServices(ehr.base, "client-7", signing or key, clock=clock, sleep=clock.sleep, **settings)
        opened.append(Connection(ehr.base, "r4", auth, clock=clock, sleep=clock.sleep))
        return opened[-1], auth

    yield make
    for connection in opened:
        await connection.wire.close()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_the_assertion_is_what_smart_asks_for_and_is_signed(ehr, clock, talk, kind):
    """Checked with `cryptography` on the bytes, and not with the library that signed."""
    private = ec.generate_private_key(ec.SECP384R1()) if kind == "EC" else rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    authority = Authority(ehr)
    connection, _ = talk(SigningKey.read(pem))
    await connection.get("metadata")
    form = authority.forms[0]
    header, claims, signature = form["client_assertion"].split(".")
    signed, raw = f"{header}.{claims}".encode(), decoded(signature)
    if kind == "EC":
        assert len(raw) == 96
        numbers = int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big")
        private.public_key().verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA384()))
    else:
        private.public_key().verify(raw, signed, padding.PKCS1v15(), hashes.SHA384())
    told, said = json.loads(decoded(header)), json.loads(decoded(claims))
    assert told == {"alg": {"EC": "ES384", "RSA": "RS384"}[kind], "kid": told["kid"], "typ": "JWT"}
    assert len(told["kid"]) == 43  # RFC 7638 thumbprint
    assert (said["iss"], said["sub"], said["aud"]) == ("client-7", "client-7", f"{ehr.url}/auth/token")
    assert said["exp"] == int(clock.now.timestamp()) + 300
    assert len(said["jti"]) >= 32
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert ehr.tokens()[-1] == "Bearer t1"


async def test_no_assertion_is_used_twice(ehr, talk):
    authority = Authority(ehr)
    connection, auth = talk()
    await connection.get("metadata")
    auth.forget()
    await connection.get("metadata")
    first, second = (json.loads(decoded(f["client_assertion"].split(".")[1]))["jti"] for f in authority.forms)
    assert first != second


@pytest.mark.parametrize(
    ("configuration", "scopes"),
    [
        ({"capabilities": ["permission-v2"]}, "system/Patient.rs system/Observation.crs"),
        (
            {"capabilities": ["client-confidential-asymmetric"]},
            "system/Patient.read system/Observation.read system/Observation.write",
        ),
        ({"scopes_supported": ["openid", "system/*.rs"]}, "system/Patient.rs system/Observation.crs"),
        (
            {"scopes_supported": ["system/*.rs", "system/*.read"]},
            "system/Patient.read system/Observation.read system/Observation.write",
        ),
    ],
)
async def test_scopes_are_asked_in_the_style_that_the_server_knows(ehr, talk, configuration, scopes):
    authority = Authority(ehr)
    authority.configuration = {"token_endpoint": f"{ehr.url}/auth/token", **configuration}
    connection, _ = talk()
    await connection.get("metadata")
    assert authority.forms[0]["scope"] == scopes


async def test_told_scopes_are_asked_as_told(ehr, talk):
    authority = Authority(ehr)
    connection, _ = talk(scopes="system/*.read  offline")
    await connection.get("metadata")
    assert authority.forms[0]["scope"] == "system/*.read offline"


async def test_an_old_server_names_its_token_endpoint_in_its_metadata(ehr, talk):
    authority = Authority(ehr)
    authority.configuration = None
    uris = {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "authorize", "valueUri": "x"}, {"url": "token", "valueUri": f"{ehr.url}/auth/token"}],
    }
    told = ehr.metadata()
    told["rest"][0]["security"] = {"extension": [{"url": "http://other"}, uris]}
    ehr.once("metadata", JSONResponse(told), times=9)
    connection, auth = talk()
    await connection.get("metadata")
    assert auth.configuration.found == "metadata"
    assert authority.forms[0]["scope"].endswith("Observation.write")


async def test_a_server_without_a_token_endpoint_is_told(ehr, talk):
    connection, _ = talk()
    with pytest.raises(NotFhir, match="tokens"):
        await connection.get("metadata")


@pytest.mark.parametrize("endpoint", ["http://auth.example/token", "https://u:p@auth.example/token", "ftp://x/y"])
async def test_an_assertion_is_not_sent_to_an_unprotected_endpoint(ehr, talk, endpoint):
    authority = Authority(ehr)
    authority.configuration = {"token_endpoint": endpoint}
    connection, _ = talk()
    with pytest.raises(NotFhir):
        await connection.get("metadata")
    assert authority.forms == []


async def test_a_token_is_renewed_thirty_seconds_before_its_end(ehr, clock, talk):
    Authority(ehr)
    connection, _ = talk()
    for seconds in (0, 269, 1, 1):
        await clock.sleep(seconds)
        await connection.get("metadata")
    tokens = [r.headers.get("authorization") for r in ehr.asked if r.url.path == "/fhir/metadata"]
    assert tokens == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]


async def test_a_401_fetches_another_token(ehr, talk):
    Authority(ehr)
    ehr.once("metadata", Response(status_code=401))
    connection, _ = talk()
    assert (await connection.get("metadata")).status == 200
    assert ehr.tokens()[-1] == "Bearer t2"


async def test_one_bare_400_at_the_token_endpoint_is_forgiven(ehr, talk):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=400)]
    connection, _ = talk()
    await connection.get("metadata")
    assert len(authority.forms) == 2


@pytest.mark.parametrize(
    ("answer", "fault", "says"),
    [
        (JSONResponse({"error": "invalid_client", "error_description": "Jane"}, 401), Denied, "invalid_client"),
        (JSONResponse({"error": "invalid_scope"}, 400), Denied, "invalid_scope"),
        (JSONResponse({"error": "jane_doe_is_here"}, 400), Denied, "status 400"),
        (Response("<html>login</html>", 400), Denied, "status 400"),
        (JSONResponse({"error": "x"}, 503), Unreachable, "503"),
        (JSONResponse({"access_token": "a\r\nb", "token_type": "bearer"}), NotFhir, "no bearer token"),
        (JSONResponse({"access_token": "a", "token_type": "mac"}), NotFhir, "no bearer token"),
        (JSONResponse(["a"]), NotFhir, "no bearer token"),
    ],
)
async def test_a_refusal_says_what_to_do(ehr, talk, answer, fault, says):
    authority = Authority(ehr)
    authority.answers = [answer] * 99
    connection, _ = talk()
    with pytest.raises(fault, match=says) as caught:
        await connection.get("metadata", tries=1)
    assert caught.value.hint
    assert "jane" not in str(caught.value).lower()


async def test_an_endpoint_that_fails_now_and_then_is_asked_three_times_in_all(ehr, talk, clock):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=503), Response(status_code=429, headers={"Retry-After": "40"})]
    connection, _ = talk()
    await connection.get("metadata", tries=1)
    assert len(authority.forms) == 3
    assert clock.slept[0] <= 1
    assert 40 <= clock.slept[1] <= 41


async def test_an_endpoint_that_wants_a_long_pause_is_not_waited_for(ehr, talk, clock):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=429, headers={"Retry-After": "3600"})]
    connection, _ = talk()
    with pytest.raises(Unreachable, match="come back later") as caught:
        await connection.get("metadata")
    assert "61 minutes" in caught.value.hint
    with pytest.raises(Unreachable, match="come back later"):
        await connection.get("metadata")
    assert (len(authority.forms), clock.slept) == (1, [])
    await clock.sleep(3600)
    assert (await connection.get("metadata")).status == 200


@pytest.mark.parametrize("said", ["999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_endpoint_that_wants_a_pause_of_ages_is_told_as_such(ehr, talk, said):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=429, headers={"Retry-After": said})]
    with pytest.raises(Unreachable, match="come back later"):
        await talk()[0].get("metadata")


async def test_while_the_old_token_is_good_a_renewal_that_fails_costs_nothing(ehr, clock, talk):
    authority = Authority(ehr)
    connection, _ = talk()
    await connection.get("metadata")
    authority.answers = [Response(status_code=503)] * 3
    await clock.sleep(280)
    await connection.get("metadata")
    assert ehr.tokens()[-1] == "Bearer t1"
    await clock.sleep(10)
    await connection.get("metadata")
    assert ehr.tokens()[-1] == "Bearer t5"


async def test_a_client_that_was_refused_asks_no_more_for_a_minute(ehr, clock, talk):
    authority = Authority(ehr)
    authority.answers = [JSONResponse({"error": "invalid_client"}, 401)]
    connection, _ = talk()
    for _ in range(9):
        with pytest.raises(Denied, match="invalid_client"):
            await connection.get("metadata")
    assert len(authority.forms) == 1
    await clock.sleep(60)
    await connection.get("metadata")
    assert len(authority.forms) == 2


@pytest.mark.parametrize("refused", [False, True])
async def test_many_requests_at_once_fetch_one_token_or_share_one_fault(ehr, talk, refused):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=503)] * 3 if refused else []
    connection, auth = talk()
    came = await asyncio.gather(*(auth.authorization(connection.wire) for _ in range(20)), return_exceptions=True)
    assert len(authority.forms) == (3 if refused else 1)
    assert {str(each) for each in came} == {str(came[0])}


async def test_a_token_that_was_renewed_meanwhile_is_not_thrown_away(ehr, talk):
    authority = Authority(ehr)
    connection, auth = talk()
    old = await auth.authorization(connection.wire)
    assert auth.forget(old)
    new = await auth.authorization(connection.wire)
    assert auth.forget(old)
    assert await auth.authorization(connection.wire) == new == "Bearer t2"
    assert len(authority.forms) == 2


async def test_a_server_that_fails_is_not_said_to_have_no_token_endpoint(ehr, talk):
    ehr.hooks.append(lambda request: Response(status_code=503))
    connection, auth = talk()
    with pytest.raises(Unreachable, match="does not say now"):
        await auth.authorization(connection.wire)


def moved(ehr, *, gone):
    """A server whose smart-configuration names an endpoint that is gone; its metadata names the right one."""
    authority = Authority(ehr)
    authority.configuration["token_endpoint"] = f"{ehr.url}/old/token"
    uris = {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "token", "valueUri": f"{ehr.url}/auth/token"}],
    }
    told = ehr.metadata()
    told["rest"][0]["security"] = {"extension": [uris]}
    ehr.once("metadata", JSONResponse(told), times=9)
    ehr.hooks.append(lambda request: gone if request.url.path == "/old/token" else None)
    return authority


@pytest.mark.parametrize(
    "gone",
    [
        Response(status_code=404),
        JSONResponse(
            {"error": "invalid_request", "error_uri": "https://authorization.example/errors/unknown-tenant"}, 400
        ),
    ],
)
async def test_a_stale_smart_configuration_is_got_over(ehr, talk, gone):
    authority = moved(ehr, gone=gone)
    connection, auth = talk()
    await connection.get("metadata")
    assert json.loads(decoded(authority.forms[0]["client_assertion"].split(".")[1]))["aud"] == f"{ehr.url}/auth/token"
    assert authority.forms[0]["scope"] == "system/Patient.rs system/Observation.crs"
    assert auth.remarks == ("The token endpoint is another than was named first; it is in metadata.",)


async def test_an_endpoint_that_is_gone_with_no_other_to_be_found_is_told(ehr, talk):
    authority = Authority(ehr)
    authority.answers = [Response(status_code=404)] * 9
    connection, _ = talk()
    with pytest.raises(Denied, match="status 404"):
        await connection.get("metadata")
    assert len(authority.forms) == 1


@pytest.mark.parametrize(
    ("capabilities", "first", "second"),
    [(["permission-v2"], "system/Patient.rs", "system/Patient.read"), ([], "system/Patient.read", "system/Patient.rs")],
)
async def test_scopes_that_are_refused_are_asked_in_the_other_version_once(ehr, talk, capabilities, first, second):
    authority = Authority(ehr)
    authority.configuration["capabilities"] = capabilities
    authority.answers = [JSONResponse({"error": "invalid_scope"}, 400)]
    connection, auth = talk(create=())
    await connection.get("metadata")
    assert [form["scope"] for form in authority.forms] == [first, second]
    assert auth.remarks
    assert narrowed(auth) == ()
    auth.forget()
    await connection.get("metadata")
    assert authority.forms[-1]["scope"] == second  # what helped is tried first from then on


async def test_a_server_that_lets_nobody_change_anything_is_asked_to_let_us_create(ehr, talk):
    authority = Authority(ehr)
    authority.answers = [JSONResponse({"error": "invalid_scope"}, 400)]
    connection, auth = talk(read=["*"], change=["Observation", "Flag"])
    await connection.get("metadata")
    assert [form["scope"] for form in authority.forms] == [
        "system/*.rs system/Observation.crus system/Flag.crus",
        "system/*.rs system/Observation.crs",
    ]
    assert narrowed(auth) == ("Observation.u", "Flag.c", "Flag.u")


async def test_a_server_that_knows_no_wildcard_is_asked_for_the_types_that_it_lists(ehr, talk):
    authority = Authority(ehr)
    authority.configuration["scopes_supported"] = ["openid", "system/Patient.rs", "system/Observation.rs"]
    authority.answers = [JSONResponse({"error": "invalid_scope"}, 400)] * 2
    connection, auth = talk(read=["*"], create=())
    await connection.get("metadata")
    assert authority.forms[-1]["scope"] == "system/Observation.rs system/Patient.rs"
    assert narrowed(auth) == ("*.r", "*.s")


async def test_a_grant_of_nothing_is_asked_again_in_the_other_version(ehr, talk):
    authority = Authority(ehr)
    token = {"access_token": "t", "token_type": "bearer", "scope": ""}
    authority.answers = [JSONResponse(token)]
    connection, auth = talk()
    await connection.get("metadata")
    assert len(authority.forms) == 2
    assert narrowed(auth) == ()


async def test_told_scopes_are_not_rewritten_when_they_are_refused(ehr, talk):
    authority = Authority(ehr)
    authority.answers = [JSONResponse({"error": "invalid_scope"}, 400)] * 9
    connection, _ = talk(scopes="system/Patient.read")
    with pytest.raises(Denied, match="invalid_scope"):
        await connection.get("metadata")
    assert len(authority.forms) == 1


async def test_a_narrower_grant_is_reported(ehr, talk):
    Authority(ehr, scope="system/Patient.rs system/Observation.rs?category=vital-signs")
    connection, auth = talk()
    await connection.get("metadata")
    assert auth.grant.missing == ("Observation.c", "Observation.r", "Observation.s")


async def test_a_grant_without_scope_is_what_was_asked(ehr, talk):
    Authority(ehr, scope=None)
    connection, auth = talk()
    await connection.get("metadata")
    assert auth.grant.granted == auth.grant.asked
    assert auth.grant.missing == ()


@pytest.mark.parametrize(
    ("asked", "granted", "lacks"),
    [
        ("system/Patient.rs", "system/*.read", ()),
        ("system/Patient.read", "system/Patient.cruds", ()),
        ("system/Patient.rs", "system/Patient.r", ("Patient.s",)),
        ("system/Patient.rs", "patient/Patient.rs user/*.rs", ("Patient.r", "Patient.s")),
        ("system/Patient.rs", "system/Patient.sr system/Patient. system/patient.rs", ("Patient.r", "Patient.s")),
        ("system/*.rs", "system/Patient.rs", ("*.r", "*.s")),
        ("system/Observation.write", "system/Observation.u", ("Observation.c", "Observation.d")),
    ],
)
def test_what_cannot_be_parsed_grants_nothing(asked, granted, lacks):
    assert missing(asked.split(), granted.split()) == lacks


@pytest.mark.parametrize("style", ["v1", "v2"])
def test_a_full_grant_lacks_nothing_of_what_is_wanted(style):
    asked = wanted(["Patient", "Observation"], ["Observation", "Device"], style)
    assert missing(wanted(["Patient", "Observation"], ["Device", "Observation"], "v2"), asked) == ()


def test_a_new_key_signs_and_its_public_half_is_public():
    private, public = new_key()
    told = json.loads(public)["keys"]
    assert len(told) == 1
    assert "d" not in told[0]
    assert (told[0]["kty"], told[0]["crv"], told[0]["alg"], told[0]["use"]) == ("EC", "P-384", "ES384", "sig")
    key = SigningKey.read(private)
    assert key.kid == told[0]["kid"]
    assert SigningKey.read(json.dumps({"keys": [json.loads(private), told[0]]})).kid == key.kid
    assert json.loads(private)["d"] not in repr(key)


def kids(keys):
    return [key.kid for key in keys.keys]


def test_a_next_key_is_published_before_it_signs_and_the_old_one_goes_last():
    old, new = SigningKey.new(), SigningKey.new()
    keys = KeySet.read(KeySet((old,)).with_next(new).private_set())
    assert (kids(keys), keys.signing.kid) == ([new.kid, old.kid], old.kid)
    assert {key["kid"] for key in json.loads(keys.public_set())["keys"]} == {old.kid, new.kid}
    with pytest.raises(Misuse, match="signs"):
        keys.without(old.kid)
    keys = KeySet.read(keys.signing_with(new.thumbprint).private_set())
    assert (kids(keys), keys.signing.kid) == ([old.kid, new.kid], new.kid)
    assert kids(keys.without(old.kid)) == [new.kid]
    with pytest.raises(UnknownName):
        keys.without("nobody")


def test_no_private_number_is_published():
    rsa_key = rsa.generate_private_key(65537, 2048)
    pem = rsa_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    keys = KeySet((SigningKey.read(pem), SigningKey.new()))
    for public in json.loads(keys.public_set())["keys"]:
        assert set(public) <= {"kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops"}
    assert kids(KeySet.read(keys.private_set())) == kids(keys)


def test_a_set_with_the_same_kid_twice_or_without_a_private_key_is_a_wrong_setting():
    key = SigningKey.new().private()
    for text in (json.dumps({"keys": [key, key]}), json.dumps({"keys": []}), new_key()[1]):
        with pytest.raises(BadSettings):
            KeySet.read(text)


async def test_the_key_is_one_whose_algorithm_the_server_takes(ehr, talk):
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keys = KeySet((SigningKey.read(pem.decode()), SigningKey.new()))
    authority = Authority(ehr)
    connection, auth = talk(keys)
    for listed, alg in (["RS384"], "RS384"), (["ES384"], "ES384"), (["RS256"], "ES384"), ([], "ES384"):
        authority.configuration["token_endpoint_auth_signing_alg_values_supported"] = listed
        auth.configuration = None
        auth.forget()
        await connection.get("metadata")
        assert json.loads(decoded(authority.forms[-1]["client_assertion"].split(".")[0]))["alg"] == alg


async def test_a_new_key_that_the_server_does_not_know_yet_falls_back_to_the_one_before_once(ehr, talk):
    keys = KeySet((SigningKey.new(), SigningKey.new(), SigningKey.new()))
    authority = Authority(ehr)
    authority.answers = [JSONResponse({"error": "invalid_client"}, 401)]
    connection, auth = talk(keys)
    await connection.get("metadata")
    used = [json.loads(decoded(f["client_assertion"].split(".")[0]))["kid"] for f in authority.forms]
    assert used == kids(keys)[:0:-1]
    assert auth.remarks == (f"The server refused us at first, and took key {used[1]}.",)
    authority.answers = [JSONResponse({"error": "invalid_client"}, 401)] * 9
    auth.forget()
    with pytest.raises(Denied, match="invalid_client"):
        await connection.get("metadata")
    assert len(authority.forms) == 4


def test_a_key_that_servers_do_not_take_is_a_wrong_setting():
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    small = rsa.generate_private_key(65537, 1024).private_bytes(*plain).decode()  # noqa: S505 - a key that has to be refused
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(*plain).decode()
    public = json.dumps(json.loads(new_key()[1])["keys"][0])
    broken = new_key()[0].replace('"d"', '"x-d"')
    for text in (small, other, public, broken, "", "{}", "[]", "null", '{"kty":"oct","k":"AAAA"}', "-----BEGIN X-----"):
        with pytest.raises(BadSettings) as caught:
            SigningKey.read(text)
        assert caught.value.__cause__ is None  # a parser's message may quote the key


async def test_no_secret_is_in_a_repr(ehr, talk):
    Authority(ehr, access_token="canary-4711")
    connection, auth = talk()
    await connection.get("metadata")
    assert ehr.tokens()[-1] == "Bearer canary-4711"
    assert "canary" not in repr(auth) + repr(auth.grant) + repr(connection) + str(vars(auth))

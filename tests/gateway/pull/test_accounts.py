"""How we show servers who we are, against authorization servers that were written by others."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs

import pytest
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientCredentialsGrant, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.jwk import KeySet as PublicKeys
from starlette.responses import JSONResponse

from conformance.hostile import Ehr as Simulator
from conformance.hostile import EhrSettings, Misbehaviour
from gateway.credentials import credentials, wire_arguments
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.keys import KeySet, SigningKey
from gateway.pull.metadata import fetch_capability
from gateway.pull.tokens import BackendServices, ClientSecret, narrowed
from gateway.settings import SourceSettings
from gateway.sources import connect
from security.errors import BadSettings, Denied

ODD = "p:ä%+ &=s/é€"  # all that the two encodings on top of each other can trip over


class _Client(ClientMixin):
    def __init__(self, *methods: str) -> None:
        self.methods = methods

    def check_client_secret(self, client_secret):
        return client_secret == ODD

    def check_endpoint_auth_method(self, method, endpoint):
        return method in self.methods

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope):
        return scope


class _Request(OAuth2Request):
    """A request as Authlib wants it; it insists on https, which loopback does without."""

    def __init__(self, form, headers) -> None:
        super().__init__("POST", "https://authlib.test/token", headers=headers)
        self.payload, self._form = BasicOAuth2Payload(form), form

    @property
    def form(self):
        return self._form


class _Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "client_assertion_jwt")


class _Server(AuthorizationServer):
    """Authlib's server: `client` is who is known as "us é", `keys` are its public ones."""

    def __init__(self, client, endpoint="", keys="") -> None:
        super().__init__()
        self.client, self.status = client, []
        self.register_grant(_Grant)
        self.register_token_generator("default", self._token)

        class Assertion(JWTBearerClientAssertion):
            def get_audiences(self):
                return [endpoint]

            def validate_jti(self, claims, jti):
                return bool(jti)

            def process_assertion_claims(self, assertion, resolve_key):
                # without a list Authlib takes RS256 and ES256, which SMART does not name
                token = jwt.decode(assertion, resolve_key, algorithms=["RS384", "ES384"])
                self.verify_claims(token.claims)
                return token.claims

            def resolve_client_public_key(self, client):
                return PublicKeys.import_key_set(json.loads(keys))

        self.register_client_auth_method("client_assertion_jwt", Assertion(validate_jti=True))

    def _token(self, grant_type, client, scope, **_):
        return {"access_token": "by-authlib", "token_type": "Bearer", "expires_in": 300, "scope": scope}

    def query_client(self, client_id):
        return self.client if client_id == "us é" else None

    def create_oauth2_request(self, request):
        return _Request(*request)

    def save_token(self, token, request):
        pass

    def send_signal(self, name, *args, **kwargs):
        pass

    def handle_response(self, status, body, headers):
        self.status.append(status)
        return JSONResponse(body, status, dict(headers))

    def answer(self, ehr, methods):
        told = {"token_endpoint": f"{ehr.url}/auth/token", "token_endpoint_auth_methods_supported": methods}

        def hook(request):
            if request.url.path == "/fhir/.well-known/smart-configuration":
                return JSONResponse(told)
            if request.url.path == "/auth/token":
                form = {key: value[0] for key, value in parse_qs(ehr.bodies[-1].decode()).items()}
                headers = {name.title(): value for name, value in request.headers.items()}
                return self.create_token_response((form, headers))
            return None

        ehr.hooks.append(hook)


@pytest.mark.parametrize(
    ("takes", "listed", "asked"),
    [
        ("client_secret_basic", ["client_secret_basic", "client_secret_post"], 1),
        ("client_secret_basic", [], 1),
        ("client_secret_post", ["private_key_jwt", "client_secret_post"], 1),
        ("client_secret_post", [], 2),
    ],
)
async def test_authlib_knows_us_by_our_secret_in_the_way_that_it_takes(ehr, clock, takes, listed, asked):
    server = _Server(_Client(takes))
    server.answer(ehr, listed)
    auth = ClientSecret(ehr.base, "us é", f"{ODD}\n", clock=clock, sleep=clock.sleep)
    async with Connection(ehr.base, "r4", auth, clock=clock, sleep=clock.sleep) as connection:
        await connection.get("metadata")
        assert ehr.tokens()[-1] == "Bearer by-authlib"
        auth.forget()
        await connection.get("metadata")
    assert server.status[-1] == 200
    assert len(server.status) == asked + 1  # what helped is tried first from then on
    assert ODD not in repr(auth) + repr(vars(auth)) + repr(connection)


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
async def test_authlib_knows_us_by_our_signature(ehr, clock, algorithm, rsa_pem):
    key = SigningKey.new() if algorithm == "ES384" else SigningKey.read(rsa_pem)
    server = _Server(_Client("client_assertion_jwt"), f"{ehr.url}/auth/token", key.public_set())
    server.answer(ehr, ["private_key_jwt"])
    # Authlib reads the clock of the machine
    async with Connection(ehr.base, "r4", BackendServices(ehr.base, "us é", key)) as connection:
        await connection.get("metadata")
    assert (server.status, ehr.tokens()[-1]) == ([200], "Bearer by-authlib")


@pytest.fixture(scope="module")
def rsa_pem():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return rsa.generate_private_key(65537, 2048).private_bytes(*plain).decode()


# The simulator


@pytest.fixture
def simulator(plugs):
    def make(**settings):
        found = Simulator(EhrSettings(name="sim", require_auth=True, **settings))
        found.load({"resourceType": "Patient", "id": "p1"})
        found.origin = plugs[0].url
        plugs[0].ehr = found
        return found

    return make


async def asks(found, auth, *types):
    """Ask for some types with the credentials; the statuses."""
    async with Connection(found.base_url, "r4", auth) as connection:
        return [(await connection.get(type_, allow={401, 403})).status for type_ in types or ("Patient",)]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_simulator_tells_how_it_wants_a_secret_and_gets_it_so(simulator, method):
    found = simulator()
    found.smart.register_secret("us", ODD, method=method)
    assert await asks(found, ClientSecret(found.base_url, "us", ODD)) == [200]
    with pytest.raises(Denied, match="invalid_client"):
        await asks(found, ClientSecret(found.base_url, "us", "another"))


async def test_a_rotation_never_leaves_us_without_a_key(simulator):
    found = simulator()
    old, new = SigningKey.new(), SigningKey.new()
    both = KeySet((old,)).with_next(new)
    found.smart.register("us", json.loads(old.public_set()))
    assert await asks(found, BackendServices(found.base_url, "us", both)) == [200]  # published, not in use
    rotated = BackendServices(found.base_url, "us", both.signing_with(new.kid))
    assert await asks(found, rotated) == [200]  # in use too soon: the one before it helps, and we say so
    assert rotated.remarks
    found.smart.register("us", json.loads(both.public_set()))
    rotated = BackendServices(found.base_url, "us", both.signing_with(new.kid))
    assert await asks(found, rotated) == [200]
    assert not rotated.remarks
    found.smart.register("us", json.loads(new.public_set()))
    assert await asks(found, BackendServices(found.base_url, "us", both.signing_with(new.kid).without(old.kid))) == [
        200
    ]


async def test_the_address_of_our_keys_is_said_where_the_server_knows_it_and_only_there(simulator):
    found, key = simulator(), SigningKey.new()
    url = "https://twin.example/jwks.json"
    found.smart.register("us", json.loads(key.public_set()), jwks_url=url)
    for said in (url, ""):
        assert await asks(found, BackendServices(found.base_url, "us", key, jwks_url=said)) == [200]
    with pytest.raises(Denied, match="invalid_client"):
        await asks(found, BackendServices(found.base_url, "us", key, jwks_url="https://other.example/jwks.json"))


async def test_a_server_that_speaks_the_other_version_of_scopes_only_is_asked_in_it(simulator):
    for version in ("v1", "v2"):
        found, key = simulator(scope_versions=(version,)), SigningKey.new()
        found.smart.register("us", json.loads(key.public_set()))
        auth = BackendServices(found.base_url, "us", key)
        assert await asks(found, auth) == [200]
        assert narrowed(auth) == ()


async def test_a_type_without_a_grant_is_refused_and_the_others_are_given(simulator):
    found, key = simulator(), SigningKey.new()
    found.smart.register("us", json.loads(key.public_set()), "system/Patient.rs")
    auth = BackendServices(found.base_url, "us", key)
    assert await asks(found, auth, "Observation", "Patient", "Condition") == [403, 200, 403]
    assert narrowed(auth) == ("*.r", "*.s")


async def test_a_pull_with_a_narrower_grant_takes_what_it_may_and_the_certificate_says_what_it_may_not(simulator):
    found, key = simulator(), SigningKey.new()
    found.smart.register("us", json.loads(key.public_set()), "system/Patient.rs")
    async with Connection(found.base_url, None, BackendServices(found.base_url, "us", key)) as connection:
        capability = await fetch_capability(connection)
        source = SearchCrawl("sim", connection, capability, types=("Condition", "Patient", "Observation"))
        came = [entry async for page in source.pages(None) for entry in page.entries]
    certificate = source.certificate()
    stops = {asked.type: asked.stopped for asked in certificate.asked}
    assert len(came) == 1
    assert stops == {"Condition": "denied", "Patient": "", "Observation": "denied"}
    assert "The server did not grant us: *.r, *.s." in certificate.note


async def test_a_stale_smart_configuration_of_the_simulator_is_got_over(simulator):
    found, key = simulator(), SigningKey.new()
    found.smart.register("us", json.loads(key.public_set()))
    found.misbehaviours.add(Misbehaviour("stale-smart-configuration", times=9))
    auth = BackendServices(found.base_url, "us", key)
    assert await asks(found, auth) == [200]
    assert "metadata" in auth.remarks[0]


async def test_a_token_that_ends_in_mid_crawl_is_renewed_once_for_all_who_ask(simulator):
    found, key = simulator(), SigningKey.new()
    found.smart.register("us", json.loads(key.public_set()))
    auth = BackendServices(found.base_url, "us", key)
    async with Connection(found.base_url, "r4", auth) as connection:
        await connection.get("Patient")
        found.misbehaviours.add(Misbehaviour("expired-token", "Patient", times=1))
        await asyncio.gather(*(connection.get("Patient", tries=1) for _ in range(6)))
    assert sum(seen.path == "/auth/token" for seen in found.seen) == 2
    assert any(seen.status == 401 for seen in found.seen)


# From twin.toml


def put(folder, name, text, mode=0o600):
    file = folder / name
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


KEY = KeySet((SigningKey.new(),)).private_set()
AUTHS = {
    "bearer": {"token_file": "tok-canary\n"},
    "basic": {"user": "us", "password_file": "canary\n"},
    "client-secret": {"client_id": "us", "secret_file": "canary"},
    "backend-services": {"client_id": "us", "key_file": KEY, "jwks_url": "https://twin.example/jwks.json"},
}


def settings(folder, auth, mode=0o600, **changes):
    told = {
        key: put(folder, key, value, mode) if key.endswith("_file") else value for key, value in AUTHS[auth].items()
    }
    return SourceSettings(**{"url": "http://127.0.0.1:9/fhir", "auth": auth, **told, **changes})


@pytest.mark.parametrize("auth", AUTHS)
def test_each_kind_of_account_is_read_from_its_files_and_shows_no_secret(tmp_path, auth):
    made = credentials(settings(tmp_path, auth))
    assert made is not None
    assert "canary" not in repr(made)
    assert json.loads(KEY)["keys"][0]["d"] not in repr(made) + repr(vars(made))


@pytest.mark.parametrize("auth", AUTHS)
def test_a_secret_that_others_can_read_is_refused_as_the_key_of_the_store_is(tmp_path, auth):
    with pytest.raises(BadSettings, match="can be read by others") as caught:
        credentials(settings(tmp_path, auth, 0o644))
    assert "chmod 600" in caught.value.hint
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("there", ["nothing", "a folder", "bytes"])
def test_a_secret_that_cannot_be_read_is_told_by_its_setting(tmp_path, auth, there):
    told = settings(tmp_path, auth)
    [setting] = [key for key in AUTHS[auth] if key.endswith("_file")]
    file = getattr(told, setting)
    file.unlink()
    if there == "a folder":
        file.mkdir(mode=0o700)
    elif there == "bytes":
        put(tmp_path, file.name, "")
        file.write_bytes(b"\xff\xfe\x00canary")
    with pytest.raises(BadSettings, match=setting) as caught:
        credentials(told)
    assert "canary" not in str(caught.value)


def test_what_is_no_key_for_smart_is_told_without_showing_it(tmp_path):
    for text in ("canary", "{", KEY.replace('"d"', '"x"'), '{"kty":"oct","k":"canary"}', "-----BEGIN canary-----"):
        told = settings(tmp_path, "backend-services")
        put(tmp_path, "key_file", text)
        with pytest.raises(BadSettings, match="key") as caught:
            credentials(told)
        assert "canary" not in str(caught.value)


def test_the_way_to_a_server_is_as_the_settings_say(tmp_path):
    told = settings(
        tmp_path,
        "bearer",
        proxy="http://proxy.example:3128",
        proxy_user="us",
        proxy_password_file=put(tmp_path, "proxy", "canary\n"),
        client_certificate_file=put(tmp_path, "cert", "x"),
        client_key_file=put(tmp_path, "key", "x"),
        ca_file=put(tmp_path, "ca", "x", 0o644),
        at_once=7,
        a_second=2.5,
        tries=9,
        come_back_s=7,
        answer_s=11,
        answer_mb=1,
        unpacked_mb=2,
        ratio=3,
    )
    made = wire_arguments(told)
    assert made["proxy"] is not None
    assert (made["proxy"].url, made["proxy"].user, made["proxy"].password) == (
        "http://proxy.example:3128/",
        "us",
        "canary",
    )
    assert "canary" not in repr(made)
    assert made["client_certificate"] == (tmp_path / "cert", tmp_path / "key")
    assert (made["ca_file"], made["at_once"], made["a_second"]) == (tmp_path / "ca", 7, 2.5)
    assert (made["patience"].tries, made["patience"].come_back, made["patience"].total) == (9, 7, 11)
    assert (made["limits"].raw_bytes, made["limits"].decoded_bytes, made["limits"].ratio) == (1 << 20, 2 << 20, 3)


async def test_a_source_with_a_secret_is_asked_with_its_token(simulator, tmp_path):
    found = simulator()
    found.smart.register_secret("us", "canary")
    async with connect(settings(tmp_path, "client-secret", url=found.base_url)) as connection:
        assert (await connection.get("Patient")).status == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "https://us:canary@ehr.example/fhir"}, "url has a user"),
        ({"proxy": "http://us:canary@proxy.example:3128"}, "proxy has a user"),
    ],
)
def test_a_password_in_an_address_is_no_setting(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        settings(tmp_path, "bearer", **changes)

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc
import zlib
from datetime import timedelta
from email.utils import format_datetime

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import Limits, TooLarge
from gateway.pull.origin import ForeignUrlError
from gateway.pull.passwords import Basic, StaticBearer
from gateway.pull.wire import Patience
from security.errors import BadSettings, Denied, NotFhir, Refused, Unreachable
from tests.gateway.pull.certificates import self_signed

SECRET = "canary-token-4711"


@pytest.mark.parametrize(
    ("version", "media_type"),
    [
        ("dstu2", "application/json+fhir"),
        ("stu3", "application/fhir+json"),
        ("r4", "application/fhir+json"),
        ("r4b", "application/fhir+json; fhirVersion=4.3"),
        ("r5", "application/fhir+json; fhirVersion=5.0"),
    ],
)
async def test_each_version_has_its_media_type(ehr, connect, version, media_type):
    connection = connect(version=version)
    await connection.get("metadata")
    first, *others = ehr.asked[0].headers["accept"].split(", ")
    assert first == media_type
    assert others == (["application/fhir+json;q=0.9"] if "fhirVersion" in media_type else [])
    ehr.once("Observation", Response(b"{}", 201, media_type="application/fhir+json"))
    await connection.post("Observation", b"{}")
    assert ehr.asked[-1].headers["content-type"] == media_type


async def test_a_server_of_unknown_version_may_answer_in_any_json(ehr, connect):
    await connect(version=None).get("metadata")
    assert {"application/fhir+json", "application/json+fhir"} <= {
        part.partition(";")[0].strip() for part in ehr.asked[0].headers["accept"].split(",")
    }


async def test_the_bytes_of_a_body_come_as_they_were_sent(ehr, connect):
    sent = b'{"resourceType":"Observation", "valueQuantity":{"value":7.10}}\n'
    ehr.once("Observation/1", Response(gzip.compress(sent), headers={"content-encoding": "gzip"}))
    assert (await connect().get("Observation/1")).body == sent


async def test_a_token_goes_to_urls_below_the_base_only(ehr, connect):
    ehr.hooks.append(lambda request: JSONResponse({}))
    connection = connect(StaticBearer(SECRET))
    await connection.get("Patient")
    await connection.get(f"{ehr.base}/Patient?_page=2")
    await connection.get(f"{ehr.url}/elsewhere/Patient")
    await connection.get(f"{ehr.url}/fhirx/Patient")
    assert ehr.tokens() == [f"Bearer {SECRET}"] * 2 + [None] * 2


async def test_a_url_of_another_server_is_not_asked_at_all(ehr, connect, stranger):
    with pytest.raises(Refused):
        await connect(StaticBearer(SECRET)).get(f"{stranger.base}/Patient")
    assert stranger.asked == []


async def test_a_link_is_resolved_only_within_the_base(ehr, connect, stranger):
    connection = connect()
    assert connection.resolve("?_page=2", f"{ehr.base}/Patient") == f"{ehr.base}/Patient?_page=2"
    for link in (f"{stranger.base}/Patient", f"{ehr.url}/other/Patient"):
        with pytest.raises(ForeignUrlError):
            connection.resolve(link, f"{ehr.base}/Patient")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server_is_not_followed(ehr, connect, stranger, status):
    ehr.once("Patient", RedirectResponse(f"{stranger.base}/Patient", status))
    with pytest.raises(Refused):
        await connect(StaticBearer(SECRET)).get("Patient")
    assert stranger.asked == []


async def test_a_redirect_within_the_server_is_followed_and_the_method_kept(ehr, connect):
    ehr.once("Patient", RedirectResponse("/fhir/Patient/", 307))
    ehr.hooks.append(lambda request: JSONResponse({}, 201))
    await connect(StaticBearer(SECRET)).post("Patient", b"{}")
    assert [(r.method, r.url.path) for r in ehr.asked] == [("POST", "/fhir/Patient"), ("POST", "/fhir/Patient/")]
    assert ehr.bodies == [b"{}", b"{}"]


async def test_a_write_is_not_turned_into_a_read_by_a_redirect(ehr, connect):
    ehr.once("Patient", RedirectResponse("/fhir/Patient/", 302))
    with pytest.raises(Refused):
        await connect().post("Patient", b"{}")
    assert len(ehr.asked) == 1


async def test_redirects_in_a_circle_end(ehr, connect):
    ehr.hooks.append(lambda request: RedirectResponse("/fhir/Patient"))
    with pytest.raises(Refused):
        await connect().get("Patient")
    assert len(ehr.asked) == 4


async def test_a_passing_fault_is_sat_out_with_growing_jittered_pauses(ehr, connect, clock):
    ehr.once("metadata", Response(status_code=503), times=3)
    assert (await connect().get("metadata")).status == 200
    assert len(clock.slept) == 3
    assert all(0 <= slept <= ceiling for slept, ceiling in zip(clock.slept, (1, 2, 4), strict=True))


async def test_a_lasting_fault_is_told_after_the_last_try(ehr, connect, clock, refusal):
    ehr.once("metadata", JSONResponse(refusal("exception", "Jane Doe is broken"), 500), times=99)
    with pytest.raises(Unreachable) as caught:
        await connect().get("metadata")
    assert len(ehr.asked) == 4
    assert "Jane" not in str(caught.value)
    assert "error exception" in str(caught.value)
    assert "Jane" in str(caught.value.detail)


async def test_retry_after_in_seconds_is_never_undercut(ehr, connect, clock):
    ehr.once("metadata", Response(status_code=429, headers={"retry-after": "37"}))
    await connect().get("metadata")
    assert 37 <= clock.slept[0] <= 38


async def test_retry_after_as_a_date_is_meant_by_the_servers_clock(ehr, connect, clock):
    servers_now = clock.now + timedelta(hours=3)  # its clock is wrong
    headers = {"date": format_datetime(servers_now, usegmt=True)}
    headers["retry-after"] = format_datetime(servers_now + timedelta(seconds=50), usegmt=True)
    ehr.once("metadata", Response(status_code=503, headers=headers))
    await connect().get("metadata")
    assert 50 <= clock.slept[0] <= 51


async def test_a_long_pause_is_told_and_not_sat_out(ehr, connect, clock):
    ehr.once("metadata", Response(status_code=429, headers={"retry-after": "7200"}))
    with pytest.raises(ComeBackLater) as caught:
        await connect().get("metadata")
    assert caught.value.seconds == 7200
    assert caught.value.code == "unreachable"
    assert "121 minutes" in caught.value.hint
    assert clock.slept == []


async def test_a_bundle_is_sent_once_whatever_happens(ehr, connect):
    ehr.once("", Response(status_code=503), times=9)
    with pytest.raises(Unreachable):
        await connect().send(b'{"resourceType":"Bundle"}')
    assert [r.method for r in ehr.asked] == ["POST"]
    assert ehr.asked[0].headers["content-type"] == "application/fhir+json"


async def test_only_a_conditional_create_is_repeated(ehr, connect):
    ehr.once("Observation", Response(status_code=503), times=2)
    ehr.hooks.append(lambda request: JSONResponse({}, 201))
    with pytest.raises(Unreachable):
        await connect().post("Observation", b"{}")
    reply = await connect().post("Observation", b"{}", if_none_exist="identifier=urn:ietf:rfc:3986|urn:uuid:1")
    assert reply.status == 201
    assert ehr.asked[-1].headers["if-none-exist"] == "identifier=urn:ietf:rfc:3986|urn:uuid:1"
    assert len(ehr.asked) == 3


async def test_a_client_error_is_not_repeated(ehr, connect, refusal):
    ehr.once("Patient", JSONResponse(refusal("invalid", "name=Jane"), 422))
    with pytest.raises(Refused) as caught:
        await connect().get("Patient", [("name", "Jane")])
    assert len(ehr.asked) == 1
    assert "Jane" not in str(caught.value)
    assert "invalid" in str(caught.value)


async def test_issue_codes_that_fhir_does_not_have_are_not_shown(ehr, connect, refusal):
    ehr.once("Patient", JSONResponse(refusal("jane-doe", severity="jane"), 422))
    with pytest.raises(Refused) as caught:
        await connect().get("Patient")
    assert "jane" not in str(caught.value)


class Renewing:
    """Credentials whose first token is no longer good."""

    def __init__(self) -> None:
        self.serial = 1

    async def authorization(self, wire) -> str:
        return f"Bearer {self.serial}"

    def forget(self, used: str = "") -> bool:
        self.serial += 1
        return True


async def test_a_401_renews_the_token_once_and_is_no_retry(ehr, connect, clock):
    ehr.once("metadata", Response(status_code=401))
    reply = await connect(Renewing(), patience=Patience(tries=1)).get("metadata")
    assert reply.status == 200
    assert ehr.tokens() == ["Bearer 1", "Bearer 2"]
    assert clock.slept == []


async def test_a_401_with_a_new_token_is_final(ehr, connect):
    ehr.once("metadata", Response(status_code=401), times=9)
    with pytest.raises(Denied):
        await connect(Renewing()).get("metadata")
    assert len(ehr.asked) == 2


async def test_a_401_with_a_fixed_token_is_final_at_once(ehr, connect):
    ehr.once("metadata", Response(status_code=401), times=9)
    with pytest.raises(Denied):
        await connect(StaticBearer(SECRET)).get("metadata")
    assert len(ehr.asked) == 1


@pytest.mark.parametrize("status", [200, 404])
async def test_a_web_page_is_not_fhir_and_the_hint_says_what_it_may_be(ehr, connect, status):
    page = Response("<!DOCTYPE html><title>Sign in</title>", status, media_type="text/html")
    ehr.once("Patient", page, times=2)
    with pytest.raises(NotFhir) as caught:
        await connect().get("Patient")
    assert "login page" in caught.value.hint


async def test_xml_is_not_what_we_read(ehr, connect):
    ehr.once("Patient", Response("<Bundle xmlns='http://hl7.org/fhir'/>", media_type="application/fhir+xml"), times=2)
    with pytest.raises(NotFhir, match="XML"):
        await connect().get("Patient")


async def test_an_encoding_that_we_did_not_ask_for_is_refused(ehr, connect):
    ehr.once("Patient", Response(b"...", headers={"content-encoding": "br"}), times=2)
    with pytest.raises(NotFhir):
        await connect().get("Patient")


async def test_a_bomb_is_too_large_and_takes_no_memory(ehr, connect):
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    ehr.once("Patient", Response(packed, headers={"content-encoding": "gzip"}))
    connection = connect(limits=Limits(decoded_bytes=8 << 20, ratio=None))
    tracemalloc.start()
    with pytest.raises(TooLarge) as caught:
        await connection.get("Patient")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "too-large"
    assert most < 20 << 20


async def test_more_bytes_than_we_take_are_not_read(ehr, connect):
    ehr.once("Patient", Response(bytes(1000)))
    with pytest.raises(TooLarge):
        await connect(limits=Limits(raw_bytes=999)).get("Patient")


async def test_a_body_that_breaks_off_is_repeated(ehr, connect):
    whole = gzip.compress(b'{"resourceType":"Patient"}')
    ehr.once("Patient", Response(whole[:-9], headers={"content-encoding": "gzip"}))
    ehr.once("Patient", Response(whole, headers={"content-encoding": "gzip"}))
    assert (await connect().get("Patient")).body == b'{"resourceType":"Patient"}'


async def test_a_server_that_is_not_there_is_unreachable(connect, clock):
    with pytest.raises(Unreachable, match="cannot be reached"):
        await connect(base="http://127.0.0.1:9/fhir").get("metadata")
    assert len(clock.slept) == 3
    assert not await connect(base="http://127.0.0.1:9/fhir").answers()


async def test_a_server_that_says_nothing_is_unreachable(serve):
    async def silent(scope, receive, send):
        await receive()
        await receive()  # until the client hangs up

    with serve(silent) as url:
        async with Connection(f"{url}/fhir", patience=Patience(total=0.2, tries=1)) as connection:
            with pytest.raises(Unreachable, match="in time"):
                await connection.get("metadata")


def test_credentials_never_travel_unprotected():
    with pytest.raises(BadSettings):
        Connection("http://ehr.example/fhir", "r4", StaticBearer(SECRET))


@pytest.mark.parametrize("token", ["", "two words", "line\r\nHost: evil", "tök"])
def test_what_is_no_token_is_a_wrong_setting(token):
    with pytest.raises(BadSettings):
        StaticBearer(token)


async def test_a_password_is_sent_as_rfc_7617_shows(ehr, connect):
    # RFC 7617 2.1: user-id "test", password "123" and a pound sign, in UTF-8
    await connect(Basic("test", "123£")).get("metadata")
    assert ehr.tokens() == ["Basic dGVzdDoxMjPCow=="]


async def test_no_secret_and_no_url_is_in_logs_faults_or_reprs(ehr, connect, caplog):
    caplog.set_level(logging.DEBUG)
    ehr.once("Patient", Response(status_code=422))
    connection = connect(StaticBearer(SECRET))
    with pytest.raises(Refused) as caught:
        await connection.get("Patient", [("name", "Jane")])
    reply = await connection.get("metadata", [("name", "Jane")])
    said = caplog.text + str(caught.value) + repr(caught.value) + repr(reply) + repr(connection) + repr(connection.auth)
    assert SECRET not in said
    assert "Jane" not in said


async def test_a_certificate_that_nobody_vouches_for_is_refused(serve, ehr, tmp_path):
    key, certificate = self_signed(tmp_path)
    with serve(ehr.app, ssl_keyfile=key, ssl_certfile=certificate) as address:
        url = address.replace("127.0.0.1", "localhost")
        async with Connection(f"{url}/fhir", patience=Patience(tries=1)) as connection:
            with pytest.raises(Unreachable, match="not trusted") as caught:
                await connection.get("metadata")
        assert "ca_file" in caught.value.hint
        async with Connection(f"{url}/fhir", ca_file=certificate) as connection:
            assert json.loads((await connection.get("metadata")).body)["resourceType"] == "CapabilityStatement"


def test_a_ca_file_without_certificates_is_a_wrong_setting(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(BadSettings):
        Connection("https://ehr.example/fhir", ca_file=tmp_path / "ca.pem")

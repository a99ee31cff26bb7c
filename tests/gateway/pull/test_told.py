"""Jobs and files: what is asked once, what a server told us, and where our token never goes."""

from __future__ import annotations

import gzip

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import Limits, TooLarge
from gateway.pull.passwords import StaticBearer
from gateway.pull.profile import Profile
from security.errors import Denied, Refused, Unreachable
from tests.gateway.pull.certificates import self_signed
from tests.gateway.pull.conftest import Ehr

SECRET = "canary-token-4711"
ACCEPTED = {"content-location": "/fhir/status/1"}


async def read(stream):
    return b"".join([piece async for piece in stream.pieces()])


async def test_a_search_by_post_is_a_form_below_the_type(ehr, connect):
    ehr.hooks.append(lambda request: JSONResponse({"resourceType": "Bundle"}))
    await connect(StaticBearer(SECRET)).search("Patient", [("name", "Ö & Co"), ("name", "b")], by_post=True, fresh=True)
    [asked] = ehr.asked
    assert (asked.method, asked.url.path, asked.url.query) == ("POST", "/fhir/Patient/_search", "")
    assert ehr.bodies == [b"name=%C3%96+%26+Co&name=b"]
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/fhir+json"
    assert asked.headers["cache-control"] == "no-cache"
    assert ehr.tokens() == [f"Bearer {SECRET}"]


async def test_a_search_by_get_is_the_same_question_in_the_url(ehr, connect):
    ehr.hooks.append(lambda request: JSONResponse({"resourceType": "Bundle"}))
    await connect().search("Patient", [("name", "Ö & Co"), ("name", "b")], prefer="handling=strict")
    assert ehr.paths() == ["Patient?name=%C3%96+%26+Co&name=b"]
    assert ehr.asked[0].headers["prefer"] == "handling=strict"


async def test_a_search_by_post_is_repeated_like_a_get(ehr, connect):
    ehr.once("Patient/_search", Response(status_code=503), times=2)
    ehr.hooks.append(lambda request: JSONResponse({"resourceType": "Bundle"}))
    assert (await connect().search("Patient", by_post=True)).status == 200
    assert [r.method for r in ehr.asked] == ["POST"] * 3


async def test_a_job_is_started_by_get_or_by_post(ehr, connect):
    ehr.hooks.append(lambda request: Response(status_code=202, headers=ACCEPTED))
    connection = connect(StaticBearer(SECRET))
    reply = await connection.kick_off("Group/1/$export", [("_type", "Patient,Condition"), ("_since", "2026-01-01")])
    assert connection.told(reply.headers["content-location"]).url == f"{ehr.base}/status/1"
    await connection.kick_off("$export", parameters=b"{}", prefer="respond-async, handling=lenient")
    first, second = ehr.asked
    assert (first.method, str(first.url.query)) == ("GET", "_type=Patient%2CCondition&_since=2026-01-01")
    assert first.headers["prefer"] == "respond-async"
    assert (second.method, second.headers["content-type"]) == ("POST", "application/fhir+json")
    assert second.headers["prefer"] == "respond-async, handling=lenient"
    assert ehr.bodies == [b"", b"{}"]


async def test_a_job_that_may_run_is_not_started_twice(ehr, connect):
    for number, status in enumerate((500, 502, 504, 408), 1):
        ehr.hooks = []
        ehr.once("$export", Response(status_code=status))
        with pytest.raises(Unreachable):
            await connect().kick_off("$export")
        assert len(ehr.asked) == number


@pytest.mark.parametrize("status", [429, 503])
async def test_a_job_that_the_server_did_not_take_is_started_again(ehr, connect, clock, status):
    ehr.once("$export", Response(status_code=status, headers={"retry-after": "20"}))
    ehr.hooks.append(lambda request: Response(status_code=202, headers=ACCEPTED))
    assert (await connect().kick_off("$export")).status == 202
    assert len(ehr.asked) == 2
    assert clock.slept[0] >= 20


async def test_a_job_is_started_again_where_nobody_was_there(connect, clock):
    with pytest.raises(Unreachable, match="cannot be reached"):
        await connect(base="http://127.0.0.1:9/fhir").kick_off("$export")
    assert len(clock.slept) == 3


async def test_a_refused_job_is_told_as_the_refusal_that_it_is(ehr, connect, refusal):
    ehr.once("$export", JSONResponse(refusal("too-costly"), 403))
    ehr.once("$export", JSONResponse(refusal("invalid"), 400))
    with pytest.raises(Denied):
        await connect().kick_off("$export")
    assert (await connect().kick_off("$export", allow={400})).status == 400


async def test_a_token_goes_to_what_is_ours_and_only_where_it_is_asked_for(ehr, connect, stranger):
    for server in (ehr, stranger):
        server.hooks.append(lambda request: JSONResponse({}))
    connection = connect(StaticBearer(SECRET))
    ours, theirs = connection.told(f"{ehr.url}/status/1"), connection.told(f"{stranger.url}/signed?sig=1")
    assert (ours.is_ours, theirs.is_ours) == (True, False)
    for told in (ours, theirs):
        await connection.ask_told(told, with_token=True)
        await connection.ask_told(told, with_token=False)
        async with connection.stream(told, with_token=True) as stream:
            assert stream.status == 200
    assert ehr.tokens() == [f"Bearer {SECRET}", None, f"Bearer {SECRET}"]
    assert stranger.tokens() == [None] * 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_signed_url_is_followed_without_the_token(ehr, connect, stranger, status):
    ehr.once("file/1", RedirectResponse(f"{stranger.url}/bucket/1?sig=x", status), times=2)
    stranger.hooks.append(lambda request: Response(b'{"resourceType":"Patient"}\n'))
    connection = connect(StaticBearer(SECRET))
    told = connection.told(f"{ehr.base}/file/1")
    async with connection.stream(told, with_token=True) as stream:
        assert (stream.url, await read(stream)) == (
            f"{stranger.url}/bucket/1?sig=x",
            b'{"resourceType":"Patient"}\n',
        )
    await connection.ask_told(told, with_token=True)
    assert ehr.tokens() == [f"Bearer {SECRET}"] * 2
    assert stranger.tokens() == [None] * 2


async def test_the_token_comes_back_with_a_redirect_that_comes_home(ehr, connect, stranger):
    ehr.once("file/1", RedirectResponse(f"{stranger.url}/hop", 307))
    stranger.hooks.append(lambda request: RedirectResponse(f"{ehr.base}/file/2", 307))
    ehr.hooks.append(lambda request: JSONResponse({}))
    connection = connect(StaticBearer(SECRET))
    await connection.ask_told(connection.told(f"{ehr.base}/file/1"), with_token=True)
    assert (ehr.tokens(), stranger.tokens()) == ([f"Bearer {SECRET}"] * 2, [None])


@pytest.mark.parametrize(
    "link",
    [
        "http://files.example/1",
        "ftp://ehr.example/1",
        "file:///etc/passwd",
        "http://127.0.0.1/1",
        "https://localhost:6443/1",
        "https://user:secret@ehr.example/1",
        "https://ehr.example\\@files.example/1",
        "https://ehr.example/fhir/%2e%2e/%2e%2e/admin",
        "javascript:alert(1)",
    ],
)
def test_a_link_that_is_less_protected_or_no_link_is_refused(link):
    with pytest.raises(Refused) as caught:
        Connection("https://ehr.example/fhir").told(link)
    assert "example/1" not in str(caught.value)


def test_what_is_ours_is_decided_on_scheme_host_and_port():
    connection = Connection("https://ehr.example/fhir")
    ours = ("status/1", "/bulk/1", "?job=1", "https://EHR.example:443/bulk/1", "//ehr.example/x")
    theirs = (
        "https://ehr.example:8443/1",
        "https://ehr.example.evil.example/",
        "//files.example/1",
    )
    assert all(connection.told(link).is_ours for link in ours)
    assert not any(connection.told(link).is_ours for link in theirs)
    assert connection.told("1", "https://ehr.example/bulk/status/7").url == "https://ehr.example/bulk/status/1"
    assert "ehr.example" not in repr(connection.told("/bulk/1"))


def test_a_server_that_does_not_know_its_own_name_is_asked_under_the_one_that_we_know():
    connection = Connection("https://ehr.example/fhir", aliases=["http://inner:8080/hapi/"])
    for link, ours in (
        ("http://inner:8080/hapi/$status?job=a%2Fb", "https://ehr.example/fhir/$status?job=a%2Fb"),
        ("http://inner:8080/bulk/1", "https://ehr.example/bulk/1"),
        ("http://ehr.example/bulk/1?x=1", "https://ehr.example/bulk/1?x=1"),
        ("http://ehr.example:8080/bulk/1", "https://ehr.example/bulk/1"),
    ):
        told = connection.told(link)
        assert (told.url, told.is_ours) == (ours, True)
    for link in ("http://inner:8081/hapi/1", "http://user@ehr.example/1"):
        with pytest.raises(Refused):
            connection.told(link)


async def test_a_redirect_from_https_to_http_is_not_followed(serve, ehr, tmp_path):
    key, certificate = self_signed(tmp_path)
    ehr.once("file/1", RedirectResponse("http://files.example/1", 307))
    with serve(ehr.app, ssl_keyfile=key, ssl_certfile=certificate) as address:
        url = address.replace("127.0.0.1", "localhost")
        async with Connection(f"{url}/fhir", ca_file=certificate) as connection:
            with pytest.raises(Refused, match="not protected"):
                await connection.ask_told(connection.told("file/1"), with_token=False)


async def test_what_was_told_is_repeated_after_a_passing_fault(ehr, connect, clock):
    ehr.once("status/1", Response(status_code=502))
    ehr.once("status/1", Response(b"still busy", 202, headers={"retry-after": "7200", "x-progress": "10%"}))
    connection = connect()
    reply = await connection.ask_told(connection.told("status/1"), with_token=True)
    assert (reply.status, reply.headers["x-progress"]) == (202, "10%")
    assert len(clock.slept) == 1


async def test_a_status_that_the_caller_takes_is_given_at_once(ehr, connect, clock):
    ehr.once("status/1", Response(status_code=429, headers={"retry-after": "7200"}), times=2)
    connection = connect()
    told = connection.told("status/1")
    assert (await connection.ask_told(told, with_token=True, allow={429})).status == 429
    with pytest.raises(ComeBackLater):
        await connection.ask_told(told, with_token=True)
    assert clock.slept == []


@pytest.mark.parametrize("status", [202, 204, 404, 405, 410])
async def test_a_job_is_dropped_and_that_there_is_none_is_an_answer(ehr, connect, status):
    ehr.once("status/1", Response(status_code=status))
    connection = connect(StaticBearer(SECRET))
    assert (await connection.delete(connection.told("status/1"))).status == status
    assert ([r.method for r in ehr.asked], ehr.tokens()) == (["DELETE"], [f"Bearer {SECRET}"])


async def test_nothing_is_dropped_on_another_server(connect, stranger):
    connection = connect(StaticBearer(SECRET))
    with pytest.raises(Refused):
        await connection.delete(connection.told(f"{stranger.base}/status/1"))
    assert stranger.asked == []


async def test_a_file_is_unpacked_while_it_comes_and_within_its_limits(ehr, connect):
    packed = gzip.compress(b"x" * (1 << 22))
    ehr.once("file/1", Response(packed, headers={"content-encoding": "gzip"}), times=2)
    connection = connect(limits=Limits(decoded_bytes=10))  # those of an answer, not of a file
    told = connection.told("file/1")
    async with connection.stream(told, with_token=False, limits=Limits(ratio=None)) as stream:
        assert max([len(piece) async for piece in stream.pieces()]) <= 1 << 16
    async with connection.stream(told, with_token=False) as stream:
        with pytest.raises(TooLarge):
            await read(stream)


async def test_a_file_that_is_read_takes_no_place_from_other_questions(ehr, connect):
    ehr.hooks.append(lambda request: JSONResponse({}))
    connection = connect(at_once=1)
    async with connection.stream(connection.told("file/1"), with_token=False) as stream:
        assert (await connection.get("metadata")).status == 200
        assert await read(stream) == b"{}"


class Renewing:
    """Credentials whose first token is no longer good."""

    serial = 1

    async def authorization(self, wire):
        return f"Bearer {self.serial}"

    def forget(self, used=""):
        self.serial += 1
        return True


async def test_a_401_for_a_file_renews_the_token_once(ehr, connect):
    ehr.hooks.append(
        lambda request: Response(status_code=200 if request.headers["authorization"] == "Bearer 2" else 401)
    )
    connection = connect(Renewing())
    async with connection.stream(connection.told("file/1"), with_token=True) as stream:
        assert stream.status == 200
    assert ehr.tokens() == ["Bearer 1", "Bearer 2"]


async def test_what_a_server_wants_to_see_in_each_request_goes_to_no_other(ehr, connect, stranger):
    ehr.once("file/1", RedirectResponse(f"{stranger.url}/bucket/1", 307))
    for server in (ehr, stranger):
        server.hooks.append(lambda request: JSONResponse({"resourceType": "Bundle"}))
    connection = connect(client_id="us")
    connection.heed(Profile(headers={"Epic-Client-ID": "{client_id}", "Accept": "text/plain"}))
    await connection.search("Patient", by_post=True)
    await connection.ask_told(connection.told("file/1"), with_token=False)
    assert [r.headers.get("epic-client-id") for r in (*ehr.asked, *stranger.asked)] == ["us", "us", None]
    assert ehr.asked[0].headers["accept"] == "application/fhir+json"
    connection = connect()  # nobody told what the server calls us
    connection.heed(Profile(headers={"Epic-Client-ID": "{client_id}"}))
    await connection.search("Patient")
    assert "epic-client-id" not in ehr.asked[-1].headers


async def test_a_cookie_of_our_server_goes_to_no_other_port_of_its_host(ehr, connect, serve):
    """A session may be as good as a token, and cookies do not tell ports apart (RFC 6265 8.5)."""
    other = Ehr()
    for server in (ehr, other):
        server.hooks.append(lambda request: JSONResponse({}, headers={"Set-Cookie": "session=secret; Path=/"}))
    connection = connect()
    with serve(other.app) as address:
        for link in (f"{ehr.base}/status", f"{address}/file", f"{ehr.base}/status"):
            await connection.ask_told(connection.told(link), with_token=True)
    assert [r.headers.get("cookie") for r in (*ehr.asked, *other.asked)] == [None, "session=secret", None]

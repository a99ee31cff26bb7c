"""When a request is sent again, and after which pause."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from gateway.pull.connection import ComeBackLater
from gateway.pull.retry import Retry
from gateway.pull.retry_after import retry_after, used_up_for
from gateway.pull.wire import Patience, Reply
from security.errors import Denied, NotFhir, Unreachable

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_status_that_may_pass_is_asked_again(ehr, connect, status):
    ehr.once("metadata", Response(status_code=status))
    assert (await connect().get("metadata")).status == 200
    assert len(ehr.asked) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 412, 422, 501, 505])
async def test_a_status_that_does_not_pass_is_not(ehr, connect, status):
    ehr.once("metadata", Response(status_code=status))
    assert (await connect().get("metadata", allow={status})).status == status
    assert len(ehr.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_retry_after_counts_with_whatever_status_it_comes(ehr, connect, clock, status):
    ehr.once("metadata", Response(status_code=status, headers={"retry-after": "60"}))
    await connect().get("metadata")
    assert clock.slept[0] >= 60


@given(
    seconds=st.integers(0, 119),
    is_date=st.booleans(),
    skew=st.integers(-100_000, 100_000),
    attempt=st.integers(1, 2000),
    seed=st.integers(),
)
def test_no_pause_is_ever_shorter_than_what_the_server_said(seconds, is_date, skew, attempt, seed):
    servers_now = NOW + timedelta(seconds=skew)
    until = format_datetime(servers_now + timedelta(seconds=seconds), usegmt=True)
    headers = {"date": format_datetime(servers_now, usegmt=True), "retry-after": until if is_date else str(seconds)}
    slept = []

    async def sleep(waited):
        slept.append(waited)

    retry = Retry(Patience(), clock=lambda: NOW, sleep=sleep, dice=random.Random(seed))  # noqa: S311 - a test that repeats itself
    told = retry.told(Reply(503, headers, b"", ""))
    asyncio.run(retry.pause(attempt, told))
    asyncio.run(retry.pause(attempt))
    assert told == seconds
    assert seconds <= slept[0] <= seconds + 3
    assert 0 <= slept[1] <= 30


@pytest.mark.parametrize("said", ["", "soon", "-1", "1.5", "Tue, 99 Nov 2026 12:00:00 GMT", "٣", "1e3"])
def test_what_is_no_retry_after_says_nothing(said):
    assert retry_after({"retry-after": said}, NOW) is None


def test_a_date_in_the_past_means_now():
    assert retry_after({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, NOW) == 0
    assert retry_after({"retry-after": "Tue, 24 Nov 2026 12:00:05 GMT"}, NOW) == 5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # as Medplum's documentation shows it
        ({"ratelimit": '"requests";r=59999;t=60, "fhirInteractions";r=0;t=30'}, 30),
        ({"ratelimit": '"requests";r=59999;t=60, "fhirInteractions";r=49894;t=60'}, None),
        # draft-ietf-httpapi-ratelimit-headers-07 and before
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 7),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 9)}, 9),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "500000000"}, None),  # neither a pause nor an instant
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"ratelimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_an_allowance_that_is_used_up_is_understood_in_each_of_its_spellings(headers, seconds):
    assert used_up_for(headers, NOW) == seconds


async def test_a_long_pause_for_one_question_is_that_questions_matter(ehr, connect, clock):
    ehr.once("Observation", Response(status_code=503, headers={"retry-after": "7200"}), times=9)
    ehr.resources = {"Patient": []}
    connection = connect()
    with pytest.raises(ComeBackLater) as caught:
        await connection.get("Observation")
    assert caught.value.seconds == 7200
    assert (await connection.get("Patient")).status == 200
    assert clock.slept == []


class Answers:
    """Refuses the first answers that it is shown."""

    def __init__(self, refused):
        self.left = refused
        self.seen = []

    def __call__(self, reply):
        self.seen.append(reply.body)
        self.left -= 1
        if self.left >= 0:
            raise NotFhir("cut")


async def test_an_answer_that_cannot_be_right_is_asked_for_once_more(ehr, connect, clock):
    answers = Answers(1)
    assert (await connect().get("metadata", check=answers)).status == 200
    assert len(answers.seen) == len(ehr.asked) == 2
    assert len(clock.slept) == 1


async def test_and_no_more_than_once(ehr, connect):
    ehr.hooks.append(lambda request: Response(status_code=502) if len(ehr.asked) == 2 else None)
    with pytest.raises(NotFhir, match="cut"):
        await connect().get("metadata", check=Answers(9))
    assert len(ehr.asked) == 3


async def test_a_web_page_that_passes_is_sat_out(ehr, connect):
    ehr.once("Patient", Response("<html>Please sign in", media_type="text/html"))
    ehr.resources = {"Patient": []}
    assert (await connect().get("Patient")).status == 200


async def test_what_may_have_been_created_is_not_sent_again_for_its_answer(ehr, connect):
    ehr.hooks.append(lambda request: Response("<html>Created?", 201, media_type="text/html"))
    with pytest.raises(NotFhir):
        await connect().post("Observation", b"{}")
    assert len(ehr.asked) == 1


async def test_a_byte_order_mark_is_left_out(ehr, connect):
    ehr.once("Patient/1", Response(b'\xef\xbb\xbf{"resourceType":"Patient"}'))
    assert (await connect().get("Patient/1")).body == b'{"resourceType":"Patient"}'


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
async def test_utf_16_is_refused(ehr, connect, coding):
    ehr.hooks.append(lambda request: Response('{"resourceType":"Patient"}'.encode(coding)))
    with pytest.raises(NotFhir, match="UTF-16"):
        await connect().get("Patient/1")
    assert len(ehr.asked) == 2


class OneToken:
    """A server's tokens: only the newest is taken; each fetch makes a new one."""

    def __init__(self):
        self.fetched = self.held = 0

    async def authorization(self, wire):
        if not self.held:
            self.fetched += 1
            self.held = self.fetched
        await asyncio.sleep(0)
        return f"Bearer {self.held}"

    def forget(self, used=""):
        if used == f"Bearer {self.held}":
            self.held = 0
        return True


async def test_many_questions_with_one_old_token_fetch_one_new_token(ehr, connect):
    ehr.hooks.append(
        lambda request: (
            Response(status_code=401) if request.headers["authorization"] == "Bearer 1" else JSONResponse({})
        )
    )
    auth = OneToken()
    connection = connect(auth, patience=Patience(tries=1))
    replies = await asyncio.gather(*(connection.get(f"Patient/{number}") for number in range(8)))
    assert {reply.status for reply in replies} == {200}
    assert auth.fetched == 2


async def test_a_token_is_renewed_once_a_request_and_not_at_each_try(ehr, connect):
    ehr.hooks.append(lambda request: Response(status_code=503 if len(ehr.asked) == 2 else 401))
    auth = OneToken()
    with pytest.raises(Denied):
        await connect(auth).get("Patient")
    assert (ehr.tokens(), auth.fetched) == (["Bearer 1", "Bearer 2", "Bearer 2"], 2)


async def test_a_fault_at_the_last_try_is_told_as_it_is(ehr, connect, refusal):
    ehr.once("metadata", JSONResponse(refusal("throttled"), 429), times=9)
    with pytest.raises(Unreachable, match="throttled"):
        await connect(patience=Patience(tries=2)).get("metadata")
    assert len(ehr.asked) == 2

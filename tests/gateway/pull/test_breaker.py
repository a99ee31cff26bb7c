"""A server that fails whatever it is asked is left alone for a while; one broken type is that type's matter."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import JSONResponse, Response

from gateway.pull.breaker import Breaker
from gateway.pull.connection import OutOfOrder
from gateway.pull.wire import Patience
from security.errors import Refused, Unreachable


@pytest.fixture
def breaker(clock):
    return Breaker(after=4, rest=30, clock=clock)


def ask(breaker, target, status):
    with breaker.watch(target) as heard:
        heard(status)


def break_it(breaker):
    for target in ("Patient", "Observation") * 2:
        ask(breaker, target, 500)


def test_failures_of_different_questions_open_it_and_nothing_goes_through(breaker):
    break_it(breaker)
    assert breaker.state == "open"
    with pytest.raises(OutOfOrder) as caught, breaker.watch("Patient"):
        pytest.fail("a request went through")
    assert caught.value.code == "unreachable"
    assert "31 seconds" in caught.value.hint


def test_one_broken_question_never_opens_it(breaker):
    for _ in range(100):
        ask(breaker, "Observation", 500)
    assert breaker.state == "closed"


def test_any_answer_to_another_question_closes_it(breaker):
    for _ in range(3):
        ask(breaker, "Observation", 500)
    ask(breaker, "Patient", 404)
    ask(breaker, "Patient", 500)
    assert breaker.state == "closed"


def test_slow_down_is_no_failure_and_no_success(breaker):
    for _ in range(3):
        ask(breaker, "Observation", 500)
    for target in ("Patient", "Condition"):
        ask(breaker, target, 429)
    assert breaker.state == "closed"
    ask(breaker, "Patient", 500)
    assert breaker.state == "open"


def test_faults_of_the_network_count_and_other_faults_are_answers(breaker):
    for target in ("Patient", "Observation") * 2:
        with pytest.raises(Unreachable), breaker.watch(target):
            raise Unreachable("no route")
    assert breaker.state == "open"
    breaker.worked()
    for target in ("Patient", "Observation") * 2:
        with pytest.raises(Refused), breaker.watch(target):
            raise Refused("redirects in circles")
    assert breaker.state == "closed"


def test_after_a_rest_exactly_one_goes_through_and_its_answer_decides(breaker, clock):
    break_it(breaker)
    asyncio.run(clock.sleep(30))
    assert breaker.state == "half-open"
    with breaker.watch("Patient") as heard:
        with pytest.raises(OutOfOrder), breaker.watch("Observation"):
            pytest.fail("a second request went through")
        heard(503)
    assert breaker.state == "open"
    asyncio.run(clock.sleep(30))
    ask(breaker, "Patient", 200)
    assert breaker.state == "closed"
    break_it(breaker)
    assert breaker.state == "open"


def test_a_probe_that_is_given_up_makes_way_for_the_next(breaker, clock):
    break_it(breaker)
    asyncio.run(clock.sleep(30))
    with pytest.raises(asyncio.CancelledError), breaker.watch("Patient"):
        raise asyncio.CancelledError
    ask(breaker, "Patient", 200)
    assert breaker.state == "closed"


async def test_a_connection_leaves_a_broken_server_alone_and_comes_back(ehr, connect, clock):
    ehr.resources = {"Patient": [], "Observation": []}
    broken = Response(status_code=500)
    ehr.hooks.append(lambda request: broken if is_broken else None)
    is_broken = True
    connection = connect(patience=Patience(tries=1))
    for type_ in ("Patient", "Observation") * 4:
        with pytest.raises(Unreachable):
            await connection.get(type_)
    asked = len(ehr.asked)
    with pytest.raises(OutOfOrder):
        await connection.get("Patient")
    assert len(ehr.asked) == asked
    is_broken = False
    await clock.sleep(60)
    assert (await connection.get("Patient")).status == 200
    assert (await connection.get("Observation")).status == 200


async def test_a_broken_type_does_not_stop_the_others(ehr, connect):
    ehr.resources = {"Patient": []}
    ehr.once("Observation", Response(status_code=500), times=99)
    connection = connect()
    for _ in range(5):
        with pytest.raises(Unreachable):
            await connection.get("Observation")
        assert (await connection.get("Patient")).status == 200
    assert len(ehr.asked) == 5 * 4 + 5


async def test_that_the_server_answers_at_all_closes_it(ehr, connect):
    connection = connect()
    for target in ("Patient", "Observation") * 4:
        connection.breaker.failed(target)
    assert connection.breaker.state == "open"
    assert await connection.answers()
    assert connection.breaker.state == "closed"


async def test_who_was_asking_already_waits_for_the_server_to_come_back(ehr, connect, clock):
    # a restart of some seconds: everybody's first tries fail together, and nobody's question is lost
    ehr.hooks.append(lambda request: Response(status_code=502) if len(ehr.asked) <= 8 else None)
    ehr.hooks.append(lambda request: JSONResponse({}))
    connection = connect(patience=Patience(tries=6, first=16))
    replies = await asyncio.gather(*(connection.get(f"{type_}/1") for type_ in ("Patient", "Condition", "Goal")))
    assert {reply.status for reply in replies} == {200}


async def test_other_servers_are_none_of_its_business(ehr, stranger, connect):
    stranger.hooks.append(lambda request: Response(status_code=500))
    connection = connect(patience=Patience(tries=1))
    for number in range(20):
        with pytest.raises(Unreachable):
            await connection.ask_told(connection.told(f"{stranger.base}/{number}"), with_token=False)
    assert (await connection.get("metadata")).status == 200
    assert connection.throttle.use().asked == 1

"""How many requests a source gets at the same time and a second."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import JSONResponse, Response

from gateway.pull.throttle import Throttle
from gateway.pull.wire import Patience
from security.errors import Unreachable


async def test_no_more_requests_are_under_way_than_there_are_places(clock):
    throttle = Throttle(3, clock=clock, sleep=clock.sleep)
    under_way, most = 0, 0

    async def ask():
        nonlocal under_way, most
        async with throttle.place() as place:
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            place.went_well()

    await asyncio.gather(*(ask() for _ in range(20)))
    use = throttle.use()
    assert most == use.most == 3
    assert (use.asked, use.waited) == (20, 17)


async def test_places_are_halved_and_come_back_one_a_round(clock):
    throttle = Throttle(8, clock=clock, sleep=clock.sleep)
    async with throttle.place() as place:
        place.was_too_much()
    assert throttle.places == 4
    for _ in range(5):
        async with throttle.place() as place:
            place.went_well()
    assert throttle.places == 5
    for _ in range(100):
        async with throttle.place() as place:
            place.went_well()
    assert throttle.places == 8


async def test_requests_that_were_refused_together_halve_the_places_once(clock):
    throttle = Throttle(8, clock=clock, sleep=clock.sleep)
    async with throttle.place() as first, throttle.place() as second:
        first.was_too_much()
        second.was_too_much()
    assert throttle.places == 4


async def test_one_place_stays_whatever_happens(clock):
    throttle = Throttle(8, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        async with throttle.place() as place:
            place.was_too_much()
    assert throttle.places == 1


async def test_who_waits_gets_in_when_there_are_places_again(clock):
    throttle = Throttle(2, clock=clock, sleep=clock.sleep)
    async with throttle.place() as place:
        place.was_too_much()
    done = []

    async def ask(number):
        async with throttle.place() as place:
            await asyncio.sleep(0)
            place.went_well()
            done.append(number)

    await asyncio.gather(*(ask(number) for number in range(6)))
    assert done == list(range(6))  # in the order in which they came


@pytest.mark.parametrize("is_called", [False, True], ids=["while waiting", "when just called"])
async def test_who_gives_up_waiting_leaves_the_place_to_the_next(clock, is_called):
    throttle = Throttle(1, clock=clock, sleep=clock.sleep)
    done, may_go = [], asyncio.Event()

    async def ask(name):
        async with throttle.place():
            done.append(name)
            await may_go.wait()

    tasks = [asyncio.create_task(ask(name)) for name in ("first", "gives up", "next", "last")]
    await asyncio.sleep(0)
    first, second = (tasks[0], tasks[1]) if is_called else (tasks[1], tasks[0])
    first.cancel()
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait(tasks[:2])
    await asyncio.sleep(0)
    assert done == ["first", "next"]
    may_go.set()
    await asyncio.gather(*tasks[2:])
    assert done == ["first", "next", "last"]


async def test_a_pause_holds_for_the_whole_source_and_a_longer_one_counts(clock):
    throttle = Throttle(4, clock=clock, sleep=clock.sleep)
    throttle.pause(30)
    throttle.pause(10)
    async with throttle.place():
        pass
    assert clock.slept == [30]
    async with throttle.place():
        pass
    assert clock.slept == [30]


async def test_a_learned_limit_lowers_ours_and_never_raises_it(clock):
    throttle = Throttle(4, clock=clock, sleep=clock.sleep)
    throttle.at_most(16)
    assert throttle.places == 4
    throttle.at_most(2)
    throttle.at_most(0)
    assert throttle.places == 2


@pytest.mark.parametrize(("ours", "learned", "least"), [(0, 100, 0.04), (400, 100, 0.04), (100, 4000, 0.04), (0, 0, 0)])
async def test_a_learned_rate_lowers_ours_and_never_raises_it(ours, learned, least):
    throttle = Throttle(8, ours)
    throttle.at_most(0, learned)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(5):
        async with throttle.place():
            pass
    assert loop.time() - began >= least * 0.9


async def test_no_more_requests_begin_than_allowed_a_second(clock):
    throttle = Throttle(8, 200, clock=clock, sleep=clock.sleep)
    loop = asyncio.get_running_loop()
    began = []

    async def ask():
        async with throttle.place():
            began.append(loop.time())

    await asyncio.gather(*(ask() for _ in range(21)))
    assert began[-1] - began[0] >= 20 / 200 - 0.005


async def test_utilisation_is_the_share_of_places_that_were_taken(clock):
    throttle = Throttle(2, clock=clock, sleep=clock.sleep)

    async def ask():
        async with throttle.place():
            await asyncio.sleep(0.02)

    await ask()
    alone = throttle.use().utilisation(2)
    await asyncio.gather(*(ask() for _ in range(10)))
    assert alone <= 0.5
    assert alone < throttle.use().utilisation(2) <= 1
    assert Throttle(2).use().utilisation(2) == 0


@pytest.mark.parametrize("status", [429, 503])
async def test_a_connection_slows_down_and_all_its_questions_wait(ehr, connect, clock, status):
    ehr.once("Patient/1", Response(status_code=status, headers={"retry-after": "20"}), times=9)
    ehr.hooks.append(lambda request: JSONResponse({}))
    connection = connect(at_once=8)
    with pytest.raises(Unreachable):
        await connection.get("Patient/1", tries=1)
    assert connection.throttle.places == 4
    await connection.get("Patient/2")
    assert clock.slept == [20]


async def test_an_answer_that_takes_too_long_slows_us_down(serve, clock):
    from gateway.pull.connection import Connection

    async def silent(scope, receive, send):
        await receive()
        await receive()

    with serve(silent) as url:
        async with Connection(f"{url}/fhir", patience=Patience(total=0.1, tries=1), at_once=8) as connection:
            with pytest.raises(Unreachable):
                await connection.get("Patient")
            assert connection.throttle.places == 4


async def test_an_allowance_that_is_used_up_is_waited_for_before_it_is_refused(ehr, connect, clock):
    ehr.hooks.append(lambda request: JSONResponse({}, headers={"ratelimit": '"requests";r=0;t=40'}))
    connection = connect()
    await connection.get("Patient/1")
    await connection.get("Patient/2")
    assert clock.slept == [40]
    assert connection.throttle.places == 8  # the server did not complain


async def test_a_server_that_takes_two_at_once_is_left_in_peace_and_all_is_answered(serve, clock):
    from gateway.pull.connection import Connection

    under_way, most_refused = 0, 0

    async def busy(scope, receive, send):
        nonlocal under_way, most_refused
        under_way += 1
        await asyncio.sleep(0.005)
        status = 200 if under_way <= 2 else 429
        most_refused += status == 429
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})
        under_way -= 1

    with serve(busy) as url:
        async with Connection(f"{url}/fhir", patience=Patience(first=0.01, tries=10), at_once=8) as connection:
            replies = await asyncio.gather(*(connection.get(f"Patient/{n}") for n in range(60)))
    assert {reply.status for reply in replies} == {200}
    assert connection.throttle.use().slowed > 0
    assert most_refused < 60

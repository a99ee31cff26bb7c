"""Both ends on loopback sockets: an EHR that drops, doubles, swaps, misnumbers, falls silent, errs, forgets."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conformance.hostile import EhrSettings, serve
from conformance.hostile.subscriptions import Mischief, TellingEhr
from gateway.pull.connection import Connection
from gateway.pull.metadata import fetch_capability
from gateway.pull.passwords import StaticBearer
from gateway.stream.subscriptions.catch_up import Desk
from gateway.stream.subscriptions.hearing import hear
from gateway.stream.subscriptions.receiver import receive
from gateway.stream.subscriptions.registration import create, delete
from gateway.stream.subscriptions.request import SubscriptionVersion, subscription_resource
from gateway.stream.subscriptions.secret import Door, Secret
from gateway.stream.subscriptions.standing import COUNTS, Rules, Standing, load_standing
from gateway.stream.subscriptions.topic import Filter, Topic
from gateway.stream.subscriptions.upkeep import keep_up
from security.errors import Denied, Refused, StoreFull

LABS = "http://example.org/topics/labs"
TOPICS = {LABS: frozenset({"Observation"})}
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
in_every_version = pytest.mark.parametrize("ends", ["r4", "r4b", "r5"], indirect=True)
CURT = Mischief(is_curt=True, wants_answer=True, keeps=0, has_status=False)
ALL_AT_ONCE = Mischief(drop_every=4, duplicate_every=3, swap_every=5, misnumber_every=7)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def observation(n: int, patient: str = "p1", status: str = "preliminary"):
    return {
        "resourceType": "Observation",
        "id": f"o{n}",
        "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": f"Patient/{patient}"},
    }


class Twin:
    """Our end: the receiver behind a web server, and a store that notes which versions came, and how."""

    def __init__(self, clock: Clock, topic: Topic, fhir: SubscriptionVersion = "r4") -> None:
        self.clock, self.topic, self.fhir = clock, topic, fhir
        self.standing = Standing(since=clock())
        self.door = Door("labs", Secret.new().digest)
        self.rules = Rules(heartbeat=topic.heartbeat_seconds)
        self.told: Counter[str] = Counter()  # versions from notifications and $events
        self.read: Counter[str] = Counter()  # versions from fetches and searches
        self.full = False
        self.endpoint = ""
        self.desk: Desk | None = None
        self._one = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        answer = await receive(dict(request.headers), await request.body(), [self.door], self.keep)
        return Response(answer.outcome, answer.status, dict(answer.headers))

    async def keep(self, door, notification, raw) -> None:
        if self.full:
            raise StoreFull("The disk is full.")
        await self.change(lambda newest: hear(newest, notification, self.clock()))

    async def change(self, step) -> Standing:
        async with self._one:
            heard = step(self.standing)
            # As a store does it: written down, and read again by whoever comes next.
            self.standing = load_standing(msgspec.json.encode(heard.standing))
            self.door = replace(self.door, subscription=self.standing.subscription)
            self.told.update(version(part.raw) for part in (*heard.current, *heard.past))
            return self.standing

    async def take(self, entries) -> None:
        self.read.update(version(entry.raw) for entry in entries)

    def resource(self, id_: str):
        secret = Secret.new()
        former = self.door.digest
        self.door = replace(self.door, digest=secret.digest, former=former, subscription=id_)
        return subscription_resource(self.fhir, self.topic, self.endpoint, secret.header, id_=id_)

    async def keep_up(self) -> None:
        await keep_up(self.standing, self.desk, self.clock, self.rules, self.take, self.change)


def version(raw: bytes) -> str:
    told = msgspec.json.decode(raw)
    return f"{told['id']}/{told['meta']['versionId']}"


@asynccontextmanager
async def listening(twin: Twin) -> AsyncIterator[None]:
    """Serve our receiver on a free port, in this event loop."""
    app = Starlette(routes=[Route("/notify/labs", twin.answer, methods=["POST"])])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        twin.endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}/notify/labs"
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical", ws="none"))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110  uvicorn tells it in no other way
            await asyncio.sleep(0.001)
        yield
        server.should_exit = True
        await running


@pytest.fixture
async def ends(request):
    """Start an EHR, of R4 unless told, and a twin that is subscribed to it."""
    opened, fhir = [], getattr(request, "param", "r4")

    @asynccontextmanager
    async def make(mischief=None, *, auth: bool = False, **topic):
        clock = Clock()
        settings = EhrSettings(fhir_version=fhir, require_auth=auth, token_lifetime=1e6)
        ehr = TellingEhr(TOPICS, settings, clock=clock)
        ehr.mischief = mischief or Mischief()
        told = {"content": "full-resource", "heartbeat_seconds": 30, **topic}
        twin = Twin(clock, Topic(LABS, ("Observation",), **told), fhir)
        with serve([ehr]) as [base]:
            token = StaticBearer(ehr.smart.issue("twin", "system/*.cruds")) if auth else None
            async with listening(twin), Connection(base, None, token) as connection:
                opened.append(connection)
                twin.desk = Desk("labs", connection, await fetch_capability(connection), twin.topic, twin.resource)
                await twin.keep_up()
                await ehr.deliver()
                await twin.keep_up()  # the search for what changed before the subscription was there
                yield ehr, twin

    return make


async def live(ehr: TellingEhr, twin: Twin, rounds: int = 12, meanwhile=None) -> None:
    """Let things happen: in each round two new observations and a change of an older one; then time to settle."""
    for turn in range(rounds):
        for resource in (observation(2 * turn), observation(2 * turn + 1), observation(turn, status="final")):
            twin.clock.pass_(0.25)
            ehr.load(resource)
        twin.clock.pass_(9)
        await ehr.beat()
        if turn % 3 == 0:
            await twin.keep_up()
        if meanwhile and turn == rounds // 2:
            meanwhile()
    for _ in range(20):
        twin.clock.pass_(20)
        await ehr.beat()
        await twin.keep_up()


def versions(ehr: TellingEhr, patient: str = "Patient/p1") -> set[str]:
    """Return all versions of all observations of a patient."""
    held = [v for each in ehr.store.live("Observation") for v in ehr.store.history("Observation", each.id)]
    return {version(v.body) for v in held if v.resource()["subject"]["reference"] == patient}


def current(ehr: TellingEhr) -> set[str]:
    return {version(each.body) for each in ehr.store.live("Observation")}


def check_counts(twin: Twin) -> None:
    assert set(twin.standing.counts) <= set(COUNTS)
    assert twin.standing.is_whole


@in_every_version
async def test_the_subscription_is_made_and_the_handshake_answered(ends):
    async with ends() as (ehr, twin):
        [(id_, kept)] = ehr.subscriptions.items()
        assert kept.status == "active"
        assert (twin.standing.subscription, twin.standing.status) == (id_, "active")
        assert ehr.deliveries == [("handshake", 204)]


@pytest.mark.parametrize(
    ("ends", "mischief", "reason"),
    [
        ("r4", Mischief(), ""),
        ("r4", Mischief(drop_every=3), "gap"),
        ("r4", Mischief(duplicate_every=2), "duplicate"),
        ("r4", Mischief(swap_every=4), "out-of-order"),
        ("r4", Mischief(misnumber_every=5), "renumbered"),
        ("r4", ALL_AT_ONCE, "gap"),
        ("r4b", ALL_AT_ONCE, "gap"),
        ("r5", ALL_AT_ONCE, "gap"),
        ("r4", Mischief(silent_after=60), "silent"),
        ("r5", Mischief(silent_after=60), "silent"),
        ("r4", Mischief(error_after=5), "renewed"),
        ("r5", Mischief(error_after=5), "renewed"),
        ("r4", Mischief(drop_every=1), "gap"),
    ],
    indirect=["ends"],
    ids=str,
)
async def test_each_version_comes_exactly_once(ends, mischief, reason):
    """With `$events`, every version of every resource, whatever happens to the notifications."""
    async with ends(mischief) as (ehr, twin):
        await live(ehr, twin)
        assert twin.told.keys() == versions(ehr), "none lost, none made up"
        assert set(twin.told.values()) == {1}, "none doubled"
        assert not reason or twin.standing.counts[reason]
        check_counts(twin)


@pytest.mark.parametrize(
    ("ends", "mischief"),
    [
        ("r4", Mischief(drop_every=3, keeps=0)),
        ("r4", Mischief(drop_every=3, keeps=2)),
        ("r4", Mischief(silent_after=60, keeps=0)),
        ("r4", Mischief(silent_after=60, has_status=False)),
        ("r4", Mischief(silent_after=60, has_status=False, keeps=0)),
        ("r4b", Mischief(silent_after=60, has_status=False, keeps=0)),
        ("r5", Mischief(silent_after=60, has_status=False, keeps=0)),
        ("r4", Mischief(error_after=5, keeps=0)),
        ("r4", Mischief(restart_after=7)),
        ("r5", Mischief(restart_after=7)),
        ("r5", CURT),
        ("r4b", replace(CURT, drop_every=3)),
        ("r5", replace(CURT, drop_every=3, duplicate_every=2)),
        ("r4", Mischief(restart_after=7, drop_every=4, misnumber_every=3)),
    ],
    indirect=["ends"],
    ids=str,
)
async def test_where_events_are_not_kept_a_search_brings_what_is_current(ends, mischief):
    async with ends(mischief) as (ehr, twin):
        await live(ehr, twin)
        assert current(ehr) <= twin.told.keys() | twin.read.keys(), "none lost"
        assert twin.told.keys() | twin.read.keys() <= versions(ehr)
        assert set(twin.told.values()) == {1}, "none doubled"
        check_counts(twin)


@in_every_version
@pytest.mark.parametrize("content", ["id-only", "empty"])
@pytest.mark.parametrize("mischief", [Mischief(), Mischief(drop_every=3, duplicate_every=2, swap_every=5)], ids=str)
async def test_without_content_it_is_fetched_or_searched(ends, content, mischief):
    async with ends(mischief, content=content) as (ehr, twin):
        await live(ehr, twin)
        assert not twin.told
        assert current(ehr) <= twin.read.keys()
        searched = any("_lastUpdated" in seen.query for seen in ehr.seen if seen.path == "/fhir/Observation")
        assert content != "empty" or searched
        check_counts(twin)


@in_every_version
async def test_a_patient_filter_is_asked_for_and_kept(ends):
    filters = (Filter.read("Observation?patient=Patient/p1"),)
    async with ends(Mischief(drop_every=2), filters=filters) as (ehr, twin):
        for n in range(12):
            twin.clock.pass_(1)
            ehr.load(observation(n, patient=f"p{n % 2}"))
        for _ in range(4):
            twin.clock.pass_(20)
            await ehr.beat()
            await twin.keep_up()
        assert twin.told.keys() == versions(ehr)
        assert len(twin.told) == 6


async def test_an_ehr_that_takes_an_empty_answer_for_a_failure_tells_nothing_twice(ends):
    async with ends(Mischief(wants_answer=True)) as (ehr, _):
        ehr.load(*map(observation, range(3)))
        await ehr.deliver()
        assert ehr.deliveries == [("handshake", 204), *[("event-notification", 204)] * 3]


@in_every_version
async def test_what_we_could_not_store_is_sent_again(ends):
    async with ends() as (ehr, twin):
        twin.full = True
        ehr.load(observation(1))
        await ehr.deliver()
        assert ehr.deliveries[-1] == ("event-notification", 503)
        twin.full = False
        await ehr.deliver()
        assert ehr.deliveries[-1] == ("event-notification", 204)
        assert dict(twin.told) == {"o1/1": 1}


async def test_a_store_that_stays_full_costs_the_subscription_and_no_event(ends):
    async with ends() as (ehr, twin):
        twin.full = True
        for n in range(4):
            ehr.load(observation(n))
            await ehr.deliver()
        [kept] = ehr.subscriptions.values()
        assert kept.status == "error"
        twin.full = False
        for _ in range(6):
            twin.clock.pass_(20)
            await ehr.beat()
            await twin.keep_up()
        assert kept.status == "active"
        assert dict(twin.told) == {f"o{n}/1": 1 for n in range(4)}


@in_every_version
async def test_a_subscription_that_the_ehr_lost_is_made_anew_with_another_secret(ends):
    async with ends() as (ehr, twin):
        [before] = list(ehr.subscriptions)
        secret = twin.door.digest
        await live(ehr, twin, meanwhile=ehr.subscriptions.clear)
        [after] = list(ehr.subscriptions)
        assert after != before
        assert twin.door.digest != secret
        assert twin.standing.subscription == after
        assert current(ehr) <= twin.told.keys() | twin.read.keys()
        assert twin.standing.counts["gone"] >= 1
        check_counts(twin)


@in_every_version
async def test_an_error_is_answered_under_the_same_id(ends):
    async with ends() as (ehr, twin):
        [id_] = list(ehr.subscriptions)
        await live(ehr, twin, meanwhile=lambda: ehr.put_in_error(id_))
        assert list(ehr.subscriptions) == [id_]
        assert twin.told.keys() == versions(ehr)
        assert set(twin.told.values()) == {1}


@in_every_version
async def test_a_kill_between_any_two_steps_loses_nothing(ends):
    """The process dies with each action that it began: what was due is due again from what was written down."""
    async with ends(Mischief(drop_every=2), content="id-only") as (ehr, twin):
        for n in range(8):
            twin.clock.pass_(1)
            ehr.load(observation(n))
        await ehr.deliver()

        async def die(step) -> Standing:
            raise InterruptedError

        for _ in range(3):
            twin.clock.pass_(5)
            with pytest.raises(InterruptedError):
                await keep_up(twin.standing, twin.desk, twin.clock, twin.rules, twin.take, die)
        for _ in range(4):
            twin.clock.pass_(20)
            await ehr.beat()
            await twin.keep_up()
        assert twin.read.keys() == versions(ehr)
        check_counts(twin)


@in_every_version
async def test_with_tokens_all_of_it_is_authorized(ends):
    async with ends(Mischief(drop_every=2, error_after=3), auth=True) as (ehr, twin):
        await live(ehr, twin, rounds=3)
        assert twin.told.keys() == versions(ehr)
        await delete(twin.desk.connection, twin.standing.subscription)
        await delete(twin.desk.connection, twin.standing.subscription)
        assert not ehr.subscriptions


async def test_without_the_scope_nothing_is_made(ends):
    async with ends(auth=True) as (ehr, twin):
        poor = StaticBearer(ehr.smart.issue("twin", "system/Observation.rs"))
        async with Connection(ehr.base_url, "r4", poor) as connection:
            with pytest.raises(Denied):
                await create(connection, twin.resource(""))
            with pytest.raises(Denied):
                await delete(connection, twin.standing.subscription)


async def test_a_topic_that_the_ehr_does_not_have_is_refused(ends):
    async with ends() as (_, twin):
        other = Topic("http://example.org/topics/other", ("Observation",))
        with pytest.raises(Refused):
            await create(twin.desk.connection, subscription_resource("r4", other, twin.endpoint, Secret.new().header))


@in_every_version
async def test_live_with_both_ends_running_by_themselves(ends):
    """No turns, no clock of ours: the EHR sends on its own while we keep up on ours."""
    async with ends(Mischief(drop_every=3, duplicate_every=2)) as (ehr, twin):
        twin.rules = Rules(heartbeat=30, grace=0)
        sending = asyncio.create_task(ehr.run(0.01))
        for n in range(12):
            twin.clock.pass_(0.01)
            await asyncio.to_thread(ehr.load, observation(n))
        ehr.load(observation(99))
        async with asyncio.timeout(20):
            while twin.told.keys() != versions(ehr):
                await twin.keep_up()
                await asyncio.sleep(0.01)
        sending.cancel()
        assert set(twin.told.values()) == {1}

"""A subscription end to end on loopback: a real EHR that goes wrong, our server, the real inbox, the real store."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette

from conformance.hostile import Ehr, EhrSettings, serve
from conformance.hostile.subscriptions import Mischief, TellingEhr
from gateway.settings import load_settings
from gateway.stream.subscribed import Subscribed
from gateway.stream.subscriptions.standing import Rules
from security.errors import BadSettings, Refused, StoreFull
from tests.gateway.stream.arriving import ENDED, PATIENT, TOKEN, delivery, facts_of, open_home, open_inbox, reading

LABS = "http://example.org/topics/labs"
TOPICS = {LABS: frozenset({"Observation"}), "http://example.org/topics/more": frozenset({"Observation"})}
RULES = Rules(heartbeat=1, slack=0.5, grace=0.05, again=0.1, longest=0.5)
SECONDS = 8
in_every_version = pytest.mark.parametrize("ends", ["r4", "r4b", "r5"], indirect=True)


class Twin:
    """Our end: the home, its inbox, and one subscription that is served and run. It can be ended and begun again."""

    def __init__(self, folder, ehr_url: str, fhir: str, **changes) -> None:
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.door.getsockname()[1]}/notify/Zw3-labs"
        told = {
            "kind": "subscription",
            "source": "ward",
            "topic": LABS,
            "criteria": ["Observation"],
            "endpoint": self.address,
            "token_file": "ward.token",
            "payload": "full-resource",
            **changes,
        }
        folder.mkdir()
        (folder / "ward.token").write_text(TOKEN)
        lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
        ward = f'[sources.ward]\nurl = "{ehr_url}"\nfhir_version = "{fhir}"\n'
        (folder / "twin.toml").write_text(f"{ward}[streams.labs]\n" + "\n".join(lines) + "\n")
        self.folder = folder
        self.told: list[str] = []
        self.came: Counter[str] = Counter()  # versions of resources, by how often they were landed
        self.refused: Exception | None = None
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def up(self, *, is_served: bool = True):
        """Open the home, serve and run, until left; what comes is mapped behind."""
        with open_home(self.folder) as self.home:
            self.inbox = open_inbox(self.home)
            settings = load_settings(self.folder)
            stream, source = settings.stream("labs"), settings.source("ward")
            self.subscribed = Subscribed(
                self.home, "labs", stream, source, self._accept, self.told.append, rules=RULES, every=0.05
            )
            async with _served(self.subscribed.routes, self.door.dup() if is_served else None):
                self.task = asyncio.create_task(self.subscribed.run())
                try:
                    yield self
                finally:
                    self.task.cancel()
                    await asyncio.wait([self.task])
            await self.inbox.drain()

    async def _accept(self, found) -> bool:
        if self.refused is not None:
            raise self.refused
        is_new = await self.inbox.accept(found)
        async with self._changed:
            if is_new:
                self.came.update(version(entry.raw) for entry in found.entries if entry.raw)
            self._changed.notify_all()
        return is_new

    async def until(self, is_so) -> None:
        """Wait until something is so; each change of the standing is a reason to look again."""
        async with asyncio.timeout(SECONDS), self._changed:
            while not is_so():
                try:
                    async with asyncio.timeout(0.1):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    @property
    def standing(self):
        return self.subscribed.standing


@asynccontextmanager
async def _served(routes, door):
    if door is None:
        yield
        return
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", log_level="critical", ws="none"))
    running = asyncio.create_task(server.serve([door]))
    while not server.started:  # noqa: ASYNC110  uvicorn tells it in no other way
        await asyncio.sleep(0.001)
    try:
        yield
    finally:
        server.should_exit = True
        await running
        door.close()


@pytest.fixture
def ends(tmp_path, request):
    """Start an EHR, of R4 unless told, that sends by itself, and a twin that is not up yet."""
    fhir = getattr(request, "param", "r4")

    @asynccontextmanager
    async def make(mischief: Mischief | None = None, **changes):
        ehr = TellingEhr(TOPICS, EhrSettings(fhir_version=fhir, require_auth=False))
        ehr.mischief = mischief or Mischief()
        with serve([ehr]) as [base]:
            twin = Twin(tmp_path / "home", base, fhir, **changes)
            sending = asyncio.create_task(ehr.run())
            try:
                yield ehr, twin
            finally:
                sending.cancel()
                await asyncio.wait([sending])
                twin.door.close()

    return make


def version(raw: bytes) -> str:
    told = msgspec.json.decode(raw)
    return f"{told['id']}/{told.get('meta', {}).get('versionId')}"


def versions(ehr: TellingEhr) -> set[str]:
    return {
        version(v.body) for each in ehr.store.live("Observation") for v in ehr.store.history("Observation", each.id)
    }


async def happen(ehr: TellingEhr, *numbers: int, **changes) -> None:
    for n in numbers:
        await asyncio.to_thread(ehr.load, reading(f"g{n}", 100 + n, ENDED.replace(minute=n), **changes))


async def active(twin: Twin) -> None:
    await twin.until(lambda: twin.standing.status == "active" and twin.standing.is_whole)


@in_every_version
async def test_what_an_ehr_tells_becomes_facts(ends):
    async with ends() as (ehr, twin):
        async with twin.up():
            await active(twin)
            await twin.inbox.accept(delivery("p", PATIENT))
            await happen(ehr, 1, 2, 3)
            await twin.until(lambda: twin.came.keys() == versions(ehr))
            [(id_, kept)] = ehr.subscriptions.items()
            assert (kept.status, twin.standing.subscription) == ("active", id_)
            assert ehr.deliveries[0] == ("handshake", 204)
            assert {status for _, status in ehr.deliveries} == {204}
        with open_home(twin.folder) as home:
            values = [value for _, _, value in facts_of(home) if "mg/dL" in value]
            assert values == ["101 mg/dL", "102 mg/dL", "103 mg/dL"]
            assert home.store.lane("ward").ledger["resources"] == 4
        assert set(twin.came.values()) == {1}
        assert "labs: the subscription is active." in twin.told
        assert not any("g1" in sentence or id_ in sentence for sentence in twin.told)


@pytest.mark.parametrize(
    ("ends", "mischief"),
    [
        ("r4", Mischief(drop_every=3)),
        ("r4b", Mischief(drop_every=3)),
        ("r5", Mischief(drop_every=3)),
        ("r4", Mischief(duplicate_every=2, swap_every=3)),
        ("r4", Mischief(misnumber_every=4)),
        ("r4", Mischief(drop_every=2, keeps=0)),
        ("r5", Mischief(drop_every=2, keeps=0)),
        ("r4", Mischief(drop_every=1)),
        ("r4", Mischief(error_after=4)),
        ("r5", Mischief(error_after=4)),
    ],
    indirect=["ends"],
    ids=str,
)
async def test_what_it_does_not_tell_is_found(ends, mischief):
    """With `$events` each version comes once; without, a search brings what is current."""
    async with ends(mischief) as (ehr, twin):
        async with twin.up():
            await active(twin)
            await happen(ehr, *range(1, 9))
            await happen(ehr, 2, status="amended")
            current = {version(each.body) for each in ehr.store.live("Observation")}
            wanted = current if mischief.keeps == 0 else versions(ehr)
            await twin.until(lambda: wanted <= twin.came.keys() and twin.standing.is_whole)
        assert twin.came.keys() <= versions(ehr)
        if mischief.keeps is None:
            # Two events about one resource bring both of its versions, where $events tells them in one Bundle.
            assert {each for each, times in twin.came.items() if times > 1} <= {"g2/1", "g2/2"}


@in_every_version
async def test_id_only_is_fetched_before_it_counts(ends):
    async with ends(payload="id-only") as (ehr, twin), twin.up():
        await active(twin)
        await happen(ehr, 1, 2, 3)
        await twin.until(lambda: twin.came.keys() == versions(ehr) and twin.standing.is_whole)
        assert not twin.standing.fetch


@in_every_version
async def test_a_restart_goes_on_where_it_was_and_gets_what_came_in_between(ends):
    async with ends() as (ehr, twin):
        async with twin.up():
            await active(twin)
            await happen(ehr, 1, 2)
            await twin.until(lambda: len(twin.came) == 2)
            before = twin.standing
        await happen(ehr, 3, 4, 5)
        async with twin.up():
            assert twin.standing.subscription == before.subscription
            assert twin.standing.taken == before.taken
            await happen(ehr, 6)
            await twin.until(lambda: twin.came.keys() == versions(ehr) and twin.standing.is_whole)
        assert list(ehr.subscriptions) == [before.subscription]
        assert set(twin.came.values()) == {1}


async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(ends):
    async with ends() as (ehr, twin), twin.up():
        await active(twin)
        twin.refused = StoreFull("The disk is full.")
        await happen(ehr, 1, 2)
        await twin.until(lambda: ("event-notification", 503) in ehr.deliveries)
        assert not twin.came
        twin.refused = None
        await twin.until(lambda: twin.came.keys() == versions(ehr) and twin.standing.is_whole)
        assert set(twin.came.values()) == {1}
        assert "labs: a notification was answered 503." in twin.told


@in_every_version
async def test_a_kill_before_the_subscription_was_written_down_makes_no_second_one(ends):
    """The EHR made it and we died: it is known again by our address."""
    async with ends() as (ehr, twin):
        async with twin.up():
            twin.refused = Refused("Killed.")  # ends it at the first thing to be kept
            await asyncio.wait([twin.task], timeout=SECONDS)
            assert isinstance(twin.task.exception(), Refused)
        [id_] = ehr.subscriptions
        twin.refused = None
        async with twin.up():
            await active(twin)
            await happen(ehr, 1)
            await twin.until(lambda: len(twin.came) == 1)
        assert list(ehr.subscriptions) == [id_]


async def test_who_does_not_have_the_token_is_not_heard(ends):
    async with ends() as (_, twin), twin.up(), httpx.AsyncClient() as http:
        await active(twin)
        before = (twin.standing, twin.home.store.lane("ward"), dict(twin.came))
        body = notification(twin.standing.subscription)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            assert (await http.post(twin.address, json=body, headers=headers)).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.post(twin.address, json=notification("another"), headers=right)).status_code == 403
        assert (await http.post(twin.address, json={}, headers=right)).status_code == 400
        large = b" " * ((8 << 20) + 1)
        assert (await http.post(twin.address, content=large, headers=right)).status_code == 413
        after = (twin.standing, twin.home.store.lane("ward"), dict(twin.came))
        assert msgspec.structs.replace(after[0], heard=None, waits={}) == msgspec.structs.replace(
            before[0], heard=None, waits={}
        )
        assert after[1:] == before[1:]
        assert (await http.post(twin.address, json=body, headers=right)).status_code == 204
        await twin.until(lambda: twin.came == {"x1/None": 1})


@in_every_version
async def test_a_new_token_is_given_to_the_ehr_and_the_old_one_opens_until_then(ends):
    async with ends() as (ehr, twin):
        async with twin.up():
            await active(twin)
        (twin.folder / "ward.token").write_text("another-token-of-24-characters-or-more")
        told = (("Authorization", "Bearer another-token-of-24-characters-or-more"),)
        async with twin.up():
            await happen(ehr, 1)
            await twin.until(lambda: len(twin.came) == 1 and twin.standing.counts.get("renewed"))
            await twin.until(lambda: [kept.asked.headers for kept in ehr.subscriptions.values()] == [told])
        assert 401 not in {status for _, status in ehr.deliveries}


async def test_a_deletion_is_counted_as_refused_and_the_fact_stands(ends):
    async with ends() as (_, twin), twin.up(), httpx.AsyncClient() as http:
        await active(twin)
        right = {"Authorization": f"Bearer {TOKEN}"}
        await twin.inbox.accept(delivery("a", PATIENT))
        for number, method in (("1", "PUT"), ("2", "DELETE")):
            body = notification(twin.standing.subscription, number, method)
            assert (await http.post(twin.address, json=body, headers=right)).status_code == 204
        await twin.inbox.drain()
        assert twin.home.store.lane("ward").ledger["refusals"] == {"deleted": 1}
        [listed] = twin.home.store.refusals("ward")
        assert "Observation/x1" in listed.refusal.origin.place
        assert [name for name, _, _ in facts_of(twin.home)].count("interstitial-glucose") == 1


async def test_another_topic_is_another_subscription(ends):
    async with ends() as (ehr, twin):
        async with twin.up():
            await active(twin)
            [before] = ehr.subscriptions
        file = twin.folder / "twin.toml"
        file.write_text(file.read_text().replace("topics/labs", "topics/more"))
        async with twin.up():
            await twin.until(lambda: before not in ehr.subscriptions and len(ehr.subscriptions) == 1)
            await active(twin)
            await happen(ehr, 1)
            await twin.until(lambda: len(twin.came) == 1)


async def test_an_ehr_that_is_not_there_is_asked_again(ends):
    async with ends() as (ehr, twin):
        file = twin.folder / "twin.toml"
        right = file.read_text()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
        file.write_text(right.replace(ehr.base_url, nobody))
        async with twin.up():
            await twin.until(lambda: any("tried again" in sentence for sentence in twin.told))
            assert not twin.task.done()


async def test_neither_the_token_nor_what_stands_is_to_be_read_in_the_store(ends):
    async with ends(payload="id-only") as (ehr, twin):
        async with twin.up():
            await active(twin)
            await happen(ehr, 1)
            await twin.until(lambda: len(twin.came) == 1)
            id_ = twin.standing.subscription
        held = b"".join(path.read_bytes() for path in twin.folder.glob("twin.db*"))
        assert TOKEN.encode() not in held
        assert b"Observation/g1" not in held
        assert f"Subscription/{id_}".encode() not in held
        assert not any(TOKEN in sentence or "/fhir" in sentence for sentence in twin.told)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"criteria": []}, "types"),
        ({"criteria": ["Observation?patient="]}, "filter"),
    ],
    ids=["no types", "no filter"],
)
async def test_what_no_ehr_could_take_is_said_at_the_start(ends, changes, says):
    async with ends(**{"criteria": ["Observation"], **changes}) as (_, twin):
        with pytest.raises(BadSettings, match=says):
            await _begin(twin)


async def test_a_token_that_no_header_can_hold_is_said_at_the_start(ends):
    async with ends() as (_, twin):
        (twin.folder / "ward.token").write_text("a token with blanks in it is none")
        with pytest.raises(BadSettings):
            await _begin(twin)


async def test_an_ehr_from_before_r4_is_said_to_have_no_topics(tmp_path):
    with serve([Ehr(EhrSettings(fhir_version="stu3", require_auth=False))]) as [base]:
        twin = Twin(tmp_path / "home", base, "stu3")
        async with twin.up():
            await asyncio.wait([twin.task], timeout=SECONDS)
            assert isinstance(twin.task.exception(), BadSettings)
            assert "STU3" in str(twin.task.exception())
        twin.door.close()


async def _begin(twin: Twin) -> None:
    async with twin.up():
        pass


def notification(subscription: str, number: str = "1", method: str = "PUT"):
    event = [
        {"name": "event-number", "valueString": number},
        {"name": "timestamp", "valueInstant": "2026-11-20T12:00:00Z"},
        {"name": "focus", "valueReference": {"reference": "Observation/x1"}},
    ]
    told = [
        {"name": "subscription", "valueReference": {"reference": f"Subscription/{subscription}"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": number},
        {"name": "notification-event", "part": event},
    ]
    entries = [
        {"resource": {"resourceType": "Parameters", "parameter": told}},
        {
            "fullUrl": "http://ehr/fhir/Observation/x1",
            "request": {"method": method, "url": "Observation/x1"},
            **({} if method == "DELETE" else {"resource": reading("x1")}),
        },
    ]
    return {"resourceType": "Bundle", "type": "history", "entry": entries}

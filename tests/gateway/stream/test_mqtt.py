"""Devices by MQTT, against a real Mosquitto on loopback: what is sent comes once, whoever dies in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt import publish

from gateway.settings import SourceSettings, StreamSettings
from gateway.stream.broker import Line, Subscribed
from gateway.stream.mqtt import delivery_of, listen_mqtt
from security.errors import BadSettings, Denied, Refused, StoreFull
from tests.gateway.stream.arriving import PATIENT, facts_of, open_home, open_inbox, raw, settle_home
from tests.gateway.stream.arriving import reading as glucose
from tests.mosquitto.wire import Gate

SECONDS = 20


def reading(n: int) -> bytes:
    return json.dumps({"resourceType": "Observation", "id": f"o{n}", "valueInteger": n}).encode()


def stream(port: int, **changes) -> StreamSettings:
    told = {"kind": "mqtt", "host": "127.0.0.1", "port": port, "tls": False, "topics": ("ward/#",), **changes}
    return StreamSettings(**told)


async def send(port: int, *bodies: bytes, topic: str = "ward/p1/heart", **changes) -> None:
    messages = [{"topic": topic, "payload": body, "qos": 1, **changes} for body in bodies]
    await asyncio.to_thread(publish.multiple, messages, "127.0.0.1", port)


class Store:
    """Keeps deliveries by key, as the inbox does; `hold` makes it slow, `fault` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}
        self.came: Counter[str] = Counter()
        self.fault: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.told: list[str] = []
        self._changed = asyncio.Condition()

    async def accept(self, delivery) -> bool:
        async with self._changed:
            self.came[delivery.key] += 1
            self._changed.notify_all()
        await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        async with self._changed:
            is_new = delivery.key not in self.kept
            self.kept.setdefault(delivery.key, delivery)
            self._changed.notify_all()
        return is_new

    async def until(self, is_so) -> None:
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(is_so)

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)
        self._noting = asyncio.create_task(self._note())

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def numbers(self) -> list[int]:
        entries = [entry for delivery in self.kept.values() for entry in delivery.entries]
        return sorted(json.loads(entry.raw)["valueInteger"] for entry in entries if not entry.problem)

    @property
    def problems(self) -> list[str]:
        return [entry.problem for delivery in self.kept.values() for entry in delivery.entries if entry.problem]


@asynccontextmanager
async def listening(store: Store, settings: StreamSettings, accept=None):
    """Listen in this event loop, from when the broker took the topics."""
    ready, source = asyncio.Event(), SourceSettings(folder=Path())

    def tell(sentence: str) -> None:
        store.tell(sentence)
        if "listening" in sentence:
            ready.set()

    task = asyncio.create_task(listen_mqtt("ward", settings, source, accept or store.accept, told=tell))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if task.done():
            task.result()
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_resource_a_bundle_and_lines_come_as_entries(brokers):
    broker, store = brokers(), Store()
    bundle = b'{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:x","resource":%s},{}]}' % reading(
        2
    )
    async with listening(store, stream(broker.port)):
        await send(broker.port, reading(1), bundle, reading(3) + b"\n" + reading(4) + b"\n")
        await store.until(lambda: len(store.kept) == 3)
    assert store.numbers == [1, 2, 3, 4]
    first = next(iter(store.kept.values()))
    assert (first.source, first.what, first.entries[0].raw) == ("ward", "mqtt", reading(1))


async def test_what_is_sent_while_we_are_away_comes_when_we_are_back(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port)):
        pass
    await send(broker.port, *map(reading, range(50)))
    async with listening(store, stream(broker.port)):
        await store.until(lambda: len(store.kept) == 50)
    assert store.numbers == list(range(50))
    assert "kept nothing" in store.told[0]
    assert "meantime" in store.told[-1]


CHILD = """
import asyncio, sys
from pathlib import Path
from gateway.settings import SourceSettings, StreamSettings
from gateway.stream.mqtt import listen_mqtt

async def accept(delivery):
    for entry in delivery.entries:
        print(entry.raw.decode(), flush=True)
    await asyncio.sleep(3600)

settings = StreamSettings(kind="mqtt", host="127.0.0.1", port=int(sys.argv[1]), tls=False, topics=("ward/#",))
asyncio.run(listen_mqtt("ward", settings, SourceSettings(folder=Path()), accept,
                        told=lambda sentence: print(sentence, flush=True)))
"""


async def test_a_kill_before_the_acknowledgement_brings_it_again_and_once(brokers):
    """The process is killed when a message is on disk and the broker does not know it yet."""
    broker, store = brokers(), Store()
    command = ("-c", CHILD, str(broker.port))
    folder = Path(__file__).parents[3]
    child = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=subprocess.PIPE, cwd=folder)
    try:
        assert b"listening" in await child.stdout.readline()
        await send(broker.port, reading(1), reading(2))
        line = await child.stdout.readline()
    finally:
        child.kill()
        await child.wait()
    stored = delivery_of("ward", stream(broker.port), "ward/p1/heart", line.strip())
    assert await store.accept(stored)
    async with listening(store, stream(broker.port)):
        await store.until(lambda: len(store.kept) == 2 and store.came[stored.key] == 2)
    assert store.numbers == [1, 2]


async def test_a_broker_that_restarts_loses_nothing_and_we_come_back(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port)):
        await send(broker.port, reading(1))
        await store.until(lambda: len(store.kept) == 1)
        store.hold.clear()
        await send(broker.port, reading(2), reading(3))
        await store.until(lambda: len(store.came) == 2)
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await send(broker.port, reading(4))
        store.hold.set()
        await store.until(lambda: len(store.kept) == 4 and "what came in the meantime comes now" in store.told[-1])
    assert store.numbers == [1, 2, 3, 4]
    assert any("It is tried again." in sentence for sentence in store.told)


async def test_a_wrong_password_is_said_at_once_and_a_right_one_lets_in(brokers, tmp_path):
    users, secret = passwords(tmp_path / "users"), tmp_path / "secret"
    broker, store = brokers("allow_anonymous false", f"password_file {users}"), Store()
    secret.write_text("wrong\n")
    settings = stream(broker.port, user="twin", password_file=secret)
    with pytest.raises(Denied) as denied:
        async with listening(store, settings):
            pass
    assert "password_file" in str(denied.value)
    assert "wrong" not in str(denied.value)
    secret.write_text("right\n")
    async with listening(store, settings):
        pass
    secret.unlink()
    with pytest.raises(BadSettings):
        async with listening(store, settings):
            pass


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b"", ["not-json"]),
        (b"\xff\x00 37.5 C", ["not-json"]),
        (b'{"temperature": 37.5}', ["not-fhir"]),
        (b'{"resourceType": "Observation"', ["truncated"]),
        (b'{"resourceType": "Observation"}\n{"temperature": 37.5}\nrubbish', ["not-fhir", "not-json"]),
        (b"[" * 100_000, ["not-json"]),
        (b"37.5", ["not-fhir"]),
        (b" " * ((1 << 20) + 1), ["too-large"]),
    ],
    ids=["nothing", "bytes", "no FHIR", "cut", "lines", "deep", "a number", "large"],
)
def test_what_is_no_fhir_is_a_refusal_and_no_failure(body, problems):
    delivery = delivery_of("ward", stream(1883, largest_mb=1), "ward/p1", body)
    assert [entry.problem for entry in delivery.entries if entry.problem] == problems


async def test_in_the_store_messages_are_facts_garbage_is_refused_and_repeats_are_counted(brokers, tmp_path):
    broker, store = brokers(), Store()
    bodies = [raw(PATIENT), raw(glucose("g1", 101)), raw(glucose("g2", 102)), b"37.5 C", raw(glucose("g1", 101))]
    with open_home(settle_home(tmp_path / "home")) as home:
        inbox = open_inbox(home)

        async def accept(delivery) -> bool:
            is_new = await inbox.accept(delivery)
            await store.accept(delivery)
            return is_new

        async with listening(store, stream(broker.port), accept):
            await send(broker.port, *bodies)
            await store.until(lambda: store.came.total() == len(bodies))
        await inbox.drain()
        assert [value for _, _, value in facts_of(home) if "mg/dL" in value] == ["101 mg/dL", "102 mg/dL"]
        counts = home.store.lane("ward").ledger
        assert (counts["resources"], counts["refused"], counts["repeats"]) == (4, 1, 1)
        held = b"".join(path.read_bytes() for path in home.settings.home.glob("twin.db*"))
        assert b"ward/p1/heart" not in held


async def test_garbage_is_counted_and_what_follows_comes(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port)):
        await send(broker.port, b"\x00\xff", b"{}", reading(1))
        await store.until(lambda: len(store.kept) == 3)
    assert (store.problems, store.numbers) == (["not-json", "not-fhir"], [1])


async def test_a_slow_store_holds_back_the_broker(brokers):
    """Counted on the wire: messages that were sent to us and that we did not acknowledge."""
    broker, store = brokers("allow_anonymous true", "max_queued_messages 0"), Store()
    async with Gate(broker.port) as gate, listening(store, stream(gate.port, waiting=5)):
        store.hold.clear()
        await send(broker.port, *map(reading, range(40)))
        await store.until(lambda: len(store.came) == 1)
        assert (len(store.kept), gate.most <= 5) == (0, True)
        store.hold.set()
        await store.until(lambda: len(store.kept) == 40)
    assert store.numbers == list(range(40))


@pytest.mark.parametrize("is_v5", [True, False], ids=["MQTT 5", "MQTT 3.1.1"])
async def test_of_a_broker_that_sends_more_than_was_asked_for_no_more_is_taken(brokers, is_v5):
    """Mosquitto 2.0.11 does, once it has queued messages and hears an acknowledgement; 3.1.1 has no word for it."""
    broker = brokers("allow_anonymous true", "max_queued_messages 0")
    bodies = []
    async with Line(stream(broker.port), "twin", in_flight=3, is_v5=is_v5) as line:
        async for came in line:
            assert line.waiting < 3
            if isinstance(came, Subscribed):
                await send(broker.port, *map(reading, range(60)))
                continue
            bodies.append(bytes(came.payload))
            await asyncio.sleep(0)
            line.acknowledge(came)
            if len(bodies) == 60:
                break
    assert bodies == [reading(n) for n in range(60)]


async def test_a_broker_that_does_not_know_mqtt_5_is_spoken_to_in_3_1_1(brokers):
    broker, store = brokers("allow_anonymous true", "max_queued_messages 0"), Store()
    async with Gate(broker.port, is_old=True) as gate:
        async with listening(store, stream(gate.port, waiting=5)):
            pass
        await send(broker.port, *map(reading, range(40)))
        async with listening(store, stream(gate.port, waiting=5)):
            await store.until(lambda: len(store.kept) == 40)
        assert gate.refused == 2
    assert store.numbers == list(range(40))
    assert "meantime" in store.told[-1]


async def test_what_the_store_cannot_keep_is_not_acknowledged_and_comes_again(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port)):
        store.fault = StoreFull("The disk is full.")
        await send(broker.port, reading(1))
        await store.until(lambda: sum(store.came.values()) >= 2)
        store.fault = None
        await store.until(lambda: len(store.kept) == 1)
    assert store.told[1] == "ward: The disk is full. It is tried again."


async def test_a_failure_that_does_not_pass_ends_it(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port)) as task:
        store.fault = Refused("No.")
        await send(broker.port, reading(1))
        await asyncio.wait([task], timeout=SECONDS)
        assert isinstance(task.exception(), Refused)


async def test_a_broker_that_is_not_there_is_told_without_a_topic(brokers):
    broker, told = brokers(), asyncio.Queue()
    broker.stop()
    source, accept = SourceSettings(folder=Path()), Store().accept
    task = asyncio.create_task(listen_mqtt("ward", stream(broker.port), source, accept, told=told.put_nowait))
    sentence = await asyncio.wait_for(told.get(), SECONDS)
    task.cancel()
    await asyncio.wait([task])
    assert sentence == "ward: The broker did not answer. Check host, port and tls. It is tried again."


@pytest.mark.parametrize(
    ("grant", "fault", "says"), [(0x87, Denied, "topic number 2 of"), (0, Refused, "at most once")], ids=["no", "QoS 0"]
)
async def test_a_topic_that_the_broker_does_not_let_us_read_is_said_by_its_place(brokers, grant, fault, says):
    broker = brokers()
    async with Gate(broker.port, grant=grant) as gate:
        with pytest.raises(fault, match=says):
            async with listening(Store(), stream(gate.port, topics=("ward/#", "garden/#"))):
                pass


async def test_topics_of_older_settings_are_not_taken(brokers):
    broker, store = brokers(), Store()
    async with listening(store, stream(broker.port, topics=("ward/#", "garden/#"))):
        pass
    async with listening(store, stream(broker.port)):
        await send(broker.port, reading(1), reading(2), topic="garden/temperature")
        await send(broker.port, reading(3))
        await store.until(lambda: len(store.kept) == 1)
    assert store.numbers == [3]
    assert [sentence for sentence in store.told if "garden" in sentence] == []
    assert len([sentence for sentence in store.told if "no longer in the settings" in sentence]) == 1


async def test_a_message_is_known_by_topic_and_content():
    one, settings = reading(1), stream(1883, source="icu")
    first = delivery_of("ward", settings, "ward/p1", one)
    assert first == delivery_of("ward", settings, "ward/p1", one)
    assert first.source == "icu"
    assert first.key != delivery_of("ward", settings, "ward/p2", one).key
    assert first.key != delivery_of("ward", settings, "ward/p1", reading(2)).key


async def test_over_tls_the_broker_has_to_show_a_certificate_that_we_trust(brokers, tmp_path):
    key, ca = self_signed(tmp_path)
    broker, store = brokers("allow_anonymous true", f"certfile {ca}", f"keyfile {key}"), Store()
    settings = stream(broker.port, host="localhost", tls=True, ca_file=ca)
    async with listening(store, settings):
        pass
    with pytest.raises(Denied) as denied:
        async with listening(store, settings.model_copy(update={"ca_file": None})):
            pass
    assert "ca_file" in str(denied.value)


@pytest.mark.parametrize("topic", ["", "ward/#/heart", "ward/p+", "ward#", "w" * 65_536])
async def test_a_topic_that_no_broker_can_read_is_said_at_once_and_by_its_place(topic):
    with pytest.raises(BadSettings, match="topic number 2 of"):
        async with listening(Store(), stream(1883, topics=("ward/+/heart", topic, "$share/twins/#"))):
            pass


def passwords(file: Path) -> Path:
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "twin", "right"], check=True, capture_output=True)
    return file


def self_signed(folder: Path) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))
    (folder / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return folder / "key.pem", folder / "ca.pem"

"""Subscriptions to a server that we did not write: HAPI FHIR in R4, R4B and R5 tells, `twin listen` knows.

HAPI sends no handshake and no heartbeat, numbers events from memory, and has neither $status nor $events: what it does
not tell, or tells while nobody hears, has to be found without them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from gateway.cli import main
from mappers.facts import Quantity
from security.audit import read_event
from tests.gateway.stream.arriving import PATIENT, TOKEN, open_home, reading
from tests.hapi.fixture import HapiServer

pytestmark = [pytest.mark.jvm]

SECONDS = 150  # silence is asked about after 75
# HAPI keeps topics of R4 in a shape that its own validator refuses: one is there from the start, and wants a filter.
R4_TOPIC = "http://fhirtwin.example/topics/observations"
FILTERED = ["Observation?status=final,amended"]


class Ward:
    """One FHIR version of HAPI: a patient there, and what is created and told of them."""

    def __init__(self, base: str, version: str) -> None:
        media = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        self.base, self.version = base, version
        self.http = httpx.Client(base_url=f"{base}/", headers=media, timeout=300, trust_env=False)
        self.topic = R4_TOPIC if version == "r4" else f"http://fhirtwin.example/topics/{os.urandom(4).hex()}"
        if version != "r4":
            trigger = {"resource": "Observation", "supportedInteraction": ["create", "update"]}
            self.create(
                {
                    "resourceType": "SubscriptionTopic",
                    "url": self.topic,
                    "status": "active",
                    "resourceTrigger": [trigger],
                }
            )
        kept = {name: value for name, value in PATIENT.items() if name not in ("id", "meta")}
        identifier = [{"system": "urn:oid:2.25.1", "value": os.urandom(4).hex()}]
        self.patient = self.create({**kept, "identifier": identifier})
        self.readings: dict[str, int] = {}

    def create(self, resource: dict[str, Any]) -> str:
        answer = self.http.post(resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text[:1000]
        return str(answer.json()["id"])

    def measure(self, value: int) -> str:
        """Create a glucose reading of the patient, at a minute of its own."""
        told = reading("", value, subject={"reference": f"Patient/{self.patient}"})
        told["effectiveDateTime"] = f"2026-11-20T12:{value % 60:02}:00+00:00"
        del told["id"]
        id_ = self.create(told)
        self.readings[id_] = value
        return id_

    def subscriptions(self, endpoint: str) -> list[dict[str, Any]]:
        answer = self.http.get("Subscription", params={"url": endpoint}, headers={"Cache-Control": "no-cache"})
        return [entry["resource"] for entry in answer.json().get("entry", [])]


@pytest.fixture(params=["r5", "r4b", "r4"])
def ward(request: pytest.FixtureRequest, hapi_server: HapiServer) -> Iterator[Ward]:
    yield from _ward(hapi_server, request.param)


@pytest.fixture
def ward_in_r5(hapi_server: HapiServer) -> Iterator[Ward]:
    yield from _ward(hapi_server, "r5")


def _ward(hapi_server: HapiServer, version: str) -> Iterator[Ward]:
    found = Ward(hapi_server.base(version), version)
    with closing(found.http):
        yield found
        for each in found.http.get("Subscription", headers={"Cache-Control": "no-cache"}).json().get("entry", []):
            found.http.delete(f"Subscription/{each['resource']['id']}")  # it would go on trying to tell


class Ours:
    """Our end: a home that has pulled once, and the process that listens, which can be killed and started again."""

    def __init__(self, folder: Path, ward: Ward, **changes: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}/notify/ward"
        self.folder, self.ward = folder, ward
        stream = {
            "kind": "subscription",
            "source": "ward",
            "topic": ward.topic,
            "criteria": FILTERED if ward.version == "r4" else ["Observation"],
            "endpoint": self.endpoint,
            "token_file": "ward.token",
            "payload": "full-resource",
            **changes,
        }
        folder.mkdir()
        (folder / "ward.token").write_text(TOKEN)
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in stream.items())
        source = f'[sources.ward]\nurl = "{ward.base}"\ntypes = ["Patient", "Observation"]\n'
        (folder / "twin.toml").write_text(f"{source}[streams.ward]\n{lines}")
        assert main(["pull", "ward", "--home", str(folder)]) == 0

    @contextmanager
    def listening(self) -> Iterator[Listening]:
        found = Listening(self)
        try:
            found.until(lambda: any(each["status"] == "active" for each in self.ward.subscriptions(self.endpoint)))
            found.until(self.is_open)
            yield found
        finally:
            found.process.kill()
            found.reader.join()
            found.process.communicate()

    def is_open(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def facts(self) -> list[tuple[str, int]]:
        """The readings that became facts, by the resource that they came from."""
        with open_home(self.folder) as home:
            found = []
            for twin in home.store.twins():
                home.store.append_audit([read_event(home.access(patient=twin.id))])
                for fact in home.store.twin_record(twin.id).facts:
                    id_ = fact.origin.resource.rpartition("/")[2]
                    if id_ in self.ward.readings and isinstance(fact.value, Quantity):
                        found.append((id_, int(fact.value.value)))
            return sorted(found, key=lambda each: each[1])


class Listening:
    """A process that listens; `told` is what it has told so far."""

    def __init__(self, ours: Ours) -> None:
        command = [sys.executable, "-m", "gateway.cli", "listen", "--port", str(ours.port), "--format", "json"]
        self.process = subprocess.Popen([*command, "--home", str(ours.folder)], stdout=subprocess.PIPE)
        self.told: list[dict[str, Any]] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))

    def until(self, is_so: Callable[[], bool]) -> None:
        ended = time.monotonic() + SECONDS
        while not is_so():
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < ended, self.told
            time.sleep(0.1)  # both ends are other processes; nothing tells us

    def mapped(self) -> int:
        return sum(each["counts"]["facts"] for each in list(self.told) if each["told"] == "mapped")

    def says(self, words: str) -> bool:
        return any(words in each["say"] for each in list(self.told))

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(SECONDS)


@contextmanager
def swallowing(port: int) -> Iterator[Queue[bytes]]:
    """Say yes to all that comes to a port, and keep nothing of it."""
    came: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            came.put(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        try:
            yield came
        finally:
            server.shutdown()
            running.join()


def test_what_is_created_there_is_known_here_once_and_what_was_lost_is_found(ward, tmp_path):
    ours = Ours(tmp_path / "home", ward)
    with ours.listening() as first:
        ward.measure(101)
        first.until(lambda: first.mapped() == 1)
        assert first.says("the subscription is active")
        first.end(signal.SIGKILL)
    with swallowing(ours.port) as came:
        lost = f'"{ward.measure(102)}"'.encode()
        while lost not in came.get(timeout=SECONDS):  # what was killed in mid-answer is told again, too
            pass
    with ours.listening() as second:
        assert len(ward.subscriptions(ours.endpoint)) == 1
        ward.measure(103)
        # Found by the search that follows when $events is refused, or by one that was still due when we were killed.
        second.until(lambda: len(ours.facts()) == 3)
        second.end(signal.SIGINT)
        assert second.process.returncode == 0
    assert [value for _, value in ours.facts()] == [101, 102, 103]
    assert {id_ for id_, _ in ours.facts()} == set(ward.readings)


def test_what_nobody_took_is_sent_again_when_we_are_back(ward_in_r5, tmp_path):
    ours = Ours(tmp_path / "home", ward_in_r5, payload="id-only")
    with ours.listening() as first:
        first.end(signal.SIGKILL)
    ward_in_r5.measure(111)
    with ours.listening() as second:
        ward_in_r5.measure(112)
        second.until(lambda: second.mapped() == 2)
        second.end(signal.SIGINT)
    assert [value for _, value in ours.facts()] == [111, 112]


def test_a_new_token_is_learned(ward_in_r5, tmp_path):
    ours = Ours(tmp_path / "home", ward_in_r5)
    with ours.listening() as first:
        ward_in_r5.measure(121)
        first.until(lambda: first.mapped() == 1)
    (ours.folder / "ward.token").write_text("another-token-of-24-characters-or-more")
    with ours.listening() as second:
        second.until(lambda: second.says("The subscription was asked for again"))
        ward_in_r5.measure(122)
        second.until(lambda: second.mapped() == 1)
        assert not second.says("401")
    assert len(ward_in_r5.subscriptions(ours.endpoint)) == 1
    assert [value for _, value in ours.facts()] == [121, 122]

"""twin listen, as it runs: real processes, real posts, real kills."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import main
from gateway.home import now
from gateway.pull.page import Entry
from gateway.stream.delivery import Delivery
from gateway.warnings import kept_warnings
from tests.gateway.stream.arriving import (
    PATIENT,
    TOKEN,
    bundle,
    facts_of,
    open_home,
    raw,
    reading,
    settle_home,
    swinging,
    weight,
)

FHIR = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/fhir+json"}
BOTH = (
    '[streams.ward]\nkind = "post"\ntoken_file = "ward.token"\n'
    '[streams.drop]\nkind = "folder"\nsource = "ward"\nfolder = "in"\n'
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "in").mkdir(parents=True)
    return settle_home(tmp_path / "home", BOTH)


def once(home: Path, capsysbinary: pytest.CaptureFixture[bytes], *names: str) -> dict[str, int]:
    """Run the command to its end in this process, and return the counts that it ends with."""
    capsysbinary.readouterr()
    assert main(["listen", *names, "--once", "--format", "json", "--home", str(home)]) == 0
    return dict(json.loads(capsysbinary.readouterr().out.splitlines()[-1])["counts"])


class Running:
    """A process that listens. `told` is what it has told so far."""

    def __init__(self, home: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "gateway.cli",
            "listen",
            "--port",
            "0",
            "--format",
            "json",
            "--home",
            str(home),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.told: list[dict[str, Any]] = []
        self.base = self.wait_for("begins", lambda c: "events" in c)["events"].removesuffix("/events")

    def wait_for(self, kind: str, fits: Any = lambda counts: True) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if self.told[-1]["told"] == kind and fits(self.told[-1]["counts"]):
                return dict(self.told[-1]["counts"])
        raise AssertionError(f"it ended without telling {kind}: {self.process.stderr and self.process.stderr.read()!r}")

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.base}/streams/ward", content=body, headers={**FHIR, **headers}, trust_env=False)

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(how)
        out, errors = self.process.communicate(timeout=30)
        self.told += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, errors.decode()


@contextmanager
def listening(home: Path) -> Iterator[Running]:
    found = Running(home)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
        found.process.communicate()


@pytest.mark.parametrize("streams", [True, False])
def test_our_public_keys_are_served_to_who_has_no_token_beside_streams_or_alone(home, streams):
    if not streams:
        (home / "twin.toml").unlink()
    told = ("--url", "https://lab.example/fhir", "--auth", "backend-services", "--client-id", "us")
    assert main(["source", "add", "lab", *told, "--home", str(home)]) == 0
    with listening(home) as twin:
        answer = httpx.get(f"{twin.base}/jwks.json", trust_env=False)
        [key] = answer.json()["keys"]
        assert (answer.status_code, key["alg"], "d" in key) == (200, "ES384", False)
        assert twin.end()[0] == 0
        assert any(f"{twin.base}/jwks.json" in line["say"] for line in twin.told)


def waiting(home: Path) -> int:
    """Count what landed and is not mapped, as a thief of the file could."""
    with closing(sqlite3.connect(home / "twin.db")) as file:
        return int(file.execute("SELECT count(*) FROM page").fetchone()[0])


def test_readings_that_are_posted_end_in_a_warning_that_whoever_listens_hears_of(home):
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    *before, last = swinging(ended, minutes=1500)
    with listening(home) as running:
        key = (home / "events.key").read_text("utf-8").strip()
        events = f"{running.base}/events"
        assert httpx.get(events, trust_env=False).status_code == 403
        assert httpx.get(events, headers={"Authorization": "Bearer no"}, trust_env=False).status_code == 403
        heard: list[str] = []
        with httpx.stream(
            "GET", events, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30
        ) as told:
            assert running.post(bundle(PATIENT, weight(), *before)).status_code == 202
            assert running.post(raw(last)).status_code == 202
            for line in told.iter_lines():
                heard.append(line)
                if '"rule":"hypoglycaemia-level-1-30"' in line:
                    break
            assert running.post(raw(last)).status_code == 202  # again
            assert running.post(raw(PATIENT), Authorization="Bearer wrong").status_code == 401
            status, errors = running.end()  # while somebody listens
    assert (status, errors) == (0, "")
    told_json = json.dumps(running.told)
    assert running.told[-1]["told"] == "ends"
    counts = running.told[-1]["counts"]
    assert (counts["deliveries"], counts["repeats"], counts["posts refused"], counts["waiting"]) == (2, 1, 1, 0)
    assert counts["raised"] >= 1
    assert "event: twin" in heard
    assert "event: warning" in heard
    for clinical in ("Zzcanary", "p1", "1980-02-03", "mg/dL", TOKEN, key):
        assert clinical not in told_json
    assert not [word for word in ("Zzcanary", "1980", "/p1") if word in "".join(heard)]
    with open_home(home) as opened:
        assert next(watched.watch.standing for _, _, watched in kept_warnings(opened))
        assert opened.store.verify_audit().ok


def test_kill_9_between_landing_and_mapping_loses_nothing_and_doubles_nothing(home, capsysbinary):
    left, posted = 0, [PATIENT]
    for part in range(5):
        readings = [reading(f"g{part * 2000 + n}", 100 + n % 50) for n in range(2000)]
        with listening(home) as running:
            assert running.post(bundle(*posted[-1:], *readings)).status_code == 202
            running.process.kill()
            running.process.wait()
        posted += readings
        left = waiting(home)
        if left:
            break
    assert left == 1, "no kill fell between landing and mapping"
    (home / "in" / "again.json").write_bytes(bundle(PATIENT, reading("g1", 101)))
    assert once(home, capsysbinary)["waiting"] == 0
    with open_home(home) as opened:
        assert len(facts_of(opened)) == len(posted) + 1
        counts = opened.store.lane("ward").ledger
        assert (counts["facts"], counts["refused"]) == (len(posted) + 1, 0)
        assert opened.store.verify_audit().ok
        body = bundle(PATIENT, *posted[1:2001])  # what was acknowledged is remembered
        again = Delivery("ward", f" {hashlib.sha256(body).hexdigest()}", "post", (Entry(raw(PATIENT)),))
        assert opened.store.accept(again, now()) is False


def test_kill_9_while_a_folder_is_read_loses_nothing_and_doubles_nothing(home, capsysbinary):
    lines = [raw(PATIENT), *(raw(reading(f"g{n}")) for n in range(3000))]
    (home / "in" / "a.ndjson").write_bytes(b"\n".join(lines))
    for deliveries in (1, 2):
        with listening(home) as running:
            for _ in range(deliveries):
                running.wait_for("mapped")
            running.process.kill()
            running.process.wait()
    assert once(home, capsysbinary)["waiting"] == 0
    with open_home(home) as opened:
        counts = opened.store.lane("ward").ledger
        assert (counts["resources"], counts["facts"], counts["links"], counts["refused"]) == (3001, 3002, 0, 0)
        assert len(facts_of(opened)) == 3002
    assert "resources" not in once(home, capsysbinary, "drop")


def test_a_warning_that_a_kill_left_out_is_raised_at_the_next_start(home, capsysbinary):
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    (home / "in" / "a.json").write_bytes(bundle(PATIENT, weight(), *swinging(ended, minutes=1500)))
    with listening(home) as running:
        running.wait_for("mapped")
        running.process.kill()  # the facts are there, and nobody has looked at them
        running.process.wait()
        assert not [one for one in running.told if one["told"] == "warning"]
    with open_home(home) as opened:
        assert len(opened.store.wanting_attention()) == 1
    assert once(home, capsysbinary)["raised"] >= 1
    with open_home(home) as opened:
        assert opened.store.wanting_attention() == []


def test_two_processes_take_one_folder_and_it_is_read_once(home, capsysbinary):
    lines = [raw(PATIENT), *(raw(reading(f"g{n}")) for n in range(2000))]
    with listening(home) as running:
        (home / "in" / "a.ndjson").write_bytes(b"\n".join(lines))
        assert once(home, capsysbinary)["waiting"] == 0
        assert running.end(signal.SIGTERM)[0] == 0
        assert running.told[-1]["told"] == "ends"
    once(home, capsysbinary)  # what the other one had landed
    with open_home(home) as opened:
        counts = opened.store.lane("ward").ledger
        assert (counts["resources"], counts["facts"], counts["links"]) == (2001, 2002, 0)


def test_what_hinders_it_is_a_sentence(home, tmp_path, capsys):
    def said(*arguments: str, of: Path = home) -> str:
        assert main(["listen", *arguments, "--home", str(of)]) == 2
        return capsys.readouterr().err

    assert "[streams.NAME]" in said(of=tmp_path / "empty")
    assert "Known: drop, ward" in said("nobody")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in said("--port", str(taken.getsockname()[1]))
    (home / "ward.token").write_text("short", "utf-8")
    assert "too short" in said("--port", "0")
    (home / "events.key").chmod(0o644)
    (home / "ward.token").write_text(TOKEN, "utf-8")
    assert "events.key" in said("--port", "0")

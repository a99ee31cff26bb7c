"""The API serves while its keys are rotated: readings are posted over HTTP and twins are shown, and nobody notices."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from gateway.cli import main
from tests.gateway.rotating import NOON
from tests.gateway.stream.arriving import PATIENT, bundle, open_home, raw, reading, settle_home, weight
from tests.gateway.stream.test_listen_command import Running, listening

ROTATIONS = 2


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = settle_home(tmp_path / "home", '[streams.ward]\nkind = "post"\ntoken_file = "ward.token"\n')
    with open_home(folder) as opened, opened.store.transaction():
        for _ in range(300):
            opened.store.new_twin(NOON)
    return folder


def post_until(stop: threading.Event, running: Running, statuses: list[int]) -> None:
    while not stop.wait(0.05):
        statuses.append(running.post(raw(reading(f"r{len(statuses)}"))).status_code)


def test_no_post_and_no_question_fails_while_the_keys_are_rotated(home, capsysbinary):
    stop, statuses, done = threading.Event(), [], []
    with listening(home) as running:
        assert running.post(bundle(PATIENT, weight(), reading("first"))).status_code == 202
        poster = threading.Thread(target=post_until, args=(stop, running, statuses))
        poster.start()
        try:
            for _ in range(ROTATIONS):
                capsysbinary.readouterr()
                assert main(["keys", "rotate", "--retire", "--home", str(home), "--format", "json"]) == 0
                done.append(json.loads(capsysbinary.readouterr().out))
                assert main(["list", "--home", str(home)]) == 0
        finally:
            stop.set()
            poster.join()
        status, errors = running.end()
    assert (status, errors) == (0, "")
    assert set(statuses) == {202}
    assert len(statuses) >= ROTATIONS
    assert [(one["rewrapped"] >= 302, len(one["retired"])) for one in done] == [(True, 1)] * ROTATIONS
    assert running.told[-1]["counts"]["deliveries"] == len(statuses) + 1
    assert main(["listen", "--once", "--home", str(home)]) == 0  # what it was ended before it mapped
    with open_home(home) as opened:
        assert opened.store.check_keys() == 302, "three hundred, the patient's, and the source's"
        [twin] = [one for one in opened.store.twins() if one.resources]
        held = [r for r in opened.store.twin_record(twin.id).resources if r.key.startswith("Observation/")]
        assert len(held) == len(statuses) + 2, "each reading that was acknowledged is there"

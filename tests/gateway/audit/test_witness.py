"""A witness signs what continues what it signed before, and nothing else; what it signed vouches for the log."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.witness import Witness
from security.audit import Cosigner, cosignature_in, write_request
from security.errors import Misuse, Tampered
from security.keys import SecretKeyRing

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RING = SecretKeyRing(b"r" * 32, [b"k" * 32])
COSIGNER = Cosigner("example.org/w1", b"w" * 32)


class Log:
    """A store with a log that grows, and what it hands to witnesses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.grow(0)

    def grow(self, events: int) -> Log:
        with Store.create_or_open(self.folder / "twin.db", RING, NOON) as store:
            for _ in range(events):
                store.append_audit([{"resourceType": "AuditEvent"}])
            self.key = store.audit_public_key
        return self

    def forked(self, folder: Path) -> Log:
        shutil.copytree(self.folder, folder)
        return Log(folder)

    def request(self, old: int, size: int | None = None) -> str:
        with (
            Store.create_or_open(self.folder / "twin.db", RING, NOON) as store,
            store.audit_view() as view,
        ):
            note = view.checkpoint(size)
            size = int(note.splitlines()[1])
            return write_request(old, view.tree.consistency(old, size) if 0 < old < size else [], note)


@pytest.fixture
def log(tmp_path) -> Log:
    return Log(tmp_path / "log").grow(4)


@pytest.fixture
def witness(tmp_path, log) -> Witness:
    """A witness that has signed four events of the log."""
    witness = Witness(tmp_path / "witness", COSIGNER)
    witness.cosign(log.request(0), NOON, log.key)
    return witness


def again(tmp_path) -> Witness:
    """The same witness as another process would open it."""
    return Witness(tmp_path / "witness", COSIGNER)


def test_a_log_that_goes_on_is_signed_each_time(witness, log, tmp_path):
    log.grow(5)
    signed = again(tmp_path).cosign(log.request(4), NOON)
    checkpoint, _, when = cosignature_in(signed, log.key, COSIGNER.public_key)
    assert (checkpoint.size, when) == (9, NOON)
    assert again(tmp_path).cosign(log.request(9), NOON).startswith(checkpoint.text), "the same again is signed again"


def test_a_witness_that_is_shown_two_histories_refuses_the_second_and_says_which(witness, log, tmp_path):
    trunk = log.forked(tmp_path / "fork")
    log.grow(2)
    signed = again(tmp_path).cosign(log.request(4), NOON)
    trunk.grow(2)  # as many events, and not the same
    with pytest.raises(Tampered, match="two histories of 6 events") as refused:
        again(tmp_path).cosign(trunk.request(6), NOON)
    roots = [text.splitlines()[2] for text in (signed, trunk.request(6).partition("\n\n")[2])]
    assert all(root in refused.value.message for root in roots), "both are named"
    [evidence] = (tmp_path / "witness").glob("*.refused")
    assert trunk.request(6).partition("\n\n")[2] in evidence.read_text()


def test_a_longer_history_that_forked_before_what_was_signed_is_refused(witness, log, tmp_path):
    trunk = log.forked(tmp_path / "fork").grow(5)
    log.grow(2)
    again(tmp_path).cosign(log.request(4), NOON)
    with pytest.raises(Tampered, match="not proven that these 9 events continue the 6"):
        again(tmp_path).cosign(trunk.request(6), NOON)
    again(tmp_path).cosign(log.grow(1).request(6), NOON)  # the true one goes on


def test_a_smaller_tree_that_is_shown_after_a_larger_one_is_refused(witness, log, tmp_path):
    log.grow(3)
    again(tmp_path).cosign(log.request(4), NOON)
    with pytest.raises(Tampered, match="shown to this witness with 7 events, and now with 5: it was put back"):
        again(tmp_path).cosign(log.request(0, 5), NOON)


def test_a_request_that_starts_elsewhere_is_told_where_to_start(witness, log, tmp_path):
    log.grow(2)
    for old in (0, 3, 5):
        with pytest.raises(Misuse, match="signed 4 events last") as refused:
            again(tmp_path).cosign(log.request(old), NOON)
        assert "twin audit consistency 4" in refused.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("old 4\n", "old 4\n" + "A" * 43 + "=\n", 1),
        lambda text: text.replace("old 4", "old 04", 1),
        lambda text: text.replace("old 4", "old -4", 1),
        lambda text: text.replace("\n6\n", "\n7\n", 1),
        lambda text: text[:-2] + "\n",
        lambda text: "\n".join([text.splitlines()[0], *text.splitlines()[2:], ""]),
        lambda text: "",
        lambda text: "old 4\n",
    ],
)
def test_a_changed_request_is_signed_by_nobody(witness, log, tmp_path, change):
    log.grow(2)
    request = log.request(4)
    assert change(request) != request
    with pytest.raises((Misuse, Tampered)):
        again(tmp_path).cosign(change(request), NOON)
    assert not list((tmp_path / "witness").glob("*.new"))
    again(tmp_path).cosign(request, NOON)


def test_a_log_is_known_by_one_key_only(tmp_path, log):
    witness = Witness(tmp_path / "witness", COSIGNER)
    with pytest.raises(Misuse, match="does not know that log yet"):
        witness.cosign(log.request(0), NOON)
    other = Log(tmp_path / "other").grow(1)
    with pytest.raises(Tampered):
        witness.cosign(log.request(0), NOON, other.key)
    witness.cosign(log.request(0), NOON, log.key)
    with pytest.raises(Misuse, match="by another key"):
        witness.cosign(log.request(4), NOON, other.key)
    witness.cosign(other.request(0), NOON, other.key)  # each log has a memory of its own
    witness.cosign(log.grow(1).request(4), NOON)


def test_of_two_requests_at_once_one_comes_second(witness, log, tmp_path):
    log.grow(1)
    one = log.request(4)
    log.grow(1)
    two = log.request(4)
    outcomes: list[str] = []

    def ask(request: str) -> None:
        try:
            outcomes.append(again(tmp_path).cosign(request, NOON).splitlines()[1])
        except (Misuse, Tampered) as fault:
            outcomes.append(type(fault).__name__)

    threads = [threading.Thread(target=ask, args=[request]) for request in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["5", "Misuse"], ["6", "Tampered"])


def test_what_a_witness_signed_convicts_a_log_that_is_put_back(tmp_path, log, witness):
    backup = log.forked(tmp_path / "backup")
    log.grow(3)
    signed = again(tmp_path).cosign(log.request(4), NOON)
    with Store.create_or_open(log.folder / "twin.db", RING, NOON) as store:
        store.keep_cosignature(signed, COSIGNER.public_key)
        assert store.verify_audit(witnesses=[COSIGNER.public_key]).witnessed == 7
        assert not store.verify_audit(witnesses=[Cosigner("example.org/w2", b"v" * 32).public_key]).ok
    with Store.create_or_open(backup.folder / "twin.db", RING, NOON) as store:
        verdict = store.verify_audit([signed])
        assert (verdict.ok, verdict.first_bad) == (False, 5)
        with pytest.raises(Tampered, match="another history"):
            store.keep_cosignature(signed, COSIGNER.public_key)


def test_a_signature_that_is_not_of_the_witness_told_is_not_kept(log, witness, tmp_path):
    signed = again(tmp_path).cosign(log.request(4), NOON)
    with Store.create_or_open(log.folder / "twin.db", RING, NOON) as store:
        for note, key in [
            (signed, Cosigner("example.org/w2", b"v" * 32).public_key),
            (store.checkpoints()[-1], COSIGNER.public_key),
            (signed[:-20] + "AAAA" + signed[-16:], COSIGNER.public_key),
        ]:
            with pytest.raises(Misuse):
                store.keep_cosignature(note, key)


def test_the_key_of_a_witness_is_read_back_and_shows_nowhere(tmp_path):
    assert Cosigner.from_text(COSIGNER.to_text()).public_key == COSIGNER.public_key
    assert (b"w" * 32).hex() not in repr(COSIGNER)
    for text in ("", "PRIVATE+KEY", COSIGNER.to_text().replace("w1", "w2"), COSIGNER.public_key):
        with pytest.raises(Misuse):
            Cosigner.from_text(text)

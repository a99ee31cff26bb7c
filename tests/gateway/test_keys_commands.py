"""twin keys status, rotate and protect, as a person at a terminal uses them; and memory that is not dumped (L8)."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from security.keyrings import LiveKeyRing, PassphraseLock
from security.keys import SecretKeyRing
from security.vault import SealingKey
from tests.gateway.rotating import NOON, home_of

WORDS = "vellum orbit hazel quince drum"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    with home_of(folder) as opened:
        for _ in range(3):
            opened.store.new_twin(NOON)
    return folder


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    status = main(["keys", *words, "--home", str(home)])
    said = capsys.readouterr()
    return status, said.out, said.err


def told(capsysbinary: pytest.CaptureFixture[bytes], home: Path, *words: str) -> dict[str, object]:
    assert main(["keys", *words, "--home", str(home), "--format", "json"]) == 0
    result: dict[str, object] = json.loads(capsysbinary.readouterr().out)
    return result


def test_status_counts_what_each_key_wraps_and_says_what_to_do(home, capsysbinary):
    first = told(capsysbinary, home, "status")
    assert (first["kind"], first["owners"], first["left"], first["advice"]) == ("file", 3, 0, [])
    assert first["formats"] == {"2": 3}
    [kek] = first["keks"]
    assert (kek["id"], kek["state"], kek["owners"], kek["days"]) == (first["current"], "current", 3, 0)

    done = told(capsysbinary, home, "rotate")
    assert (done["new"], done["rewrapped"], done["retired"]) == (True, 3, [])
    second = told(capsysbinary, home, "status")
    assert {k["id"]: (k["state"], k["owners"]) for k in second["keks"]} == {
        first["current"]: ("old", 0),
        done["current"]: ("current", 3),
    }
    assert "--retire" in second["advice"][0]

    ended = told(capsysbinary, home, "rotate", "--retire")
    assert (ended["new"], ended["retired"]) == (False, [first["current"]])
    third = told(capsysbinary, home, "status")
    assert [(k["state"], k["owners"]) for k in third["keks"]] == [("retired", 0), ("current", 3)]
    assert third["advice"] == []


def test_an_unfinished_rotation_is_shown_and_finished(home, capsysbinary):
    with home_of(home) as opened:
        opened.ring.add_key()
    before = told(capsysbinary, home, "status")
    assert before["left"] == 3
    assert "3 keys are still wrapped by an older key" in before["advice"][0]
    assert told(capsysbinary, home, "rotate")["new"] is False
    assert told(capsysbinary, home, "status")["left"] == 0


def test_what_was_done_with_keys_is_in_the_audit(home, capsysbinary):
    done = told(capsysbinary, home, "rotate", "--retire")
    with home_of(home) as opened:
        said = [json.dumps(entry.event) for entry in opened.store.audit_events(10)]
    assert [kind for kind in ("key-retire", "key-rotate") if any(kind in one for one in said)] == [
        "key-retire",
        "key-rotate",
    ]
    assert any(done["current"] in one for one in said)
    assert any(done["retired"][0] in one for one in said)


def test_a_passphrase_is_put_on_changed_and_taken_off(home, capsys, tmp_path, monkeypatch):
    plain = (home / "twin.key").read_text()
    toml = home / "twin.toml"
    toml.write_text('[keys]\nkind = "passphrase"\n')
    status, _, wrong = run(capsys, home, "status")
    assert (status, "twin keys protect" in wrong) == (2, True)

    monkeypatch.setenv("TWIN_PASSPHRASE", WORDS)
    status, said, _ = run(capsys, home, "protect")
    assert (status, 'was of kind "file"' in said) == (0, True)
    assert run(capsys, home, "status")[0] == 0
    assert run(capsys, home, "rotate")[0] == 0

    (tmp_path / "next").write_text("five other words than before")
    (tmp_path / "next").chmod(0o600)
    assert run(capsys, home, "protect", "--new-passphrase-file", str(tmp_path / "next"))[0] == 0
    status, _, wrong = run(capsys, home, "status")
    assert (status, "does not open" in wrong) == (1, True)
    assert WORDS not in wrong
    monkeypatch.setenv("TWIN_PASSPHRASE", "five other words than before")
    assert run(capsys, home, "status")[0] == 0

    toml.write_text("")
    assert run(capsys, home, "protect")[0] == 0
    now_is = SecretKeyRing.from_text((home / "twin.key").read_text())
    assert now_is.derive("blind-index") == SecretKeyRing.from_text(plain).derive("blind-index")
    monkeypatch.delenv("TWIN_PASSPHRASE")
    assert run(capsys, home, "status")[0] == 0


def test_without_a_terminal_a_missing_passphrase_is_told_and_nothing_opens(home, capsys, monkeypatch):
    (home / "twin.toml").write_text('[keys]\nkind = "passphrase"\n')
    monkeypatch.delenv("TWIN_PASSPHRASE", raising=False)
    status, _, wrong = run(capsys, home, "protect")
    assert (status, "TWIN_PASSPHRASE" in wrong) == (2, True)
    assert (home / "twin.key").read_text().startswith("fhirtwin-keys 1"), "the file is as it was"


def test_a_ring_moves_into_the_environment_and_rotates_there(home, capsys, monkeypatch):
    (home / "twin.toml").write_text('[keys]\nkind = "env"\n')
    line = run(capsys, home, "protect")[1].strip()
    (home / "twin.key").unlink()
    monkeypatch.setenv("TWIN_KEY_RING", line)
    assert run(capsys, home, "status")[0] == 0
    status, _, wrong = run(capsys, home, "rotate")
    assert (status, "--print-ring" in wrong) == (2, True)
    monkeypatch.setenv("TWIN_KEY_RING", run(capsys, home, "rotate", "--print-ring")[1].strip())
    assert "3 keys wrapped anew" in run(capsys, home, "rotate")[1]
    assert not (home / "twin.key").exists()


def test_no_secret_is_in_any_text_that_python_makes_of_a_key():
    secret = b"S3CRET-S3CRET-S3CRET-S3CRET-S3CR"
    ring = SecretKeyRing(secret, [secret[::-1]])
    given = [ring]
    things = [
        ring,
        LiveKeyRing(lambda: given.pop() if given else None),
        SealingKey(secret, "twin:a"),
        PassphraseLock(WORDS),
    ]
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing}"):
            assert "S3CR" not in text
            assert "3S" not in text
            assert WORDS not in text
        with pytest.raises(TypeError):
            pickle.dumps(thing)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_DUMPABLE is Linux's")
def test_a_process_of_twin_is_not_dumped():
    code = (
        "import ctypes, sys; sys.argv = ['twin', '--version']; from gateway.cli import main; main();"
        "print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "dumpable 0"

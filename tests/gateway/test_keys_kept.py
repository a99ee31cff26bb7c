"""Where the key ring is kept: each back end opens, rotates, is locked in another way, and fails closed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.keyrings import FiledRing, kept_ring
from gateway.keyrings.kept import lock_of
from gateway.keyrings.ring_file import RingFile
from gateway.keys_settings import KeysSettings
from security.errors import BadSettings, Denied, Fault, Sealed, Unreachable
from security.keyrings import Cost, PassphraseLock, lock_words
from security.keys import SecretKeyRing
from tests.keyserver.servers import KeyServer, openbao, softhsm

WORDS = "vellum orbit hazel quince drum"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> KeyServer:
    with openbao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with softhsm(tmp_path_factory.mktemp("hsm")) as told:
        yield told


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeysSettings:
    """The settings of one back end, ready for use."""
    kind = request.param
    told: dict[str, object] = {}
    if kind == "passphrase":
        told["passphrase_file"] = tmp_path / "words"
        (tmp_path / "words").write_text(WORDS + "\n")
        (tmp_path / "words").chmod(0o600)
    elif kind == "env":
        monkeypatch.setenv("TWIN_KEY_RING", SecretKeyRing.new().to_line())
    elif kind == "pkcs11":
        told = dict(request.getfixturevalue("token"))
    elif kind == "transit":
        server = request.getfixturevalue("bao")
        told = {"url": server.url, "token_file": server.token_file}
    return KeysSettings(kind=kind, **told)


FILED = ["file", "passphrase", "pkcs11", "transit"]


@pytest.mark.parametrize("settings", [*FILED, "env"], indirect=True)
def test_each_back_end_gives_the_same_ring_each_time(settings, tmp_path):
    first = kept_ring(settings, tmp_path).open(fresh=True)
    wrapped = first.wrap(b"k" * 32, b"x")
    again = kept_ring(settings, tmp_path).open(fresh=False)
    assert again.unwrap(wrapped, b"x") == b"k" * 32
    assert again.derive("blind-index") == first.derive("blind-index")
    assert wrapped[1:9].hex() == first.current, "the key store counts by this id"


@pytest.mark.parametrize("settings", FILED, indirect=True)
def test_a_new_key_is_seen_by_whoever_opened_the_ring_before(settings, tmp_path):
    early = kept_ring(settings, tmp_path).open(fresh=True)
    old = early.wrap(b"k" * 32, b"x")
    kept = kept_ring(settings, tmp_path)
    assert kept.add_key() != early.current
    late = kept.open(fresh=False)
    assert late.unwrap(old, b"x") == b"k" * 32
    assert early.unwrap(late.wrap(b"n" * 32, b"y"), b"y") == b"n" * 32, "it reads the file once more"
    assert early.current == late.current
    kept.drop_keys([old[1:9].hex()])
    late.reread()
    with pytest.raises(Sealed):
        late.unwrap(old, b"x")


@pytest.mark.parametrize("settings", ["passphrase", "pkcs11", "transit"], indirect=True)
def test_a_locked_file_shows_no_secret(settings, tmp_path):
    ring = kept_ring(settings, tmp_path).open(fresh=True)
    text = (tmp_path / "twin.key").read_text()
    for line in ring.secrets.to_text().splitlines()[2:]:
        assert line.split(" ")[2] not in text
    assert stat.S_IMODE((tmp_path / "twin.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("settings", ["passphrase", "pkcs11", "transit"], indirect=True)
def test_a_plain_file_is_locked_and_freed_again(settings, tmp_path):
    """And a plain file in the place of a locked one is refused: it is somebody's mistake, or worse."""
    before = kept_ring(KeysSettings(), tmp_path).open(fresh=True).secrets.to_text()
    with pytest.raises(BadSettings, match="protect"):
        kept_ring(settings, tmp_path).open(fresh=False)
    kept_ring(settings, tmp_path).protect(settings.kind, lock_of(settings.kind, settings))
    assert lock_words((tmp_path / "twin.key").read_text())[0] == settings.kind
    with pytest.raises(BadSettings, match="protect"):
        kept_ring(KeysSettings(), tmp_path).open(fresh=False)
    assert kept_ring(settings, tmp_path).open(fresh=False).secrets.to_text() == before
    freed = kept_ring(settings, tmp_path)
    assert freed.protect("file", None) == settings.kind
    assert (tmp_path / "twin.key").read_text() == before


@pytest.mark.parametrize("settings", ["passphrase"], indirect=True)
def test_another_passphrase_and_a_changed_file_are_told_in_the_same_words(settings, tmp_path):
    kept_ring(settings, tmp_path).open(fresh=True)
    text = (tmp_path / "twin.key").read_text()
    said = set()
    (tmp_path / "words").write_text("another five words than those")
    with pytest.raises(Sealed) as caught:
        kept_ring(settings, tmp_path).open(fresh=False)
    said.add(str(caught.value))
    (tmp_path / "words").write_text(WORDS)
    changed = {
        "salt": text.replace("p=4,", "p=4,AAAA"),
        "cost": text.replace("t=3", "t=2"),
        "body": text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:],
    }
    for other in changed.values():
        (tmp_path / "twin.key").write_text(other)
        with pytest.raises(Fault) as caught:
            kept_ring(settings, tmp_path).open(fresh=False)
        said.add(str(caught.value)) if isinstance(caught.value, Sealed) else None
    assert len(said) == 1
    assert WORDS not in said.pop()


def test_a_weak_passphrase_and_weak_or_hostile_costs_are_refused():
    with pytest.raises(BadSettings, match="12 characters"):
        PassphraseLock("short").close()
    lock = PassphraseLock(WORDS, Cost(memory=19 * 1024, passes=1, lanes=1))
    key, words = lock.close()
    assert lock.open(words) == key
    assert WORDS not in repr(lock)
    for hostile in (
        words.replace("m=19456", "m=8"),
        words.replace("m=19456", "m=99999999"),
        "scrypt,1,2,3,4",
        "",
        words + ",",
    ):
        with pytest.raises(BadSettings):
            lock.open(hostile)


def test_composed_and_decomposed_letters_are_one_passphrase():
    cost = Cost(memory=19 * 1024, passes=1, lanes=1)
    key, words = PassphraseLock("Schlüsselbund café", cost).close()
    assert PassphraseLock("Schlüsselbund café", cost).open(words) == key


def test_argon2id_is_that_of_rfc_9106():
    # Section 5.3
    tag = Argon2id(
        salt=bytes([2]) * 16,
        length=32,
        iterations=3,
        lanes=4,
        memory_cost=32,
        ad=bytes([4]) * 12,
        secret=bytes([3]) * 8,
    ).derive(bytes([1]) * 32)
    assert tag.hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"


@pytest.mark.parametrize("settings", ["transit"], indirect=True)
def test_the_key_server_is_followed_when_it_rotates_and_fails_closed(settings, tmp_path, bao):
    ring = kept_ring(settings, tmp_path).open(fresh=True)
    assert lock_words((tmp_path / "twin.key").read_text())[1].startswith("vault:v1:")
    bao.ask("POST", "transit/keys/fhirtwin/rotate")
    assert kept_ring(settings, tmp_path).open(fresh=False).current == ring.current, "older versions still open"
    kept_ring(settings, tmp_path).protect("transit", lock_of("transit", settings))
    assert lock_words((tmp_path / "twin.key").read_text())[1].startswith("vault:v2:")
    bao.ask("POST", "transit/keys/fhirtwin/config", {"min_decryption_version": 2})
    assert kept_ring(settings, tmp_path).open(fresh=False).current == ring.current

    strange = settings.model_copy(update={"key": "another"})
    bao.ask("POST", "transit/keys/another", {"type": "aes256-gcm96"})
    with pytest.raises(Sealed):
        kept_ring(strange, tmp_path).open(fresh=False)
    with pytest.raises(Fault, match="key server"):
        kept_ring(settings.model_copy(update={"mount": "nowhere"}), tmp_path).open(fresh=False)
    gone = settings.model_copy(update={"url": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable):
        kept_ring(gone, tmp_path).open(fresh=False)
    (tmp_path / "bad.token").write_text("guess")
    (tmp_path / "bad.token").chmod(0o600)
    with pytest.raises(Denied):
        kept_ring(settings.model_copy(update={"token_file": tmp_path / "bad.token"}), tmp_path).open(fresh=False)


@pytest.mark.parametrize("settings", ["transit"], indirect=True)
def test_what_the_key_server_locked_for_another_use_opens_nothing(settings, tmp_path, bao):
    kept_ring(settings, tmp_path).open(fresh=True)
    text = (tmp_path / "twin.key").read_text()
    other = bao.ask("POST", "transit/encrypt/fhirtwin", {"plaintext": "a" * 43 + "="})["data"]["ciphertext"]
    (tmp_path / "twin.key").write_text(text.replace(lock_words(text)[1], other))
    with pytest.raises(Sealed):
        kept_ring(settings, tmp_path).open(fresh=False)


@pytest.mark.parametrize("settings", ["pkcs11"], indirect=True)
def test_the_token_fails_closed(settings, tmp_path):
    kept_ring(settings, tmp_path).open(fresh=True)
    text = (tmp_path / "twin.key").read_text()
    words = lock_words(text)[1]
    (tmp_path / "twin.key").write_text(text.replace(words, words[:-6] + "AAAAA="))
    with pytest.raises(Fault):
        kept_ring(settings, tmp_path).open(fresh=False)
    (tmp_path / "twin.key").write_text(text)
    (tmp_path / "bad.pin").write_text("pin-0000")
    (tmp_path / "bad.pin").chmod(0o600)
    with pytest.raises(BadSettings, match="PIN"):
        kept_ring(settings.model_copy(update={"pin_file": tmp_path / "bad.pin"}), tmp_path).open(fresh=False)
    for change in ({"token": "other"}, {"label": "other"}):
        with pytest.raises(BadSettings, match="not there"):
            kept_ring(settings.model_copy(update=change), tmp_path).open(fresh=False)
    with pytest.raises(Unreachable):
        kept_ring(settings.model_copy(update={"module": tmp_path / "none.so"}), tmp_path).open(fresh=False)


def test_the_environment_cannot_be_changed_and_an_empty_one_opens_nothing(tmp_path, monkeypatch):
    kept = kept_ring(KeysSettings(kind="env", variable="MY_RING"), tmp_path)
    monkeypatch.delenv("MY_RING", raising=False)
    with pytest.raises(BadSettings, match="MY_RING"):
        kept.open(fresh=True)
    monkeypatch.setenv("MY_RING", SecretKeyRing.new().to_text())
    kept.open(fresh=False)
    with pytest.raises(BadSettings, match="cannot change"):
        kept.add_key()
    assert not list(tmp_path.iterdir()), "nothing of it is in a file"


def _exposed(change: str, folder: Path, file: Path) -> Path:
    """Do to a sound key file what a careless or hostile hand does. Returns the file to open."""
    if change.startswith("mode "):
        file.chmod(int(change[5:], 8))
    elif change == "another owner":
        os.chown(file, 65534, 65534)
    elif change == "folder for the group":
        folder.chmod(0o770)
    elif change == "folder for all":
        folder.chmod(0o777)
    elif change == "folder of another":
        os.chown(folder, 65534, 65534)
    elif change.startswith("link into"):
        away = folder / "away"
        away.mkdir(0o700)
        link = folder / "link.key"
        file.rename(away / "real.key")
        link.symlink_to(away / "real.key")
        away.chmod(0o770) if change.endswith("open folder") else (away / "real.key").chmod(0o640)
        return link
    return file


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
@pytest.mark.parametrize(
    "change",
    [
        *("mode 640", "mode 604", "mode 660", "mode 666", "another owner", "folder for the group", "folder for all"),
        *("folder of another", "link into an open folder", "link into an open file"),
    ],
)
def test_a_copied_key_file_with_the_wrong_owner_or_mode_is_refused(change, tmp_path):
    if "another" in change and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    folder = tmp_path / "keys"
    folder.mkdir(0o700)
    file = folder / "twin.key"
    FiledRing(RingFile(file), "file", lambda kind: None).open(fresh=True)
    opened = _exposed(change, folder, file)
    with pytest.raises(BadSettings) as caught:
        FiledRing(RingFile(opened), "file", lambda kind: None).open(fresh=False)
    assert caught.value.hint
    assert "fhirtwin-keys" not in str(caught.value)


def test_a_link_to_a_sound_file_is_followed_and_stays_a_link(tmp_path):
    vault = tmp_path / "vault"
    vault.mkdir(0o700)
    FiledRing(RingFile(vault / "real.key"), "file", lambda kind: None).open(fresh=True)
    (tmp_path / "twin.key").symlink_to(vault / "real.key")
    kept = kept_ring(KeysSettings(), tmp_path)
    kept.add_key()
    assert len(kept.open(fresh=False).ids) == 2
    assert (tmp_path / "twin.key").is_symlink()


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ({"kind": "transit"}, "url and token_file"),
        ({"kind": "pkcs11", "token": "t"}, "module and pin_file"),
        ({"kind": "transit", "url": "http://keys.example", "token_file": "t"}, "https"),
        ({"kind": "vault"}, "kind"),
        ({"variable": "lower case"}, "variable"),
        ({"mount": "../sys"}, "mount"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(told, missing):
    with pytest.raises(ValueError, match=missing):
        KeysSettings(**told)


def test_a_process_that_runs_refuses_the_ring_of_another_store(tmp_path):
    kept = kept_ring(KeysSettings(), tmp_path)
    running = kept.open(fresh=True)
    (tmp_path / "twin.key").write_text(SecretKeyRing.new().to_text())
    with pytest.raises(Sealed, match="another store"):
        running.reread()
    assert running.unwrap(running.wrap(b"k" * 32, b"x"), b"x") == b"k" * 32, "it goes on with what it has"


def test_what_is_retired_in_the_environment_is_named_for_whoever_sets_it(tmp_path, monkeypatch):
    ring = SecretKeyRing.new().with_new_key()
    monkeypatch.setenv("TWIN_KEY_RING", ring.to_line())
    kept = kept_ring(KeysSettings(kind="env"), tmp_path)
    with pytest.raises(BadSettings) as caught:
        kept.drop_keys([ring.ids[0]])
    assert f"key {ring.ids[0]}" in caught.value.hint
    assert ring.current not in caught.value.hint

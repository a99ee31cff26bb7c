from __future__ import annotations

import base64
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit.checkpoint import Signer, open_checkpoint
from security.errors import Misuse, Tampered

ROOT = bytes(range(32))
# RFC 8032 section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNER = Signer("log-1", SEED)
NOTE = SIGNER.sign(5, ROOT)


def test_the_public_key_is_that_of_rfc_8032_and_named_as_signed_note_wants():
    name, number, key = SIGNER.public_key.split("+", 2)
    assert name == "fhirtwin-audit/log-1"
    assert base64.b64decode(key) == b"\x01" + PUBLIC
    assert number == "81c88a93"  # golang.org/x/mod v0.42.0 sumdb/note, NewEd25519VerifierKey


def test_a_signed_checkpoint_is_read_back():
    checkpoint = open_checkpoint(NOTE, SIGNER.public_key)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == ("fhirtwin-audit/log-1", 5, ROOT)


def test_a_checkpoint_is_spelled_as_the_specification_says():
    lines = NOTE.split("\n")  # c2sp.org/tlog-checkpoint, c2sp.org/signed-note
    assert lines[:4] == ["fhirtwin-audit/log-1", "5", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("— fhirtwin-audit/log-1 ")
    assert lines[5:] == [""]
    assert len(base64.b64decode(lines[4].split(" ")[2])) == 4 + 64


def test_an_ed25519_signature_is_the_same_each_time_and_as_go_verifies_it():
    assert SIGNER.sign(5, ROOT) == NOTE
    # golang.org/x/mod v0.42.0 sumdb/note.Open accepted exactly this text with the key above.
    assert NOTE.split()[-1] == (
        "gciKk4tmyfPUBGB+FBCC7ioXWN1B3yyJQ6JPajDcwmceyFsNubTm3hxceljJ10fJtORBE/PlbzblVrz8K8jJnlVeUA8="
    )


@given(st.data())
def test_a_checkpoint_with_any_changed_character_is_refused(data):
    place = data.draw(st.integers(0, len(NOTE) - 1))
    other = data.draw(st.characters(exclude_characters=NOTE[place], exclude_categories=["Cs"]))
    with pytest.raises(Tampered):
        open_checkpoint(NOTE[:place] + other + NOTE[place + 1 :], SIGNER.public_key)


TEXT, SIGNATURE = NOTE.split("\n\n")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        TEXT,
        f"{TEXT}\n\n",
        NOTE.rstrip("\n"),
        NOTE + "\n",
        NOTE.replace("\n5\n", "\n05\n"),
        NOTE.replace("\n5\n", "\n+5\n"),
        NOTE.replace("\n5\n", "\n٥\n"),
        NOTE.replace("\n5\n", "\n6\n"),
        NOTE.replace("\n", "\r\n"),
        f"{TEXT}\nextension\n\n{SIGNATURE}",
        f"{TEXT}\n\n{SIGNATURE * 17}",
        NOTE + "-- not a signature\n",
        "x" * 20_000 + NOTE,
    ],
)
def test_what_we_would_not_write_is_not_read(note):
    with pytest.raises(Tampered):
        open_checkpoint(note, SIGNER.public_key)


def test_another_spelling_of_the_same_root_is_refused():
    line = base64.b64encode(ROOT).decode()
    bent = line[:-2] + chr(ord(line[-2]) + 1) + "="  # trailing bits that decode to the same 32 bytes
    assert base64.b64decode(bent) == ROOT
    with pytest.raises(Tampered):
        open_checkpoint(NOTE.replace(line, bent), SIGNER.public_key)


def test_a_checkpoint_of_another_log_or_by_another_key_is_refused():
    for other in (Signer("log-2", SEED), Signer("log-1", b"s" * 32)):
        with pytest.raises(Tampered):
            open_checkpoint(other.sign(5, ROOT), SIGNER.public_key)


def test_a_witness_may_sign_beside_us_but_not_instead():
    witness = Signer("witness", b"w" * 32).sign(5, ROOT).split("\n\n")[1]
    assert open_checkpoint(NOTE + witness, SIGNER.public_key).size == 5
    with pytest.raises(Tampered):
        open_checkpoint(f"{TEXT}\n\n{witness}", SIGNER.public_key)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b+c", SIGNER.public_key[:-5], SIGNER.public_key.replace("log-1", "log-2")]
)
def test_a_public_key_that_is_damaged_is_told_apart_from_a_changed_log(text):
    with pytest.raises(Misuse):
        open_checkpoint(NOTE, text)


def test_the_signing_key_does_not_show():
    assert SEED.hex() not in repr(SIGNER)
    assert base64.b64encode(SEED).decode() not in repr(SIGNER)
    with pytest.raises(TypeError):
        pickle.dumps(SIGNER)


@pytest.mark.parametrize("log_id", ["", "a b", "a+b", "a\nb", "ä"])
def test_a_log_id_that_would_break_the_note_is_refused(log_id):
    with pytest.raises(ValueError, match="log id"):
        Signer(log_id, SEED)

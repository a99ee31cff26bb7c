"""Signed statements (receipts, manifests): nobody without the key writes one, and none is taken for a checkpoint."""

from __future__ import annotations

import pytest

from security.audit import Signer, open_checkpoint
from security.audit.statement import open_statement, sign_statement
from security.errors import Misuse, Tampered

SIGNER = Signer("log1", bytes(range(32)))
LINES = [("twin", "a: b"), ("key", "1"), ("key", "2"), ("empty", "")]


def test_a_statement_comes_back_as_it_was_signed():
    note = sign_statement(SIGNER, "fhirtwin backup 1", LINES)
    statement = open_statement(note, SIGNER.public_key, "fhirtwin backup 1")
    assert list(statement.lines) == LINES
    assert (statement.get("twin"), statement.all("key")) == ("a: b", ("1", "2"))
    for name in ("key", "nothing"):
        with pytest.raises(Tampered):
            statement.get(name)


def test_each_changed_letter_another_title_and_another_key_are_noticed():
    note = sign_statement(SIGNER, "fhirtwin backup 1", LINES)
    for place, letter in enumerate(note):
        changed = note[:place] + ("x" if letter != "x" else "y") + note[place + 1 :]
        with pytest.raises(Tampered):
            open_statement(changed, SIGNER.public_key, "fhirtwin backup 1")
    with pytest.raises(Tampered):
        open_statement(note, SIGNER.public_key, "fhirtwin export 1")
    for other in (Signer("log1", bytes(32)), Signer("log2", bytes(range(32)))):
        with pytest.raises(Tampered):
            open_statement(note, other.public_key, "fhirtwin backup 1")
    with pytest.raises(Misuse):
        open_statement(note, "no key", "fhirtwin backup 1")


def test_a_checkpoint_is_no_statement_and_a_statement_no_checkpoint():
    with pytest.raises(Tampered):
        open_checkpoint(sign_statement(SIGNER, "fhirtwin backup 1", LINES), SIGNER.public_key)
    with pytest.raises(Tampered):
        open_statement(SIGNER.sign(1, bytes(32)), SIGNER.public_key, "fhirtwin backup 1")
    with pytest.raises(ValueError, match="note"):
        SIGNER.sign_note("fhirtwin-audit/log1\n1\nAAAA\n")


@pytest.mark.parametrize("line", [("", "x"), ("a b", "x"), ("a", "x\ny"), ("a", "x\r"), ("ä", "x"), ("a", "\u202e")])
def test_a_value_stays_in_its_line(line):
    with pytest.raises(ValueError, match="printable"):
        sign_statement(SIGNER, "fhirtwin backup 1", [line])

"""Signed statements: what this installation says of itself, under the key that signs its audit log.

A statement is a text of lines "name: value" below a title, as a C2SP signed note (c2sp.org/signed-note), so that Go's
golang.org/x/mod/sumdb/note reads it as well. Its title never begins like the origin of a checkpoint, so that neither
can be taken for the other.

    fhirtwin erasure receipt 1
    receipt: 0b9c…
    twin: 3fa90c12-…

    — fhirtwin-audit/LOG-ID BASE64(KEY-ID ‖ ED25519-SIGNATURE)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from security.audit.checkpoint import Signer
from security.audit.notes import read_note, read_public_key
from security.errors import Tampered

__all__ = ["Statement", "Title", "open_statement", "sign_statement"]

Title = Literal["fhirtwin erasure receipt 1", "fhirtwin backup 1", "fhirtwin key copy 1", "fhirtwin export 1"]
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature was checked: its title and its lines in order; a name may come several times."""

    title: str
    lines: Values

    def get(self, name: str) -> str:
        """Return the value of a name that stands there once. Raises `Tampered` where it does not: we write it once."""
        found = self.all(name)
        if len(found) != 1:
            raise Tampered("A signed statement lacks what it has to say.", hint="Get it from where it was kept again.")
        return found[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a name."""
        return tuple(value for key, value in self.lines if key == name)


def sign_statement(signer: Signer, title: Title, lines: Iterable[tuple[str, str]]) -> str:
    """Write and sign a statement. Raises `ValueError` for a value that would not stay in its line."""
    told = list(lines)
    for name, value in told:
        if not name or not name.replace("-", "").isalnum() or not name.isascii() or not value.isprintable():
            raise ValueError("a statement has lines of a name and a printable value")
    return signer.sign_note("".join([f"{title}\n", *(f"{name}: {value}\n" for name, value in told)]))


def open_statement(note: str, public_key: str, title: Title) -> Statement:
    """Read a statement and check who signed it. Raises `Tampered` for another title, another key or other words."""
    key = read_public_key(public_key)
    try:
        text, signatures = read_note(note)
        [ours] = [signature for signature in signatures if key.made(signature)]
        if not key.verifies(ours.raw, text.encode()):
            raise ValueError("not its signature")
        first, *lines = text.split("\n")[:-1]
        values = tuple(line.split(": ", 1) for line in lines)
        if first != title or any(len(value) != 2 for value in values):
            raise ValueError("not such a statement")
    except ValueError as error:
        raise Tampered(
            f"This is no {title.removeprefix('fhirtwin ')[:-2]} that was signed with this key.",
            hint="Check file and public key; if both are right, somebody without the signing key wrote or changed it.",
            detail=error,
        ) from error
    return Statement(first, tuple((name, value) for name, value in values))

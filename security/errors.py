"""The faults we foresee. Every one tells what happened and what to do, and holds no patient data.

Fault
├── Misuse           the user asked for something that cannot be (exit 2)
│   ├── UnknownName  a name that we do not know; lists the nearest known ones
│   └── BadSettings  twin.toml, a flag or a variable is not usable
├── NotFhir          what came is not FHIR, or not the FHIR that was told
├── Unreachable      the server did not answer, or asks us to come back later (exit 3)
├── Refused          the server answered and said no
├── TooLarge         an answer or a file goes over our limits (gateway.pull)
├── Denied           our own policy, or the server's scopes, said no (exit 4)
├── Sealed           a sealed value does not open: wrong key, or changed bytes
│   └── Erased       its key was destroyed, on purpose: it will never open again
├── Tampered         the audit log is not what was signed
├── StoreFull        the disk is full, or the store cannot be written (exit 3)
└── Diverged         a model gave numbers that are no numbers
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "BadSettings",
    "Denied",
    "Diverged",
    "Erased",
    "Fault",
    "Misuse",
    "NotFhir",
    "Refused",
    "Sealed",
    "StoreFull",
    "Tampered",
    "UnknownName",
    "Unreachable",
]


class Fault(Exception):
    """A failure that we foresee.

    `message` and `hint` may be shown and logged and hold no patient data. `detail` may hold some: it is shown only to
    a person at a terminal who asked with `--debug`, and is never part of `str(fault)`.
    """

    code: ClassVar[str] = "fault"  # stable and documented; tests match this, never the prose
    issue: ClassVar[str] = "exception"  # FHIR issue-type, for an OperationOutcome
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", detail: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Misuse(Fault):
    """The user asked for something that cannot be."""

    code = "misuse"
    issue = "invalid"
    exit_status = 2


class UnknownName(Misuse):
    """A name that we do not know."""

    code = "unknown-name"
    issue = "not-found"

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3)
        said = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none yet'}."
        super().__init__(f"There is no {what} of that name.", hint=said, detail=name)


class BadSettings(Misuse):
    """twin.toml, a flag or a variable is not usable."""

    code = "bad-settings"


class NotFhir(Fault):
    """What came is not FHIR, or not the FHIR that was told."""

    code = "not-fhir"
    issue = "structure"


class Unreachable(Fault):
    """The server did not answer, or asked us to come back later."""

    code = "unreachable"
    issue = "transient"
    retryable = True
    exit_status = 3


class Refused(Fault):
    """The server answered and said no."""

    code = "refused"
    issue = "processing"


class Denied(Fault):
    """Our own policy, or the scopes that a server granted, said no."""

    code = "denied"
    issue = "forbidden"
    exit_status = 4


class Sealed(Fault):
    """A sealed value does not open: the key is another one, or the bytes were changed or moved."""

    code = "sealed"
    issue = "security"


class Erased(Sealed):
    """The key of what is sealed was destroyed on purpose: nothing of it will ever be read again."""

    code = "erased"
    issue = "deleted"


class Tampered(Fault):
    """The audit log is not what was signed."""

    code = "tampered"
    issue = "security"


class StoreFull(Fault):
    """The disk is full, or the store cannot be written."""

    code = "store-full"
    issue = "no-store"
    retryable = True
    exit_status = 3


class Diverged(Fault):
    """A model gave numbers that are no numbers: the run stops rather than show them."""

    code = "diverged"
    issue = "processing"

"""What happened, as a value: who did what to whose record, when, why and how it ended. References, never content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Access", "Outcome", "System"]

Outcome = Literal["0", "4", "8", "12"]
"""R4 audit-event-outcome: success; minor failure (may be tried again); serious failure (refused); major failure."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_REFERENCE = re.compile(
    r"(urn:uuid:[0-9a-f-]{36}|(https?://\S+/)?[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?)"
)
_PLAIN = re.compile(r"[^\s\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]{1,512}")


@dataclass(frozen=True, slots=True)
class System:
    """A program or machine that takes part: what it is called, where it is reached, and its version where we know it.

    `address` is a base URL, an IP address or a host name, never a URL with an id in it.
    """

    name: str
    address: str
    version: str = ""

    def __post_init__(self) -> None:
        _demand(_PLAIN, self.name, self.address, *([self.version] if self.version else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One thing that happened, told to the audit log before its result leaves.

    Parameters
    ----------
    when
        The instant, with its zone.
    actor
        The person (or the job of a person) who asked: a user id. There is no ambient "system" user.
    purpose
        Why: a code of HL7 v3-ActReason (TREAT, HOPERAT, HRESCH, ETREAT, PATRQT ...).
    system
        This installation.
    peer
        The EHR, authorization server, folder or browser on the other side; `None` where there is none.
    patient
        Twin id, a pseudonym; "" where no single patient is concerned.
    what
        References to the resources concerned ("Observation/12/_history/3"); the first is the main one.
    query
        The request as sent, without credentials.
    request_id
        X-Request-Id, which joins our event to the EHR's.
    basis
        What allowed it (or did not): scopes, separated by spaces, or the code of a rule.
    outcome, reason
        How it ended; `reason` is a stable code, and is given exactly where the outcome is a failure.

    A free text where a code or a reference belongs is refused with a `ValueError`: it could carry content.
    """

    when: datetime
    actor: str
    purpose: str
    system: System
    peer: System | None = None
    patient: str = ""
    what: tuple[str, ...] = ()
    query: bytes = b""
    request_id: str = ""
    basis: str = ""
    outcome: Outcome = "0"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.when.tzinfo is None:
            raise ValueError("an audit event needs an instant with its zone")
        if (self.outcome == "0") is bool(self.reason):
            raise ValueError("a failure has a reason, a success has none")
        _demand(_CODE, self.purpose, *([self.reason] if self.reason else []))
        _demand(_PLAIN, self.actor, *self.basis.split(), *(t for t in (self.request_id,) if t))
        _demand(_REFERENCE, *self.what, *([f"Patient/{self.patient}"] if self.patient else []))


def _demand(pattern: re.Pattern[str], *texts: str) -> None:
    if not all(pattern.fullmatch(text) for text in texts):
        raise ValueError("an audit event holds codes, names and references only")  # without the text: it may be content

"""What happened, as a value: who did what to whose record, when, why and how it ended. References, never content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from security.plain import demand_plain

__all__ = ["Access", "Outcome", "System", "TokenUse", "demand_references"]

Outcome = Literal["0", "4", "8", "12"]
"""R4 audit-event-outcome: success; minor failure (may be tried again); serious failure (refused); major failure."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_REFERENCE = re.compile(
    r"(urn:uuid:[0-9a-f-]{36}|(https?://[!-~]{1,400}/)?[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}"
    r"(/_history/[A-Za-z0-9.-]{1,64})?)"
)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class System:
    """A program or machine that takes part: what it is called, where it is reached, and its version where we know it.

    `address` is a base URL, an IP address or a host name, never a URL with an id in it.
    """

    name: str
    address: str
    version: str = ""

    def __post_init__(self) -> None:
        demand_plain(self.name, self.address, self.version or "-")


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The access token with which something was asked: what of it may be kept (`security.audit.tokens` makes it).

    `mark` is the `urn:ietf:params:oauth:jti:` of the token, or, for an opaque one, its last 32 characters or a keyed
    hash. `client_id`, `issuer` and `user` are told where the token says them.
    """

    mark: str
    client_id: str = ""
    issuer: str = ""
    user: str = ""

    def __post_init__(self) -> None:
        demand_plain(self.mark, *(text for text in (self.client_id, self.issuer, self.user) if text))


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
        Why: a code of HL7 v3-ActReason (TREAT, HOPERAT, HRESCH, ETREAT, BTG, PATRQT ...).
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
    token
        The access token with which it was asked, where there was one.
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
    token: TokenUse | None = None
    outcome: Outcome = "0"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.when.tzinfo is None:
            raise ValueError("an audit event needs an instant with its zone")
        if (self.outcome == "0") is bool(self.reason):
            raise ValueError("a failure has a reason, a success has none")
        demand_plain(self.actor, self.request_id or "-")
        if self.basis:
            demand_plain(*self.basis.split())
        matched = _CODE.fullmatch(self.purpose) and (not self.reason or _CODE.fullmatch(self.reason))
        if not (
            matched and (not self.patient or _ID.fullmatch(self.patient)) and all(map(_REFERENCE.fullmatch, self.what))
        ):
            raise ValueError(
                "an audit event holds codes, names and references only"
            )  # without the text: it may be content


def demand_references(references: Sequence[str]) -> Sequence[str]:
    """Return references, or raise a `ValueError` where one of them is free text."""
    if not all(map(_REFERENCE.fullmatch, references)):
        raise ValueError("an audit event holds codes, names and references only")
    return references

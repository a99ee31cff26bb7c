"""Breaking the glass: a person with the right opens a record past its consents, for a reason, for a short time.

What they do meanwhile is marked in the audit with the purpose BTG, and waits for a review, which outlives the grant.
What they wrote as the reason is sealed in the register, and never in the audit, which keeps a code.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from gateway.home import Home
from gateway.store import Store
from gateway.store.audited import Events
from security.audit import Access, break_glass_event, read_event
from security.audit.entry import Entry, read_entry
from security.audit.search import Criterion, Span
from security.policy import Caller

__all__ = ["REASONS", "Broken", "Glass", "Review", "begin", "events_of", "glass_of", "keep", "queue", "reviewed"]

REASONS: Final[Mapping[str, str]] = {
    "ETREAT": "a life-threatening emergency",
    "PATSFTY": "the patient cannot be asked, and would be harmed by waiting",
    "THREAT": "danger for others",
    "OTHER": "another reason, which is told in words",
}
"""Why a glass may be broken: codes of HL7 v3-ActReason, and OTHER."""

_GRANT: Final = "glass"
_REVIEW: Final = "glass-review"
_KEPT: Final = timedelta(days=366)  # how long a review can be looked up here; the audit log keeps it for good
_AT_ONCE: Final = 500

Verdict = Literal["justified", "breach", "unclear"]


class Glass(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One grant. `id` begins with the id of the twin whose record it opens; `text` is what its user wrote."""

    id: str
    twin: str
    tenant: str
    user: str
    client: str
    roles: tuple[str, ...]
    reason: str
    text: str
    since: datetime
    until: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be looked into, and what came out; "" before."""

    glass: Glass
    verdict: str = ""
    reviewer: str = ""
    when: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """One access that waits for its review.

    `event` is the number of its event in the audit log, `events` count those under it, `resources` the different
    resources that were seen or changed.
    """

    glass: Glass
    event: int
    events: int
    resources: int


def begin(
    caller: Caller, twin: str, reason: str, text: str, now: datetime, minutes: int, roles: tuple[str, ...]
) -> Glass:
    """Make a grant for one twin. Raises `ValueError` for a reason that is none."""
    if reason not in REASONS or not text.strip():
        raise ValueError("a glass is broken for a reason that is told")
    return Glass(
        id=f"{twin}.{secrets.token_hex(8)}",
        twin=twin,
        tenant=caller.tenant,
        user=caller.user,
        client=caller.client,
        roles=tuple(roles),
        reason=reason,
        text=text.strip(),
        since=now,
        until=now + timedelta(minutes=minutes),
    )


def keep(store: Store, glass: Glass, events: Events) -> None:
    """Make a grant hold, put it into the queue for review, and record it: all of it or nothing."""
    name = _name(glass.tenant, glass.user, glass.twin)
    with store.transaction():
        store.register(_REVIEW, glass.id, msgspec.msgpack.encode(Review(glass=glass)), glass.since)
        before = store.registered(_GRANT, name, glass.since)
        after = before.revision if before else 0
        store.register(
            _GRANT, name, msgspec.msgpack.encode(glass), glass.since, after=after, until=glass.until, events=events
        )


def glass_of(store: Store, caller: Caller, twin: str, now: datetime) -> Caller:
    """Return a caller as who broke the glass of a twin, where they did and it still holds; else as they were.

    Their purpose is then BTG, and their scopes and roles what they were. A client that acts for itself breaks none.
    """
    if not caller.user or not twin:
        return caller
    found = store.registered(_GRANT, _name(caller.tenant, caller.user, twin), now)
    if found is None:
        return caller
    glass = msgspec.msgpack.decode(found.content, type=Glass)
    holds = glass.until > now and glass.twin == twin and glass.user == caller.user and caller.roles & set(glass.roles)
    return replace(caller, purpose="BTG", glass=glass.id) if holds else caller


def queue(home: Home, now: datetime) -> list[Broken]:
    """List what waits for a review, oldest first. That it was asked is recorded."""
    home.store.append_audit([read_event(home.access(what=("Basic/break-glass",)))])
    waiting = (msgspec.msgpack.decode(each.content, type=Review) for each in home.store.registered_all(_REVIEW, now))
    return [_counted(home, review.glass) for review in waiting if not review.verdict]


def reviewed(home: Home, number: int, verdict: Verdict, now: datetime) -> None:
    """Note in the queue what came out for event `number`, where that broke a glass. Call it in a transaction."""
    found = home.store.audit_event(number)
    references = read_entry(number, found.event).resources if found else ()
    for reference in references:
        entry = home.store.registered(_REVIEW, reference.removeprefix("Basic/"), now)
        if entry is not None:
            review = msgspec.msgpack.decode(entry.content, type=Review)
            done = msgspec.structs.replace(review, verdict=verdict, reviewer=home.actor, when=now)
            home.store.register(
                _REVIEW,
                entry.name,
                msgspec.msgpack.encode(done),
                now,
                after=entry.revision,
                until=now + _KEPT,
            )


def events_of(glass: Glass, access: Callable[..., Access]) -> list[dict[str, Any]]:
    """Make the events of a grant; `access` begins them. What the user wrote is in none."""
    begun = access(patient=glass.twin, purpose="BTG", what=(f"Basic/{glass.id}",))
    return [break_glass_event(begun, justification=glass.reason)]


def _counted(home: Home, glass: Glass) -> Broken:
    actor = f"user:{glass.user}"
    event, events, seen = 0, 0, set[str]()
    for number, entry in _entries(home, glass):
        if entry.kind == "break-glass" and f"Basic/{glass.id}" in entry.resources:
            event = number
        elif entry.kind != "break-glass" and entry.actor == actor and entry.purpose == "BTG":
            events += 1
            seen.update(entry.resources)
    return Broken(glass, event, events, len(seen))


def _entries(home: Home, glass: Glass) -> Iterator[tuple[int, Entry]]:
    below: int | None = None
    span = Span(glass.since - timedelta(minutes=1), glass.until + timedelta(minutes=5))
    while below != 0:
        page = home.store.search_audit([Criterion("patient", (glass.twin,))], span, limit=_AT_ONCE, below=below)
        yield from ((entry.sequence, read_entry(entry.sequence, entry.event)) for entry in page.entries)
        below = page.next


def _name(tenant: str, user: str, twin: str) -> str:
    return f"{tenant}\n{user}\n{twin}"

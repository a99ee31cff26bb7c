"""How one subscription stands: which events came, what is still owed, and what the EHR last said of it.

A value that its caller keeps, encrypted, because references are patient data. All that is owed is in it, so that after
a crash `due` names the same work again and nothing is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.stream.subscriptions.gaps import Ranges, missing
from gateway.stream.subscriptions.status import Status

__all__ = ["COUNTS", "Mark", "Owed", "Rules", "Standing", "Wait", "load_standing"]

COUNTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "duplicate": "An event came again under its number; it was dropped.",
        "renumbered": "An event came under two numbers; $events was asked which is right.",
        "number-reused": "Another event came under a number that was taken; it was kept, and $status asked.",
        "misnumbered": "A number was beyond the EHR's own count, or older than its place; it was not believed.",
        "out-of-order": "An event came behind one with a higher number.",
        "came-by-search": "An event came that a search had covered; it was dropped.",
        "overtaken": "An event came behind a newer one about the same resource; it must not become current.",
        "no-event-number": "An event came without a number; it was kept.",
        "no-event": "An event notification came without an event.",
        "no-count": "A status came without the number of events.",
        "gap": "Events were missing; $events was asked for them.",
        "too-much-missing": "More is missing than we ask for one by one; a search was made.",
        "events-not-kept": "$events did not have what was missing; a search was made.",
        "no-events": "The EHR has no $events; a search was made.",
        "empty": "A notification told only that something happened; a search was made.",
        "no-status": "$status was not answered; a search was made.",
        "count-went-back": "The EHR counts from the start again; a search was made.",
        "silent": "Nothing was sent to us while there were events; the subscription was asked for again.",
        "gone": "The EHR no longer has the subscription; another one was asked for.",
        "not-taken": "The EHR did not take the subscription; a search was made.",
        "renewed": "The subscription was asked for again.",
        "not-there": "A resource that an event names is not there any more, or not for us.",
        "foreign-focus": "An event names something that does not lie at this EHR; it was not fetched.",
    }
)
"""What is counted, for the ledger of the stream."""

_KEPT_MARKS = 128  # of the newest events: a duplicate comes soon after its first or never
_MOST_GAPS = 20
_WIDEST_GAP = 1000  # events that we ask for by number; behind that a search is cheaper for both


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What one event was, in hashes ("" for what it did not tell): about what, when, with which content.

    `number` is 0 where it came without one, or under one that cannot be its own. `at` is the instant that `when` tells.
    `is_sure` says that its number came from `$events`, which looks it up, and not from a notification.
    """

    number: int
    focus: str
    when: str
    content: str
    is_sure: bool = False
    at: datetime | None = None


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """A reference to fetch; `serial` tells two needs of the same reference apart."""

    serial: int
    reference: str


class Wait(msgspec.Struct, frozen=True, array_like=True):
    """How often something failed in a row, and until when it is not tried again."""

    tries: int
    until: datetime


class Rules(msgspec.Struct, frozen=True):
    """How patient we are, in seconds.

    Parameters
    ----------
    heartbeat
        The heartbeat that was asked for; 0 where none was.
    slack
        How late a heartbeat may be.
    quiet
        How long nothing may come where there is no heartbeat.
    grace
        How long a missing event may still be on its way (errors.html: "waited an amount of time to ensure").
    again, longest
        First and longest pause after a failure; doubled each time.
    """

    heartbeat: int = 60
    slack: float = 15.0
    quiet: float = 900.0
    grace: float = 2.0
    again: float = 30.0
    longest: float = 3600.0

    @property
    def silence(self) -> timedelta:
        """After how long without a sign we ask."""
        return timedelta(seconds=self.heartbeat + self.slack if self.heartbeat else self.quiet)


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The standing of one subscription. `Standing(since=...)` is one that is still to be asked for.

    Parameters
    ----------
    subscription
        Its id at the EHR, "" until that is known.
    taken, told
        The event numbers that came, and the highest number that the EHR said there is.
    sure
        How many events the EHR counted when it told no event along with it: an event may come with a wrong number and
        a wrong count, and a search covers only what had happened.
    marks
        What the newest events were, newest last.
    heard
        When anything last was sent to us, by our clock.
    since, latest
        By the EHR's clock: all that changed up to `since` is in; `latest` is the newest change that we know of.
    fetch, search
        What is owed: references to fetch, and the serial of the newest reason to search again (0: none).
    verified
        The newest search before which `$status` was asked for its count.
    searched, searched_until
        The last search covers events up to this number that happened up to this instant (the EHR's clock).
    gap_since
        When the present gap was first seen.
    in_doubt, is_broken
        Whether numbers contradict each other, and whether the EHR does not send what it has.
    has_events
        Whether the EHR answers `$events`.
    """

    subscription: str = ""
    status: Status = "off"
    taken: Ranges = ()
    told: int = 0
    sure: int = 0
    marks: tuple[Mark, ...] = ()
    heard: datetime | None = None
    since: datetime | None = None
    latest: datetime | None = None
    serial: int = 0
    fetch: tuple[Owed, ...] = ()
    search: int = 0
    verified: int = 0
    searched: int = 0
    searched_until: datetime | None = None
    gap_since: datetime | None = None
    in_doubt: bool = False
    is_broken: bool = False
    has_events: bool = True
    waits: dict[str, Wait] = {}
    counts: dict[str, int] = {}

    @property
    def gaps(self) -> Ranges:
        """The event numbers that are missing."""
        return missing(self.taken, self.told)

    @property
    def is_whole(self) -> bool:
        """Say whether nothing is missing and nothing owed."""
        return not (self.gaps or self.fetch or self.search or self.in_doubt)

    def restarted(self, subscription: str) -> Standing:
        """Begin to count again for another subscription; what is owed stays owed."""
        return msgspec.structs.replace(
            self,
            subscription=subscription,
            taken=(),
            told=0,
            sure=0,
            marks=(),
            searched=0,
            searched_until=None,
            gap_since=None,
            in_doubt=False,
        )

    def counted(self, *reasons: str) -> Standing:
        """Count reasons."""
        if not reasons:
            return self
        counts = dict(self.counts)
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
        return msgspec.structs.replace(self, counts=counts)

    def owing(self, *references: str) -> Standing:
        """Owe a fetch of each reference."""
        owed = tuple(Owed(self.serial + place, each) for place, each in enumerate(references, 1))
        return msgspec.structs.replace(self, serial=self.serial + len(owed), fetch=(*self.fetch, *owed))

    def searching(self, reason: str) -> Standing:
        """Owe a search, and count why."""
        return msgspec.structs.replace(self, serial=self.serial + 1, search=self.serial + 1).counted(reason)

    def marked(self, mark: Mark) -> Standing:
        """Remember what an event was."""
        return msgspec.structs.replace(self, marks=(*self.marks, mark)[-_KEPT_MARKS:])

    def failed(self, kind: str, now: datetime, rules: Rules) -> Standing:
        """Put off what failed: each time for twice as long."""
        tries = self.waits[kind].tries + 1 if kind in self.waits else 1
        pause = min(rules.longest, rules.again * 2 ** min(tries - 1, 20))
        waits = {**self.waits, kind: Wait(tries, now + timedelta(seconds=pause))}
        return msgspec.structs.replace(self, waits=waits)

    def succeeded(self, kind: str) -> Standing:
        """Forget the failures of a kind."""
        return msgspec.structs.replace(self, waits={name: wait for name, wait in self.waits.items() if name != kind})

    def balanced(self, now: datetime) -> Standing:
        """Close a step: turn gaps that cannot be asked for into a search, and move `since` where nothing is missing."""
        gaps = self.gaps
        found = msgspec.structs.replace(self, gap_since=(self.gap_since or now) if gaps else None)
        wide = sum(last - first + 1 for first, last in gaps)
        if wide > _WIDEST_GAP or len(gaps) > _MOST_GAPS:
            # A number that jumps so far is as likely wrong as right: what the EHR itself counts decides.
            if not found.search:
                found = msgspec.structs.replace(found, in_doubt=True).searching("too-much-missing")
        elif gaps and not found.has_events and not found.search:
            found = found.searching("no-events")
        if found.is_whole and found.latest is not None:
            found = msgspec.structs.replace(found, since=max(found.since or found.latest, found.latest))
        return found


def load_standing(kept: bytes) -> Standing:
    """Read what `msgspec.json.encode` wrote of a standing."""
    return msgspec.json.decode(kept, type=Standing)

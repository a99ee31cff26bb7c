"""What a subscription asks of its caller, and what may come of it: values, so that each decision is tested alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.stream.subscriptions.notification import Notification
from gateway.stream.subscriptions.standing import Owed

__all__ = [
    "Action",
    "AskStatus",
    "CatchUp",
    "Failed",
    "Fetch",
    "Fetched",
    "Gone",
    "Outcome",
    "Poll",
    "Polled",
    "Renew",
    "Renewed",
    "Said",
]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read these references from the EHR (an id-only notification). Patient data, no part of the `repr`."""

    owed: tuple[Owed, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Ask `$events` for the events from `first` to `last`, both inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Ask `$status`: nothing was sent to us for too long, or numbers contradict each other.

    `told` and `whole` are what we held when we asked: an answer is the EHR's last word only where nothing came since.
    """

    told: int
    whole: int
    is_silent: bool


@dataclass(frozen=True, slots=True)
class Poll:
    """Search the topic's types again for what changed since (`None`: everything), which covers events to `through`."""

    since: datetime | None
    through: int
    serial: int


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask for the subscription again: under its id, or `anew` where the EHR ended or lost it."""

    anew: bool


Action = Fetch | CatchUp | AskStatus | Poll | Renew


@dataclass(frozen=True, slots=True)
class Said:
    """The EHR answered with a status or with events."""

    notification: Notification = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Serials of what was settled: read and stored, or found not to be there (`absent`), or not the EHR's (`foreign`).

    What is in none of the three is still owed.
    """

    read: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Polled:
    """A search was walked to its end; `until` is the newest `meta.lastUpdated` that it brought."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """The EHR holds the subscription, under this id."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The EHR does not have the subscription."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work; `code` is the fault's, `is_final` says that asking again will not help."""

    code: str
    is_final: bool = False


Outcome = Said | Fetched | Polled | Renewed | Gone | Failed

"""How an EHR that tells what changes goes wrong at it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mischief", "is_turn"]


@dataclass(frozen=True, slots=True)
class Mischief:
    """What goes wrong; 0 and `None` are never. "Every n" counts the event notifications of one subscription.

    Parameters
    ----------
    drop_every, duplicate_every
        Each nth notification is not sent, or sent twice.
    swap_every
        Each nth is sent behind the next one.
    misnumber_every
        Each nth carries a number that is too high by three, and a count that is as wrong.
    silent_after
        Seconds from the start after which nothing is sent, heartbeats neither, while the status stays active
        (hapi-fhir#6002: subscriptions give up after about a minute).
    error_after
        The subscription goes to error behind this many events, once.
    restart_after
        Counts from 1 again behind this many events, once, as a server that forgot its counter.
    keeps
        How many events `$events` still has; `None` for all, 0 for a server without `$events`.
    has_status
        Whether `$status` is there.
    is_curt
        No handshake; events tell no instant, numbers come as numbers, and references are relative and name a version
        (HAPI 8.6, as seen). For R4B and R5.
    wants_answer
        A 2xx with nothing to read counts as a failure, but for 204 (hapi-fhir-jpaserver-starter#677).
    """

    drop_every: int = 0
    duplicate_every: int = 0
    swap_every: int = 0
    misnumber_every: int = 0
    silent_after: float | None = None
    error_after: int = 0
    restart_after: int = 0
    keeps: int | None = None
    has_status: bool = True
    is_curt: bool = False
    wants_answer: bool = False


def is_turn(every: int, number: int) -> bool:
    """Say whether something that happens every nth time happens at this number."""
    return bool(every) and number % every == 0

"""When a delivery that failed is tried again, when it is given up, and for how long a source is left alone."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from gateway.deliver.approval import read_decision
from gateway.deliver.ended import Ended
from gateway.deliver.refusal import Refusal
from gateway.pull.network import NotSent
from gateway.pull.retry import ComeBackLater, OutOfOrder
from gateway.store import Delivery
from security.errors import Fault

__all__ = ["SourceRests", "is_given_up", "rest_after", "try_again_at"]

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 1800.0
_LEAST_TRIES: Final = 5  # however late it is: a server that was away for long is tried these times all the same
_REST_S: Final = 60.0  # where something has to be put right by a person
_PASSES_S: Final = 5.0  # where it may pass by itself
_LATER: Final = frozenset({425, 429})
_dice: Final = random.Random()  # noqa: S311 - jitter, not a secret


class SourceRests(Exception):
    """Nothing should be sent to a source for some `seconds`; `ended` says how the delivery that showed it ended."""

    def __init__(self, ended: Ended, seconds: float) -> None:
        super().__init__(str(ended.fault))
        self.ended, self.seconds = ended, seconds


def try_again_at(now: datetime, attempts: int) -> datetime:
    """Say when to try again after so many attempts: later each time, and not all at the same moment."""
    bound = min(_LONGEST_S, _FIRST_S * 2 ** min(max(attempts - 1, 0), 20))
    return now + timedelta(seconds=bound * _dice.uniform(0.5, 1.0))


def is_given_up(delivery: Delivery, now: datetime, hours: float) -> bool:
    """Say whether a delivery was tried for as long as it should be, since it was agreed to."""
    decision = read_decision(delivery.decision)
    since = max(delivery.created, decision.when) if decision is not None else delivery.created
    return delivery.attempts >= _LEAST_TRIES and now - since > timedelta(hours=hours)


def rest_after(fault: Fault) -> float:
    """Say for how many seconds a source is left alone: what it asked for, where it did."""
    match fault:
        case ComeBackLater() | OutOfOrder():
            return fault.seconds
        case NotSent():
            return _PASSES_S
        case Refusal() if fault.status in _LATER:
            return fault.pause if fault.pause is not None else _PASSES_S
        case _:
            return _REST_S

"""A model calibrated to a twin as its caller sees it: made anew from that, and not kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.api.call import Call
from gateway.api.operations.subject import NOTHING_CLOSED, Subject
from gateway.calibrated import Calibrated
from gateway.calibration import current, dynamic_model, followed_model
from mappers.facts import Fact
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.clock import SKEW

__all__ = ["Made", "calibrate"]

_NAMED: Final = timedelta(hours=6)  # readings and doses of so long are named as what a course stands on


@dataclass(frozen=True)
class Made:
    """A calibration, and the resource versions that are named as what it rests on."""

    calibrated: Calibrated
    used: tuple[str, ...]


def calibrate(
    call: Call, subject: Subject, name: str, at: datetime | None, *, follows: bool = False, ahead: bool = False
) -> Made | Missing:
    """Calibrate a model by its name to what was known at a time, by default now; or say what is missing.

    With `ahead` the time may be one to come, of which no facts are used. Raises `Misuse`.
    """
    model = followed_model(call.home, name) if follows else dynamic_model(call.home, name)
    if at is not None and at > call.now + SKEW:
        if not ahead:
            raise Misuse("Nothing is known of a time that has not come.", hint="Leave it out to look from now.")
        at = None
    found = current(call.home, subject.record, model, at=at or call.now, closed=NOTHING_CLOSED)
    if isinstance(found, Missing):
        return found
    return Made(found, subject.used(found.grounds, _recent(found)))


def _recent(found: Calibrated) -> list[Fact]:
    names = {name for channel in found.model.channels for name in channel.names}
    since = found.last - _NAMED
    return [fact for fact in found.facts if fact.name in names and fact.when is not None and fact.when.latest >= since]

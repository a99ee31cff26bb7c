"""A rehearsal: time passes for a simulated patient, and what is done in it is decided on the way.

It is a what-if whose plan grows. As the chance of each stretch of time is fixed, what has passed stays as it was when
something is added later, and one step can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from security.errors import Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.outcome import Utility
from twin_engine.plan import Plan, check_plan
from twin_engine.scenario import LONGEST, Comparison, what_if
from twin_engine.series import Dose
from twin_engine.track import Track

__all__ = ["Rehearsal"]


@dataclass(frozen=True)
class Rehearsal:
    """A patient's ensemble from `start` on, so many minutes later, after all that was given in between.

    `recorded` are doses on record that are later than the track and hold whatever is rehearsed.
    """

    model: DynamicModel
    track: Track
    start: datetime
    recorded: tuple[Dose, ...] = ()
    given: tuple[Dose, ...] = ()
    minutes: int = 0
    before: Rehearsal | None = None

    @property
    def now(self) -> datetime:
        """The time that it is in the rehearsal."""
        return self.start + timedelta(minutes=self.minutes)

    @property
    def plan(self) -> Plan:
        """What has been given so far, as a plan."""
        return Plan("rehearsed", self.start, self.given)

    def give(self, *doses: Dose) -> Rehearsal:
        """Give something now or later. Raises `Misuse` for what is in the past, or what the model does not take."""
        check_plan(self.model, Plan("rehearsed", self.now, doses))
        given = tuple(sorted((*self.given, *doses)))
        check_plan(self.model, Plan("rehearsed", self.start, given))
        return replace(self, given=given, before=self)

    def wait(self, minutes: int) -> Rehearsal:
        """Let time pass, in whole steps of the model's spacing (rounded up)."""
        every = self.model.every_minutes
        gone = self.minutes + -(-minutes // every) * every
        if minutes <= 0 or gone >= LONGEST:
            raise Misuse(f"A rehearsal goes forward, up to {LONGEST} minutes.", hint="Wait some minutes.")
        return replace(self, minutes=gone, before=self)

    def undo(self) -> Rehearsal:
        """Take the last step back. Raises `Misuse` at the beginning."""
        if self.before is None:
            raise Misuse("There is nothing to take back.", hint="This is the beginning.")
        return self.before

    def look(self, ahead: int, utility: Utility | None = None) -> Comparison:
        """Compare what was rehearsed with doing nothing, from the start until so many minutes after now."""
        return what_if(
            self.model,
            self.track,
            (Plan("nothing new", self.start), self.plan),
            at=self.start,
            minutes=self.minutes + ahead,
            doses=self.recorded,
            utility=utility,
        )

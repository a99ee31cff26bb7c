"""The warnings of one twin and one model: which stand, since when, and what people said to them.

A forecast moves a watch on. Each change is a value that the caller delivers: a warning was raised, nobody answered and
it escalates, the danger has passed. A forecast from old readings raises nothing and ends nothing: what is not known is
not calm. Somebody's "seen" stops the escalation of one warning; "silent until" keeps a rule from raising for a while,
and says so wherever warnings are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from twin_engine.alert import Evidence, Hold, Rule, Trial, likelihood
from twin_engine.forecast import STALE, Course, Forecast

__all__ = ["Change", "Standing", "Watch", "Watched"]

_ESCALATES = timedelta(minutes=15)  # policy: a warning that nobody has seen is told again, louder, after that
_LEVELS = 2  # and once more after twice that
_KEPT = 200  # warnings that have ended


class Standing(msgspec.Struct, frozen=True):
    """One warning: what was expected when it was raised, and what became of it.

    `lead_minutes` is when the crossing is expected, counted from when it was raised, at least 1; `None` where it is
    possible and not yet more likely than not; 0 where the last reading was past the limit already. `evidence` is what
    the rule would have done on the twin's past.
    """

    rule: Rule
    number: int
    raised: datetime
    probability: float
    lead_minutes: float | None
    evidence: Evidence
    level: int = 0
    seen: datetime | None = None
    seen_by: str = ""
    cleared: datetime | None = None


class Change(msgspec.Struct, frozen=True):
    """What has to be told: a warning was raised, escalates, or is over, and when that was."""

    kind: Literal["raised", "escalated", "cleared"]
    warning: Standing
    at: datetime | None = None  # of what was kept before changes had a time


class Watched(msgspec.Struct):
    """One rule as it is watched: whether a warning stands, and until when it keeps silent. It changes in place."""

    rule: Rule
    hold: Hold
    standing: Standing | None = None
    silent_until: datetime | None = None


class Watch(msgspec.Struct):
    """All rules of one twin and model. It changes in place; write it with msgspec to keep it."""

    rules: list[Watched] = []
    past: list[Standing] = []
    count: int = 0
    at: datetime | None = None

    def attend(self, forecast: Forecast, trials: Sequence[Trial], *, now: datetime, allowed: float) -> list[Change]:
        """Take the next forecast, and return what has changed, the most severe first.

        Parameters
        ----------
        trials
            The rules, each with its past (`twin_engine.backtest.Skill.trials`).
        allowed
            False alarms a day that each rule may give on the twin's past.
        """
        self.follow([trial.rule for trial in trials])
        changes = []
        fresh = now - forecast.last <= STALE
        if fresh and (self.at is None or forecast.last > self.at):
            self.at = forecast.last
            courses = {course.name: course for course in forecast.courses}
            for watched, trial in zip(self.rules, trials, strict=True):
                if course := courses.get(trial.rule.channel):
                    changes += self._take(watched, trial, course, forecast, now, allowed)
        changes += [change for watched in self.rules if (change := _escalate(watched, now))]
        order = ("high", "moderate", "low")
        return sorted(changes, key=lambda change: order.index(change.warning.rule.severity))

    def follow(self, rules: Sequence[Rule]) -> None:
        """Watch the rules that there are now; what stood of a rule that is gone, or is another now, is forgotten."""
        known = {watched.rule.name: watched for watched in self.rules}
        self.rules = [
            before if (before := known.get(rule.name)) and before.rule == rule else Watched(rule, Hold())
            for rule in rules
        ]

    def see(self, number: int, by: str, now: datetime) -> Standing:
        """Note that somebody has seen a warning that stands. `LookupError` where none of that number does."""
        watched = self._standing(number)
        assert watched.standing is not None  # noqa: S101 - found by it
        if watched.standing.seen is None:
            watched.standing = msgspec.structs.replace(watched.standing, seen=now, seen_by=by)
        return watched.standing

    def silence(self, rule: str, until: datetime) -> None:
        """Keep a rule from raising until a time; what stands stays. `LookupError` for an unknown rule."""
        watched = next((each for each in self.rules if each.rule.name == rule), None)
        if watched is None:
            raise LookupError(rule)
        watched.silent_until = until

    @property
    def standing(self) -> list[Standing]:
        """The warnings that stand, as the rules are ordered."""
        return [watched.standing for watched in self.rules if watched.standing]

    def _take(
        self, watched: Watched, trial: Trial, course: Course, forecast: Forecast, now: datetime, allowed: float
    ) -> list[Change]:
        evidence = trial.choose(allowed)
        probability, lead = likelihood(watched.rule, course.minutes, course.median, course.sd)
        if lead is not None:  # a forecast counts from where it starts
            lead = max(lead - (now - forecast.at).total_seconds() / 60.0, 1.0)
        if trial.since is not None:
            probability, lead = 1.0, 0.0  # it is measured: no forecast takes that back
        before = msgspec.structs.replace(watched.hold)
        change = watched.hold.feel(forecast.last, probability, evidence.threshold)
        if change == "raised":
            if watched.silent_until is not None and now < watched.silent_until:
                watched.hold = before  # it may still stand when the silence ends
                return []
            self.count += 1
            watched.standing = Standing(watched.rule, self.count, now, probability, lead, evidence)
            return [Change("raised", watched.standing, now)]
        if change == "cleared" and watched.standing:
            over = msgspec.structs.replace(watched.standing, cleared=now)
            watched.standing = None
            self.past = [*self.past[-_KEPT + 1 :], over]
            return [Change("cleared", over, now)]
        return []

    def _standing(self, number: int) -> Watched:
        for watched in self.rules:
            if watched.standing and watched.standing.number == number:
                return watched
        raise LookupError(number)


def _escalate(watched: Watched, now: datetime) -> Change | None:
    """Tell a warning again that nobody has seen for a while. A low one waits to be looked at."""
    standing = watched.standing
    if standing is None or standing.seen is not None or watched.rule.severity == "low" or standing.level >= _LEVELS:
        return None
    if now - standing.raised < _ESCALATES * (2**standing.level):
        return None
    watched.standing = msgspec.structs.replace(standing, level=standing.level + 1)
    return Change("escalated", watched.standing, now)

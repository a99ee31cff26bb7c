"""The warnings of a twin on its page: what stands, how sure it is, how such a warning has done, and who has seen it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.calibration import Calibrated
from gateway.home import Home
from gateway.warnings import Kept, attend, kept_warnings
from gateway.wording import said_minutes
from twin_engine.alert import Evidence, Rule, likelihood
from twin_engine.forecast import STALE, Forecast
from twin_engine.watch import Standing, Watched

__all__ = ["RuleRow", "Warned", "WarningRow", "build_warned"]

_PAST = 5


@dataclass(frozen=True, slots=True)
class WarningRow:
    """One warning in words. `seen` and `over` tell whether there is still something to do."""

    number: int
    rule: str
    title: str
    severity: str
    within: str
    probability: str
    lead: str
    raised: str
    state: str
    threshold: str
    evidence: str
    measured: bool
    seen: bool


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule: how likely it is now, from where it is raised, and how that would have done on this twin's past."""

    name: str
    title: str
    now: str
    threshold: str
    days: str
    events: str
    foreseen: str
    lead: str
    false_alarms: str
    a_day: str
    silent: str


@dataclass(frozen=True)
class Warned:
    """All that the page says of warnings; `forecast` is the one that they rest on, and `run` where it was kept."""

    standing: tuple[WarningRow, ...]
    past: tuple[WarningRow, ...]
    rules: tuple[RuleRow, ...]
    limits: tuple[tuple[float, str], ...]
    allowed: str
    waiting: int
    stale: bool
    forecast: Forecast
    run: str


def build_warned(home: Home, found: Calibrated, at: datetime) -> Warned:
    """Bring the warnings of a calibrated twin up to date, and arrange them. That they were read is recorded."""
    assessed = attend(home, found)
    kept = next((kept for _, model, kept in kept_warnings(home, found.twin) if model == found.model.name), None)
    return arrange(assessed.forecast, assessed.run, assessed.standing, assessed.evidence, kept, home, at)


def arrange(
    forecast: Forecast,
    run: str,
    standing: tuple[Standing, ...],
    evidence: dict[str, Evidence],
    kept: Kept | None,
    home: Home,
    at: datetime,
) -> Warned:
    """Put into words what stands and how the rules have done."""
    watched = kept.watch.rules if kept else []
    past = kept.watch.past[-_PAST:] if kept else []
    limits = {each.rule.limit: f"{each.rule.limit:g}" for each in watched}
    return Warned(
        standing=tuple(_warning(one) for one in standing),
        past=tuple(_warning(one) for one in reversed(past)),
        rules=tuple(_rule(each, evidence[each.rule.name], forecast, at) for each in watched),
        limits=tuple(sorted(limits.items())),
        allowed=f"{home.settings.warnings.false_alarms_a_day:g}",
        waiting=len(kept.pending) if kept else 0,
        stale=at - forecast.last > STALE,
        forecast=forecast,
        run=run,
    )


def _warning(one: Standing) -> WarningRow:
    e = one.evidence
    return WarningRow(
        number=one.number,
        rule=one.rule.name,
        title=one.rule.title,
        severity=one.rule.severity,
        within=f"{one.rule.minutes} minutes",
        probability=f"{one.probability:.0%}",
        lead=_lead(one.lead_minutes),
        raised=f"{one.raised:%Y-%m-%d %H:%M} UTC",
        state=_state(one),
        threshold=f"{e.threshold:.0%}",
        evidence=_said(e),
        measured=one.lead_minutes == 0.0,
        seen=one.seen is not None,
    )


def _said(e: Evidence) -> str:
    lead = f", on average {e.lead_minutes:.0f} minutes ahead" if e.lead_minutes is not None else ""
    return (
        f"On this twin's past {e.days:.1f} days, raised from {e.threshold:.0%} on, it foresaw {e.foreseen} of "
        f"{e.events} events{lead}, and rang {e.false_alarms} times for nothing ({e.false_alarms_a_day:.2f} a day)."
    )


def _lead(minutes: float | None) -> str:
    if minutes is None:
        return "possible, not yet more likely than not"
    return f"expected in {said_minutes(minutes)}" if minutes else "now: the last reading is past the limit"


def _state(one: Standing) -> str:
    if one.cleared:
        return f"over since {one.cleared:%Y-%m-%d %H:%M} UTC" + (f"; seen by {one.seen_by}" if one.seen else "")
    if one.seen:
        return f"seen by {one.seen_by}, {one.seen:%H:%M} UTC"
    return f"not seen; told again {'once' if one.level == 1 else f'{one.level} times'}" if one.level else "not seen"


def _rule(watched: Watched, e: Evidence, forecast: Forecast, at: datetime) -> RuleRow:
    rule = watched.rule
    silent = watched.silent_until
    return RuleRow(
        name=rule.name,
        title=f"{rule.title} within {rule.minutes} minutes",
        now=_now(rule, forecast),
        threshold=f"{e.threshold:.0%}",
        days=f"{e.days:.1f}",
        events=str(e.events),
        foreseen=str(e.foreseen),
        lead="" if e.lead_minutes is None else f"{e.lead_minutes:.0f}",
        false_alarms=str(e.false_alarms),
        a_day=f"{e.false_alarms_a_day:.2f}",
        silent=f"silent until {silent:%H:%M} UTC" if silent and silent > at else "",
    )


def _now(rule: Rule, forecast: Forecast) -> str:
    course = next((each for each in forecast.courses if each.name == rule.channel), None)
    if course is None:
        return ""
    return f"{likelihood(rule, course.minutes, course.median, course.sd)[0]:.0%}"

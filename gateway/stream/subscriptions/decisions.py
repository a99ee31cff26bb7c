"""What is to be done now for one subscription, and what follows from how it went. Pure: time and standing come in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

import msgspec

from gateway.stream.subscriptions.actions import (
    Action,
    AskStatus,
    CatchUp,
    Failed,
    Fetch,
    Fetched,
    Gone,
    Outcome,
    Poll,
    Polled,
    Renew,
    Renewed,
    Said,
)
from gateway.stream.subscriptions.gaps import below, missing, plus, top, whole
from gateway.stream.subscriptions.hearing import Heard, hear
from gateway.stream.subscriptions.notification import Notification
from gateway.stream.subscriptions.standing import Rules, Standing, Wait

__all__ = ["due", "settle"]

_AT_ONCE = 50  # references of one Fetch
_GAPS_AT_ONCE = 5
_OVERLAP = timedelta(minutes=5)  # an event may be numbered this long after its resource was written


def due(standing: Standing, now: datetime, rules: Rules) -> tuple[Action, ...]:
    """Name what is to be done now, in order. Nothing is remembered of having been named: what is not settled is due
    again.
    """

    def ready(kind: str) -> bool:
        return kind not in standing.waits or standing.waits[kind].until <= now

    found: list[Action] = []
    through = whole(standing.taken)
    if standing.fetch and ready("fetch"):
        found.append(Fetch(standing.fetch[:_AT_ONCE]))
    is_silent = standing.heard is None or now - standing.heard >= rules.silence
    is_asking = standing.in_doubt or (is_silent and ready("silence"))
    if is_asking and standing.subscription and _is_alive(standing) and ready("status"):
        found.append(AskStatus(standing.told, through, is_silent))
        if standing.in_doubt:
            return tuple(found)  # numbers that contradict each other are no ground for asking for more of them
    if (standing.is_broken or not _is_running(standing)) and ready("renew"):
        found.append(Renew(anew=not _is_alive(standing)))
    is_old = standing.gap_since is not None and (now - standing.gap_since).total_seconds() >= rules.grace
    if is_old and standing.has_events and not standing.search and _is_alive(standing) and ready("events"):
        found += [CatchUp(first, last) for first, last in standing.gaps[:_GAPS_AT_ONCE]]
    if standing.search and ready("search"):
        if _is_unsure(standing):
            # What a number that is not there yet would claim to be covered, nobody would look for later.
            found += [] if is_asking else [AskStatus(standing.told, through, is_silent)]
        else:
            since = standing.since - _OVERLAP if standing.since else None
            found.append(Poll(since, _coverable(standing), standing.search))
    return tuple(found)


def settle(standing: Standing, action: Action, outcome: Outcome, now: datetime, rules: Rules) -> Heard:
    """Take up what came of an action. `standing` is the newest one: it may have changed since the action was named."""
    match action:
        case Fetch():
            return Heard(_fetched(standing, action, outcome, now, rules).balanced(now))
        case CatchUp():
            return _caught_up(standing.counted("gap"), action, outcome, now, rules)
        case AskStatus():
            return _asked(standing, action, outcome, now, rules)
        case Poll():
            return Heard(_polled(standing, action, outcome, now, rules).balanced(now))
        case Renew():
            return Heard(_renewed(standing, action, outcome, now, rules).balanced(now))
        case _:
            assert_never(action)


def _is_alive(standing: Standing) -> bool:
    """Say whether the EHR still holds the subscription, be it in error."""
    return standing.status not in ("off", "entered-in-error")


def _is_running(standing: Standing) -> bool:
    return standing.status in ("requested", "active")


def _has_status(standing: Standing) -> bool:
    return bool(standing.subscription) and _is_alive(standing) and "status" not in standing.waits


def _is_unsure(standing: Standing) -> bool:
    """Say whether the EHR has to be asked for its count before a search: numbers are missing that it never counted."""
    gaps = standing.gaps
    has_to = bool(gaps) and gaps[-1][1] > standing.sure and standing.verified < standing.search
    return has_to and _has_status(standing)


def _coverable(standing: Standing) -> int:
    """Return up to which number a search made now covers the events."""
    return min(standing.told, standing.sure) if standing.gaps and _has_status(standing) else standing.told


def _fetched(standing: Standing, action: Fetch, outcome: Outcome, now: datetime, rules: Rules) -> Standing:
    if not isinstance(outcome, Fetched):
        return standing.failed("fetch", now, rules)
    settled = {*outcome.read, *outcome.absent, *outcome.foreign}
    found = msgspec.structs.replace(standing, fetch=tuple(o for o in standing.fetch if o.serial not in settled))
    found = found.counted(*["not-there"] * len(outcome.absent), *["foreign-focus"] * len(outcome.foreign))
    is_done = settled >= {owed.serial for owed in action.owed}
    return found.succeeded("fetch") if is_done else found.failed("fetch", now, rules)


def _caught_up(standing: Standing, action: CatchUp, outcome: Outcome, now: datetime, rules: Rules) -> Heard:
    match outcome:
        case Said(notification):
            heard = hear(standing, notification, now, is_pushed=False)
            found = _answered(heard.standing, action, notification, now, rules)
            return Heard(found.balanced(now), heard.fresh, heard.overtaken)
        case Gone():
            return Heard(_lost(standing).balanced(now))
        case Failed(is_final=True):
            return Heard(msgspec.structs.replace(standing, has_events=False).balanced(now))
        case _:
            return Heard(standing.failed("events", now, rules).balanced(now))


def _answered(standing: Standing, action: CatchUp, said: Notification, now: datetime, rules: Rules) -> Standing:
    """Judge what `$events` brought: more of it is asked for as long as some comes."""
    left = [gap for gap in missing(standing.taken, min(action.last, standing.told)) if gap[1] >= action.first]
    if not left or any(action.first <= (event.number or 0) <= action.last for event in said.events):
        return standing.succeeded("events")
    found = standing.failed("events", now, rules)
    if said.since_start is not None and said.since_start < left[-1][1] and found.waits["events"].tries == 1:
        # The EHR counts fewer events than it told us of: a number was wrong, and its status decides which.
        return msgspec.structs.replace(found, in_doubt=True)
    return (found if found.search else found.searching("events-not-kept")).succeeded("events")


def _asked(standing: Standing, action: AskStatus, outcome: Outcome, now: datetime, rules: Rules) -> Heard:
    match outcome:
        case Said(notification):
            heard = hear(standing, notification, now, is_pushed=False)
            count = notification.since_start
            sure = heard.standing.told if count is None else heard.standing.sure  # it does not count: nothing is surer
            found = msgspec.structs.replace(heard.standing.succeeded("status"), in_doubt=False, sure=sure)
            found = msgspec.structs.replace(found, verified=standing.search)
            # A silence is asked about again when another heartbeat is late, not at each turn.
            found = msgspec.structs.replace(found, waits={**found.waits, "silence": Wait(0, now + rules.silence)})
            if count is not None:
                found = _corrected(found, standing, action, count)
            elif action.is_silent:
                found = found.searching("no-count")
            if action.is_silent and standing.heard is not None and count is not None and count > top(standing.taken):
                found = msgspec.structs.replace(found, is_broken=True).counted("silent")
            return Heard(found.balanced(now), heard.fresh, heard.overtaken)
        case Gone():
            return Heard(_lost(standing).balanced(now))
        case _:
            found = msgspec.structs.replace(standing, in_doubt=False).failed("status", now, rules)
            return Heard(found.searching("no-status").balanced(now))


def _corrected(found: Standing, before: Standing, action: AskStatus, count: int) -> Standing:
    """Believe `$status` over what notifications told, where nothing came since we asked."""
    # A search that was made for numbers which were not there yet did not see what has taken them since.
    searched = min(found.searched, count)
    if count < action.whole:
        taken = plus((), 1, count)
        fresh = msgspec.structs.replace(found, taken=taken, told=count, sure=count, marks=(), gap_since=None)
        fresh = msgspec.structs.replace(fresh, searched=searched)
        return fresh.searching("count-went-back")
    if before.told != action.told:
        return found
    sure = msgspec.structs.replace(found, told=count, taken=below(found.taken, count), searched=searched)
    return sure.searching("misnumbered") if count < found.searched and not found.search else sure


def _polled(standing: Standing, action: Poll, outcome: Outcome, now: datetime, rules: Rules) -> Standing:
    if not isinstance(outcome, Polled):
        return standing.failed("search", now, rules)
    taken = plus(standing.taken, 1, action.through)
    is_last = standing.search == action.serial
    latest = max((each for each in (standing.latest, outcome.until) if each is not None), default=None)
    found = msgspec.structs.replace(standing, taken=taken, search=0 if is_last else standing.search, latest=latest)
    if outcome.until is not None:
        found = msgspec.structs.replace(found, searched=action.through, searched_until=outcome.until)
    return found.succeeded("search")


def _renewed(standing: Standing, action: Renew, outcome: Outcome, now: datetime, rules: Rules) -> Standing:
    match outcome:
        case Renewed() if action.anew:
            # Another subscription, which counts from the start; what happened between the two is searched for. Its
            # handshake, and even an event, may have come before the answer that names it: then it is ours already.
            is_known = standing.subscription == outcome.subscription
            return _begun(standing if is_known else standing.restarted(outcome.subscription), now).searching("renewed")
        case Renewed():
            # The EHR went on counting (errors.html), so its count tells what was missed.
            return msgspec.structs.replace(_begun(standing, now), in_doubt=True).counted("renewed")
        case Gone():
            return _lost(standing)
        case Failed(is_final=True) if not action.anew:
            return msgspec.structs.replace(standing, status="off").failed("renew", now, rules)
        case _:
            found = standing if standing.search else standing.searching("not-taken")
            return found.failed("renew", now, rules)


def _begun(standing: Standing, now: datetime) -> Standing:
    status = standing.status if _is_running(standing) else "requested"
    found = msgspec.structs.replace(standing, status=status, heard=now, has_events=True, is_broken=False)
    return found.succeeded("renew").succeeded("status").succeeded("silence")


def _lost(standing: Standing) -> Standing:
    return msgspec.structs.replace(standing, status="off", in_doubt=False).searching("gone")

"""A notification against what came before: which of its events are new, which came already, and what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from gateway.stream.subscriptions.gaps import has, minus, plus, top, whole
from gateway.stream.subscriptions.notification import Event, Notification, Part
from gateway.stream.subscriptions.standing import Mark, Standing
from gateway.stream.subscriptions.status import Status

__all__ = ["Heard", "hear"]

_HASH_BYTES = 8  # of 128 marks: two meet by chance once in 10^15


@dataclass(frozen=True, slots=True)
class Heard:
    """What a notification changed.

    Parameters
    ----------
    standing
        The standing after it; to be kept in the same transaction as the events.
    fresh
        Events that did not come before, by number; their resources are to be stored.
    overtaken
        Events that did not come before, about resources of which a newer version came already: history, never current.
    """

    standing: Standing
    fresh: tuple[Event, ...] = field(default=(), repr=False)
    overtaken: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def current(self) -> tuple[Part, ...]:
        """The resources of the fresh events, each once. Of two versions of one, its own `meta` tells the newer."""
        return _parts(self.fresh)

    @property
    def past(self) -> tuple[Part, ...]:
        """The resources of the overtaken events, each once, but for those that are current, too."""
        current = set(self.current)
        return tuple(part for part in _parts(self.overtaken) if part not in current)


def hear(standing: Standing, notification: Notification, now: datetime, *, is_pushed: bool = True) -> Heard:
    """Take up a notification; pure.

    An event is new unless the same one came under its number, or one with the very same bytes under another. The same
    event is the same focus at the same instant; where the EHR tells no instant, with the same content. A number that
    was taken by *another* event is the EHR's mistake, or its counter starting over: the event is kept, because a
    resource that is offered twice does no harm and one that is lost does. An event under two numbers gives up both,
    so that `$events` is asked for what really has them.

    `is_pushed` is false for answers that we asked for: they say nothing of whether the channel to us works.
    """
    if is_pushed and notification.subscription_id != standing.subscription:
        # The secret let it in, so it is ours: the handshake of a new one comes before the answer that names it.
        standing = standing.restarted(notification.subscription_id)
    believed = [each.number for each in notification.events if each.number and not _is_beyond(notification, each)]
    told = max([standing.told, notification.since_start or 0, *believed])
    is_plain = not is_pushed or notification.type == "heartbeat"
    sure = max(standing.sure, notification.since_start or 0) if is_plain else standing.sure
    found = msgspec.structs.replace(standing, told=told, sure=sure, status=_status(notification, is_pushed))
    if is_pushed:
        found = msgspec.structs.replace(found, heard=now, is_broken=False).succeeded("silence")
    found = found.counted(*(reason for reason in notification.reasons if reason != "no-event"))
    if "no-event" in notification.reasons:
        found = found.searching("no-event")
    if _went_back(standing, notification):
        found = msgspec.structs.replace(found, in_doubt=True)
    fresh: list[Event] = []
    overtaken: list[Event] = []
    for event in sorted(notification.events, key=lambda event: event.number or 0):
        is_believed = not (_is_beyond(notification, event) or _is_older(standing, event))
        found, is_new, is_late = _take(found, event, is_sure=not is_pushed, is_believed=is_believed)
        if is_new:
            (overtaken if is_late else fresh).append(event)
    return Heard(found.balanced(now), tuple(fresh), tuple(overtaken))


def _parts(events: tuple[Event, ...]) -> tuple[Part, ...]:
    """Return what came with some events, each once: events of one notification about one resource share it."""
    return tuple(dict.fromkeys(part for event in events for part in event.parts))


def _status(notification: Notification, is_pushed: bool) -> Status:
    # channels.html#rest-hook-1: the handshake says "requested", and our 2xx makes it active.
    return "active" if is_pushed and notification.type == "handshake" else notification.status


def _went_back(standing: Standing, notification: Notification) -> bool:
    """Say whether a heartbeat counts less than came: the EHR may have started over. Late notifications count less, too,
    and a handshake may say 0, so these two are no sign of it.
    """
    count = notification.since_start
    return notification.type == "heartbeat" and count is not None and count < whole(standing.taken)


def _is_beyond(notification: Notification, event: Event) -> bool:
    """Say whether an event is numbered beyond what the same notification counts, so that the number is not its own."""
    return notification.since_start is not None and (event.number or 0) > notification.since_start


def _is_older(standing: Standing, event: Event) -> bool:
    """Say whether an event is numbered behind the last search and happened before it, so that its number is wrong."""
    when, until = _instant(event.when), standing.searched_until
    known = next((each.at for each in standing.marks if each.number == standing.searched and each.at), None)
    bound = min(known, until) if known is not None and until is not None else until
    return (event.number or 0) > standing.searched and when is not None and bound is not None and when <= bound


def _take(standing: Standing, event: Event, *, is_sure: bool, is_believed: bool) -> tuple[Standing, bool, bool]:
    """Take one event; say whether it is new, and whether a newer one about the same resource came already."""
    mark = _mark(event, is_sure=is_sure)
    if event.number is None:
        return _add(standing, event, mark)
    known = [each for each in standing.marks if each.number == event.number]
    twins = [each for each in standing.marks if each.number != event.number and _is_twin(each, mark)]
    if any(_is_same(each, mark) for each in known):
        # Under two numbers it takes none again, but for the one that $events tells.
        is_one = is_sure or (is_believed and not any(each.number for each in twins))
        return (_number(standing, mark) if is_one else standing).counted("duplicate"), False, False
    taken = has(standing.taken, event.number)
    if taken and not known and _is_searched(standing, event):
        return standing.counted("came-by-search"), False, False
    if not (is_believed or is_sure):
        # Under no number: its own stays a gap, and so does the one that it claims, until it is told what they are.
        found, mark = standing.counted("misnumbered"), msgspec.structs.replace(mark, number=0)
        return (found, False, False) if _came(standing.marks, mark) else _add(found, event, mark)
    if any(each.number for each in twins):
        found = _renumber(standing, mark, twins)
    elif taken:
        found = msgspec.structs.replace(standing, in_doubt=True).counted("number-reused")
        if event.number <= standing.searched and not found.search:
            found = found.searching("misnumbered")  # what happened after that search stands under a number before it
    else:
        found = standing.counted("out-of-order") if event.number < top(standing.taken) else standing
        found = _number(found, mark)
    # The same bytes twice are one. Of a mere reference nobody can tell: what it names may have changed since.
    return (found.marked(mark), False, False) if _came(twins, mark) else _add(found, event, mark)


def _came(marks: Iterable[Mark], mark: Mark) -> bool:
    """Say whether the very same bytes came, under whatever number."""
    return bool(mark.content) and any(each.content == mark.content and _is_twin(each, mark) for each in marks)


def _number(standing: Standing, mark: Mark) -> Standing:
    return msgspec.structs.replace(standing, taken=plus(standing.taken, mark.number, mark.number))


def _renumber(standing: Standing, mark: Mark, twins: list[Mark]) -> Standing:
    """Give up the numbers that one event claims twice, but for those that `$events` told: they become gaps."""
    taken = plus(standing.taken, mark.number, mark.number) if mark.is_sure else minus(standing.taken, mark.number)
    for each in twins:
        taken = taken if each.is_sure else minus(taken, each.number)
    return msgspec.structs.replace(standing, taken=taken).counted("renumbered")


def _add(standing: Standing, event: Event, mark: Mark) -> tuple[Standing, bool, bool]:
    """Keep an event: remember it, and owe what it does not bring."""
    is_late = event.content == "full-resource" and any(
        each.focus == mark.focus and _is_newer(each, mark) for each in standing.marks
    )
    found = standing.marked(mark)
    if (when := _instant(event.when)) is not None:
        found = msgspec.structs.replace(found, latest=max(found.latest or when, when))
    found = found.searching("empty") if event.content == "empty" else found.owing(*event.references)
    return (found.counted("overtaken") if is_late else found), True, is_late


def _is_newer(one: Mark, other: Mark) -> bool:
    """Say whether the first event is the newer one: by number, and by instant where a number is not known."""
    if one.number and other.number:
        return one.number > other.number
    return one.at is not None and other.at is not None and one.at > other.at


def _is_searched(standing: Standing, event: Event) -> bool:
    """Say whether a search brought what the event tells: numbered before it was made, and no newer than what it saw."""
    when, until = _instant(event.when), standing.searched_until
    return (event.number or 0) <= standing.searched and when is not None and until is not None and when <= until


def _mark(event: Event, *, is_sure: bool) -> Mark:
    focus, when = (_hash(each) if each else "" for each in (event.focus, event.when))
    content = _hash(*sorted(part.raw.hex() for part in event.parts)) if event.parts else ""
    return Mark(event.number or 0, focus, when, content, is_sure, _instant(event.when))


def _is_same(one: Mark, other: Mark) -> bool:
    """Say whether two events under one number are the same one."""
    has_instant = bool(one.when or other.when)
    return (one.focus, one.when) == (other.focus, other.when) and (has_instant or one.content == other.content)


def _is_twin(one: Mark, other: Mark) -> bool:
    """Say whether two events under two numbers may be the same one: about one resource at one instant.

    Content may differ, because a notification of several events brings several versions. Where no instant is told,
    only the same content tells.
    """
    if not other.focus or (one.focus, one.when) != (other.focus, other.when):
        return False
    return bool(other.when) or (bool(other.content) and one.content == other.content)


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).hexdigest()


def _instant(told: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None

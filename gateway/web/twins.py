"""The list of twins: what each has to be looked at for, and how old its last reading is. Nobody is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.home import Home
from gateway.store import TwinSummary
from gateway.warnings import Kept, kept_warnings
from twin_engine.forecast import STALE
from twin_engine.watch import Standing

__all__ = ["TwinRow", "build_twins"]

_SEVERITIES = ("high", "moderate", "low")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TwinRow:
    """One twin in words. `severity` is that of the gravest warning that stands, "" where none does.

    `read` is how old the last reading is that its warnings rest on, "" where no sensor is watched; `stale` tells that
    it is too old to raise or to end one.
    """

    id: str
    short: str
    version: int
    severity: str
    standing: tuple[str, ...]
    unseen: int
    read: str
    stale: bool
    updated: str
    sources: str


def build_twins(home: Home, at: datetime) -> tuple[TwinRow, ...]:
    """List all twins: those with warnings first, the gravest and those that nobody has seen before others.

    Warnings are opened, which is recorded for each twin that has any; nothing else is.
    """
    kept: dict[str, list[Kept]] = {}
    for twin, _, each in kept_warnings(home):
        kept.setdefault(twin, []).append(each)
    newest = sorted(home.store.twins(), key=lambda twin: twin.updated, reverse=True)
    return tuple(sorted((_row(twin, kept.get(twin.id, ()), at) for twin in newest), key=_urgency))


def _row(twin: TwinSummary, kept: Iterable[Kept], at: datetime) -> TwinRow:
    watches = [each.watch for each in kept]
    standing = sorted(
        (one for watch in watches for one in watch.standing), key=lambda one: _SEVERITIES.index(one.rule.severity)
    )
    read = max((watch.at for watch in watches if watch.at is not None), default=None)
    return TwinRow(
        id=twin.id,
        short=twin.id[:8],
        version=twin.version,
        severity=standing[0].rule.severity if standing else "",
        standing=tuple(map(_said, standing)),
        unseen=sum(one.seen is None for one in standing),
        read=_ago(at - read) if read else "",
        stale=read is not None and at - read > STALE,
        updated=_ago(at - twin.updated),
        sources=", ".join(twin.sources),
    )


def _urgency(row: TwinRow) -> tuple[int, bool]:
    return (_SEVERITIES.index(row.severity) if row.severity else len(_SEVERITIES)), not row.unseen


def _said(one: Standing) -> str:
    seen = "" if one.seen is None else ", seen"
    return f"{one.rule.title} within {one.rule.minutes} minutes, {one.probability:.0%} likely{seen}"


def _ago(gone: timedelta) -> str:
    """Say how long ago something was, in its largest unit."""
    if gone < timedelta(0):
        return "in the future"
    for unit, name in ((_DAY, "day"), (_HOUR, "hour")):
        if gone >= unit:
            return f"{gone // unit} {name}{'s' if gone >= 2 * unit else ''} ago"
    minutes = gone // timedelta(minutes=1)
    return f"{minutes} minute{'' if minutes == 1 else 's'} ago"

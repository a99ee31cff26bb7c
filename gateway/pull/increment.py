"""What changed since the last pull: from when on each type is asked, and from when on the next pull may ask.

A watermark is an instant of the server's clock, never of ours: the moment at which a question began, or the newest
change that came, whichever is earlier, so that a replica that lags loses nothing. Stamps from the future are mistakes
and do not move it. Watermarks are kept in certificates alone. (smart-fetch, docs/since.md; android-fhir#1148.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from gateway.pull.page import Asked, Certificate
from gateway.pull.walk import Inquiry
from mappers import REFERRING

__all__ = ["Increment", "as_instant", "server_clock", "upper_bound"]

_PLAIN = re.compile(r"(\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d)(?:\.(\d{1,3})\d*)?(?:Z|[+-]00:00)", re.ASCII)
_TOLERANCE = timedelta(seconds=60)  # a stamp so much later than the answer's Date is still no mistake


@dataclass(frozen=True, slots=True)
class Increment:
    """From when on each type is asked.

    Parameters
    ----------
    since
        By watermark, mostly a type's; what is not there is asked for whole, and "*" is about all that are not there.
    after
        The id of the pull that this one goes on from; "" where it stands alone.
    kept
        The watermarks that this pull found; a type that is not walked to its end keeps the old one.
    gap
        Whether `since` is a person's instant, which may lie behind what the last pull reached.
    """

    since: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)
    gap: bool = False

    @classmethod
    def plan(cls, told: str, last: Certificate | None, pull: str, overlap_s: float) -> Increment:
        """Decide it: "all", "auto" (what changed since the last pull, whose id is `pull`), or an instant.

        `overlap_s` seconds before a watermark are asked for again: what was written then and became visible later.
        """
        kept = last.until if last else {}
        if told == "all":
            return cls(after=pull if last else "")
        if told != "auto":
            return cls({"*": as_instant(told)}, "", kept, gap=True)
        begun = {type_: _earlier(until, overlap_s) for type_, until in kept.items()}
        begin = {type_: instant for type_, instant in begun.items() if instant}
        return cls(begin, pull if last else "", kept)

    def of(self, type_: str, mark: str = "") -> str:
        """Return from when on a type is asked; "" for all. `mark` is the name of its watermark, where it has another.

        The watermark of the plain list holds for any other question.
        """
        return self.since.get(mark) or self.since.get(type_) or self.since.get("*", "")

    def until(self, lines: Sequence[tuple[Inquiry, Asked]]) -> dict[str, str]:
        """Return where the next pull may begin, by watermark, once these were asked.

        A line that lacks something, or that hides something older, leaves its watermark where it was; patient by
        patient it has none any more, because who is new this time will not be new the next. Where patients could not
        be had none moves, and where medicines could not, none of those that refer to them: what is refused for want of
        them does not come again.
        """
        found = dict(self.kept)
        short = {inquiry.type for inquiry, asked in lines if not inquiry.is_by_patient and _is_short(inquiry, asked)}
        lacks = REFERRING if "Medication" in short else frozenset()
        for inquiry, asked in lines:
            if not inquiry.is_plain:
                continue
            mark, reached = inquiry.mark, _reached(inquiry)
            goes_on = asked.leads_on and "Patient" not in short and inquiry.type not in lacks
            skipped = self.gap and inquiry.since > (self.kept.get(mark) or self.kept.get(inquiry.type, ""))
            if goes_on and reached and not skipped:
                found[mark] = reached
            elif (inquiry.is_by_patient and not asked.leads_on) or (goes_on and not asked.since):
                found.pop(mark, None)  # all is asked for again
        return found


def _is_short(inquiry: Inquiry, asked: Asked) -> bool:
    """Say whether some that others refer to may be missing. What the server does not have is not."""
    return not asked.leads_on or (inquiry.way == "named" and asked.said is None)


def _reached(inquiry: Inquiry) -> str:
    if not inquiry.came:
        return ""  # nothing came that would tell how far the server's copy goes
    return min(filter(None, (inquiry.began, inquiry.newest)), default="")


def as_instant(text: str) -> str:
    """Write an instant in UTC, so that two can be compared as text; "" for what is none."""
    if (plain := _PLAIN.fullmatch(text)) is not None:  # as nearly all servers write it: not worth a calendar
        return f"{plain[1]}.{plain[2] or '':0<3}Z"
    try:
        told = datetime.fromisoformat(text)
        return _written(told) if told.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def server_clock(headers: Mapping[str, str]) -> str:
    """Read the header Date, which is the server's clock; "" where there is none."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
        return _written(told if told.tzinfo else told.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return ""


def upper_bound(headers: Mapping[str, str]) -> str:
    """Say from when on a stamp is a mistake. Without the server's clock ours must do: it only takes stamps away."""
    told = server_clock(headers)
    try:
        return _written((datetime.fromisoformat(told) if told else datetime.now(UTC)) + _TOLERANCE)
    except OverflowError:
        return told  # the last minute of the calendar


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _earlier(instant: str, seconds: float) -> str:
    try:
        return _written(datetime.fromisoformat(instant) - timedelta(seconds=seconds))
    except (ValueError, OverflowError):
        return ""  # all is asked for

"""When a server wants to be asked again: Retry-After, and what is left of an allowance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["retry_after", "used_up_for"]

_DAY, _EPOCH = 86_400.0, 1e9  # a reset is seconds from now, or, in old habits, an instant since 1970
_MOST = 1e9  # seconds; with 30 years more, a date is still a date
_POLICY = re.compile(
    r'"[^"]*"((?:\s*;\s*[a-z]+=[0-9]+)+)'
)  # "requests";r=0;t=30 (draft-ietf-httpapi-ratelimit-headers)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read Retry-After (RFC 9110 10.2.3) in seconds, `None` where it is not said.

    A date is meant by the server's own clock, which its `Date` tells; where it does not, by ours (`now`).
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said[:12]), _MOST)
    until = _date(said)
    seconds = (until - (_date(headers.get("date", "")) or now)).total_seconds() if until else None
    return None if seconds is None else min(max(0.0, seconds), _MOST)


def used_up_for(headers: Mapping[str, str], now: datetime) -> float | None:
    """Say for how many seconds our allowance is used up; `None` where something is left, or where nobody says.

    Reads `RateLimit: "requests";r=0;t=30` (as Medplum sends it), `RateLimit: limit=10, remaining=0, reset=30`, and
    `RateLimit-Remaining` with `RateLimit-Reset`, with "X-" before them too.
    """
    if said := headers.get("ratelimit", "").lower():
        parts = [dict(re.findall(r"([a-z]+)=(\d+)", p)) for p in _POLICY.findall(said)]
        waits = [float(p["t"]) for p in parts if p.get("r") == "0" and "t" in p]
        old = dict(re.findall(r"([a-z]+)=(\d+)", said))
        waits += [float(old["reset"])] if old.get("remaining") == "0" and "reset" in old else []
        return max(waits, default=None)
    for kind in ("ratelimit", "x-ratelimit"):
        reset = headers.get(f"{kind}-reset", "").strip()
        if headers.get(f"{kind}-remaining", "").strip() == "0" and reset.isascii() and reset.isdecimal():
            return _from_now(float(reset[:12]), _date(headers.get("date", "")) or now)
    return None


def _from_now(reset: float, now: datetime) -> float | None:
    if reset <= _DAY:
        return reset
    return max(0.0, reset - now.timestamp()) if reset > _EPOCH else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

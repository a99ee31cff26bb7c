"""The glucose report of one person: every number with its unit and definition, or why there is none.

It is of what was measured. Too little of it gives no report but the reason.
"""

from __future__ import annotations

import msgspec

from security.errors import UnknownName
from twin_engine.glycaemia.daily import Slot, daily_profile
from twin_engine.glycaemia.episodes import Episode, episodes_of, known_days
from twin_engine.glycaemia.numbers import Number, UntoldNumber, numbers_of
from twin_engine.glycaemia.ranges import TARGETS, Judged, TimesInRanges, Wear, judge, times_in_ranges, wear
from twin_engine.glycaemia.trace import DAY, Numbers, trace_of

__all__ = ["EpisodeCount", "Report", "TooLittle", "report_of"]

_SLOWEST = 20.0  # minutes from reading to reading: what is slower is no continuous sensor (policy)
_WEEK = 7.0


class EpisodeCount(msgspec.Struct, frozen=True):
    """How often glucose was low or high: episodes, how many a week of known time, and how many were extended.

    `cut` is how many of them a gap or the edge of the readings cuts: there may be fewer or longer ones.
    """

    kind: str
    level: int
    episodes: int
    a_week: float
    extended: int
    minutes: float
    cut: int


class TooLittle(msgspec.Struct, frozen=True, tag="too-little"):
    """No report, and why: `why` is "no-readings", "no-sensor" (fingersticks) or "too-little" (less than asked for)."""

    why: str
    say: str
    readings: int
    wear: Wear | None = None


class Report(msgspec.Struct, frozen=True, tag="report"):
    """The report of a window of days. It is patient data.

    `begin` and `end` are minutes as in the readings. Shares in `times` and `targets` are percent of the readings.
    """

    begin: float
    end: float
    readings: int
    spacing: float
    gaps: int
    wear: Wear
    population: str
    times: TimesInRanges
    targets: tuple[Judged, ...]
    numbers: tuple[Number, ...]
    untold: tuple[UntoldNumber, ...]
    counts: tuple[EpisodeCount, ...]
    episodes: tuple[Episode, ...]
    daily: tuple[Slot, ...]
    assumptions: tuple[str, ...]


def report_of(
    times: Numbers,
    mg_dl: Numbers,
    *,
    days: float = 14.0,
    required: float = 70.0,
    population: str = "type-1-and-2",
) -> Report | TooLittle:
    """Make the report of the last days of readings.

    Parameters
    ----------
    times
        Minutes (n,) from a midnight where the patient lives; the order does not count.
    mg_dl
        Glucose (n,), mg/dL.
    days, required
        The window up to the last reading, and how much of it has to be measured, in percent. The consensus asks for
        70 % of 14 days; less says little of the person's usual glucose.
    population
        Whose targets: a name in `ranges.TARGETS`.

    Raises
    ------
    Misuse
        A value or time that cannot be, two readings of one time, an unknown population.
    """
    if population not in TARGETS:
        raise UnknownName("population with targets", population, TARGETS)
    if not len(mg_dl):
        return TooLittle("no-readings", "There are no readings of a sensor.", 0)
    trace = trace_of(times, mg_dl)
    worn = wear(trace, days, required)
    recent = trace.since(trace.minutes[-1] + trace.spacing - days * DAY)
    if trace.spacing > _SLOWEST:
        say = f"Readings are {trace.spacing:.0f} minutes apart: those of a sensor come every 20 minutes or faster."
        return TooLittle("no-sensor", say, len(recent), worn)
    if not worn.sufficient or len(recent) < 2:
        say = f"{worn.active:.0f} % of the last {days:g} days were measured; {required:g} % is asked for."
        return TooLittle("too-little", say, len(recent), worn)
    numbers, untold = numbers_of(recent)
    found = episodes_of(recent)
    return Report(
        begin=float(recent.minutes[0]),
        end=float(recent.minutes[-1]),
        readings=len(recent),
        spacing=trace.spacing,
        gaps=len(recent.segments) - 1,
        wear=worn,
        population=population,
        times=times_in_ranges(recent.mg_dl),
        targets=judge(recent.mg_dl, population),
        numbers=numbers,
        untold=untold,
        counts=_counted(found, known_days(recent)),
        episodes=found,
        daily=daily_profile(recent),
        assumptions=(
            "Shares are of readings, as the consensus has it: where a sensor was silent nothing is known.",
            f"Readings more than {trace.bridge:g} minutes apart have a gap between them, which is not bridged.",
        ),
    )


def _counted(found: tuple[Episode, ...], days: float) -> tuple[EpisodeCount, ...]:
    counts = []
    for kind, level in (("hypo", 1), ("hypo", 2), ("hyper", 1), ("hyper", 2)):
        own = [e for e in found if (e.kind, e.level) == (kind, level)]
        counts.append(
            EpisodeCount(
                kind=kind,
                level=level,
                episodes=len(own),
                a_week=len(own) / days * _WEEK,
                extended=sum(e.extended for e in own),
                minutes=sum(e.beyond for e in own) / len(own) if own else 0.0,
                cut=sum(e.began != "seen" or e.ended != "recovery" for e in own),
            )
        )
    return tuple(counts)

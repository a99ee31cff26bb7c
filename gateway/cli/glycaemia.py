"""twin glycaemia."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gateway.cli.orders import utc
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.simulation import open_twin
from mappers.facts import Fact
from security.errors import Misuse
from twin_engine.glycaemia.report import Report, TooLittle, report_of
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.series import REASONS, Reading, series_of

__all__ = ["glycaemia_"]

_DONE_IN_PART = 5
_SENSOR = MinimalGlucose.channels[0]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_LEVELS = {
    ("hypo", 1): "below 70 mg/dL",
    ("hypo", 2): "below 54 mg/dL",
    ("hyper", 1): "above 180 mg/dL",
    ("hyper", 2): "above 250 mg/dL",
}


def glycaemia_(
    twin: str,
    /,
    *,
    days: int = 14,
    population: str = "type-1-and-2",
    zone: str = "UTC",
    at: datetime | None = None,
    as_of: datetime | None = None,
    options: Options = Options(),
) -> int:
    """Report the glucose that a twin's sensor measured: time in ranges, targets, episodes, variability, the usual day.

    It is of measurements only; nothing is simulated. Where less than 70 % of the days was measured there is no report
    (exit status 5). Reading the twin is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    days
        How many days to look back on from the last reading.
    population
        Whose targets: type-1-and-2, older-or-high-risk, pregnancy-type-1.
    zone
        The time zone in which the patient's days begin, such as Europe/Vienna.
    at
        Look back from this time (UTC where no zone is told); by default from now.
    as_of
        Use only what was known at this time.
    """
    if not 1 <= days <= 366:
        raise Misuse("A glucose report looks back on 1 to 366 days.", hint="14 is usual.")
    where = _zone(zone)
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin, utc(as_of))
    readings, left_out = _readings(record.facts, utc(at) or now())
    begin = _midnight(readings, where)
    minutes = [(reading.when - begin).total_seconds() / 60.0 for reading in readings]
    result = report_of(minutes, [reading.value for reading in readings], days=float(days), population=population)
    if options.json:
        print_json(
            {
                "twin": record.id,
                "minutes_since": begin.isoformat(),
                "left_out": left_out,
                "result": msgspec.to_builtins(result),
            }
        )
    elif isinstance(result, TooLittle):
        say(f"No glucose report: {result.say}")
    else:
        _show(record.id, result, begin, zone)
    if not options.json:
        for reason, count in left_out.items():
            say(f"Left out: {count} readings. {REASONS[reason]}")
    return _DONE_IN_PART if isinstance(result, TooLittle) else 0


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Misuse("There is no time zone of that name.", hint="Say one such as Europe/Vienna.") from error


def _readings(facts: Iterable[Fact], until: datetime) -> tuple[list[Reading], dict[str, int]]:
    """Gather the readings of the sensor that are believed, and count by reason those that are not."""
    series = series_of(MinimalGlucose(), facts, until)
    left_out = Counter(each.reason for each in series.unbelieved if each.name == _SENSOR.name)
    return [r for r in series.readings if r.channel == _SENSOR.name], dict(sorted(left_out.items()))


def _midnight(readings: Sequence[Reading], where: ZoneInfo) -> datetime:
    """Return the midnight before the first reading, by the clock that holds at the last one."""
    if not readings:
        return _EPOCH
    offset = readings[-1].when.astimezone(where).utcoffset() or timedelta(0)
    local = readings[0].when.astimezone(UTC) + offset
    return local.replace(hour=0, minute=0, second=0, microsecond=0) - offset


def _show(twin: str, report: Report, begin: datetime, zone: str) -> None:
    """Tell a person the report; each number with its unit and definition."""
    first, last = (begin + timedelta(minutes=minute) for minute in (report.begin, report.end))
    say(
        f"Glucose of twin {twin[:12]}, measured by a sensor, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC: "
        f"{report.readings} readings, {report.wear.active:.0f} % of {report.wear.window:g} days, {report.gaps} gaps."
    )
    times = report.times
    print_table(
        "Time in ranges",
        ["mg/dL", ">Share of readings"],
        (
            ("above 250", f"{times.tar2:.1f} %"),
            ("181 to 250", f"{times.tar1:.1f} %"),
            ("70 to 180", f"{times.tir:.1f} %"),
            ("54 to 69", f"{times.tbr1:.1f} %"),
            ("below 54", f"{times.tbr2:.1f} %"),
        ),
    )
    print_table(
        f"Targets for {report.population}",
        ["Share", ">Measured", ">Target", "Met"],
        (
            (t.name, f"{t.percent:.1f} %", f"{t.compare} {t.limit:g} %", "yes" if t.met else "no")
            for t in report.targets
        ),
    )
    print_table(
        "Episodes of at least 15 minutes",
        ["Glucose", ">Episodes", ">A week", ">Mean length", ">120 min or more", ">Cut by a gap or an edge"],
        (
            (
                _LEVELS[c.kind, c.level],
                c.episodes,
                f"{c.a_week:.1f}",
                f"{c.minutes:.0f} min" if c.episodes else "",
                c.extended,
                c.cut,
            )
            for c in report.counts
        ),
    )
    print_table(
        "Numbers",
        ["What", ">Value", "Unit", "Definition"],
        ((n.title, f"{n.value:.1f}", "" if n.unit == "1" else n.unit, n.definition) for n in report.numbers),
    )
    for lacking in report.untold:
        say(f"{lacking.title}: not told. {lacking.say}")
    print_table(
        f"The usual day, mg/dL ({zone})",
        ["Hour", ">5 %", ">25 %", ">Median", ">75 %", ">95 %", ">Days"],
        (
            (f"{s.begin // 60:02.0f}", *(f"{p:.0f}" for p in (s.p5, s.p25, s.p50, s.p75, s.p95)), s.days)
            for s in report.daily
        ),
    )
    for text in report.assumptions:
        say(f"Assumed: {text}")

"""twin forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from gateway.calibration import Calibrated, current, followed_model
from gateway.cli.curve import draw_curve
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home, now
from gateway.outlook import keep, look_ahead
from gateway.settings import load_settings
from gateway.simulation import open_twin
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.clock import SKEW, said_of_age
from twin_engine.forecast import Forecast
from twin_engine.scenario import LONGEST

__all__ = ["forecast_", "show_forecast"]

_SHOWN_HOURS = 3


def forecast_(
    twin: str,
    /,
    *,
    model: str = "glucose",
    minutes: int | None = None,
    at: datetime | None = None,
    as_of: datetime | None = None,
    options: Options = Options(),
) -> int:
    """Forecast what will be measured next, and show how right earlier forecasts for this twin were.

    Where data is missing, it says what (exit status 5).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    model
        The model's name; "twin model list" lists them.
    minutes
        How far ahead; by default what the model is good for.
    at
        Forecast as if it were this past time (UTC where no zone is told): later facts are not used.
    as_of
        Use only what was known at this time.
    """
    if minutes is not None and not 0 < minutes <= LONGEST:
        raise Misuse(f"A forecast looks 1 to {LONGEST} minutes ahead.", hint="Choose another number of minutes.")
    moment = _utc(at)
    if moment is not None and moment > now() + SKEW:
        raise Misuse("Nothing is known of a time that has not come.", hint="Leave --at out to forecast from now.")
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = followed_model(home, model)
        record = open_twin(home, twin, _utc(as_of))
        found = current(home, record, chosen, at=moment)
        if isinstance(found, Missing):
            result, run = None, ""
        else:
            result = look_ahead(found, minutes=minutes)
            run = keep(home, found, result)
    if isinstance(found, Missing):
        if options.json:
            print_json(
                {"twin": record.id, "run": None, "result": msgspec.to_builtins(found, builtin_types=(datetime,))}
            )
        else:
            show_missing(found)
        return 5
    assert result is not None  # noqa: S101 - found is no Missing
    if options.json:
        notes = said_of_age(result.last, found.at, "forecast")
        told = msgspec.to_builtins(result, builtin_types=(datetime,))
        print_json({"twin": record.id, "run": run, "result": told, "notes": notes})
        return 0
    show_forecast(found, result)
    say(f"Kept as run {run[:12]}.")
    return 0


def show_forecast(found: Calibrated, result: Forecast) -> None:
    """Tell a person a forecast: the picture, the numbers, and how far to trust them."""
    since = f"{result.at:%Y-%m-%d %H:%M} UTC"
    say(f"{result.title} ({result.model} {result.version}); simulated, not measured; from {since}")
    for course in result.courses:
        earliest = result.at - timedelta(hours=_SHOWN_HOURS)
        measured = [
            (r.when, r.value)
            for r in found.series.readings
            if r.channel == course.name and earliest <= r.when <= result.at
        ]
        for line in draw_curve(measured, course, result.at):
            say(line)
        shown = [i for i, minute in enumerate(course.minutes) if minute % 15 == 0 or i == len(course.minutes) - 1]
        print_table(
            f"{course.title}, {course.unit}",
            [">Minutes", ">Expected", ">From", ">To (90 %)"],
            (
                (f"{course.minutes[i]:.0f}", f"{course.median[i]:.0f}", f"{course.low[i]:.0f}", f"{course.high[i]:.0f}")
                for i in shown
            ),
        )
    for text in said_of_age(result.last, found.at, "forecast"):
        say(text)
    say(f"Method: {result.method}.")
    if result.scores:
        print_table(
            "How right such forecasts were on this twin's own past",
            [">Minutes", ">RMSE", ">MAE", ">CRPS", ">Inside 90 %", ">Nothing changes: RMSE", ">Forecasts"],
            (
                (
                    s.minutes,
                    f"{s.rmse:.1f}",
                    f"{s.mae:.1f}",
                    f"{s.crps:.1f}",
                    f"{s.coverage * 100:.0f} %",
                    f"{s.persistence:.1f}",
                    s.count,
                )
                for s in result.scores
            ),
        )
        for title in result.untested:
            say(f"{title}: not tested, neither the course nor its interval; the figures above are not of it.")
    else:
        say("There is no past yet on which such forecasts could be tested.")
    if len(result.days) > 1:
        print_table(
            "Day by day, 60 minutes ahead",
            ["Day (UTC)", ">RMSE", ">Nothing changes: RMSE", ">Inside 90 %", ">Forecasts"],
            (
                (day, f"{s.rmse:.1f}", f"{s.persistence:.1f}", f"{s.coverage * 100:.0f} %", s.count)
                for day, scores in result.days.items()
                for s in scores[-1:]
            ),
        )
    for text in result.assumptions:
        say(f"Assumed: {text}")
    say(f"{result.limits} {result.citation}")


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

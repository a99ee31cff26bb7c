"""The living part of a twin on its page: the forecast, how right such forecasts were, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.calibration import Calibrated, current, dynamic_models
from gateway.home import Home
from gateway.outlook import keep, look_ahead
from gateway.store import TwinRecord
from gateway.web.course import CourseChart, draw_course, room_for
from gateway.web.days import DaysChart, draw_days
from gateway.web.glucose import Figures, build_figures
from gateway.web.section import Lacking, attempt, lacking
from gateway.web.trial import Trial, build_trial
from gateway.web.warned import Warned, build_warned
from gateway.wording import short_time
from twin_engine import Missing
from twin_engine.alert import rules_of
from twin_engine.forecast import STALE, Course, Forecast

__all__ = ["Living", "Outlook", "build_living", "living_titles"]

_MEASURED_HOURS = 3
_MINUTE = timedelta(minutes=1)  # a forecast begins in the minute of its last reading
_EVERY = 15  # minutes between the rows of the table


@dataclass(frozen=True)
class Outlook:
    """A forecast as the page shows it, with the scores that belong to it. Cells are text."""

    title: str
    label: str
    minutes: int
    at: str
    charts: tuple[CourseChart, ...]
    ahead: tuple[tuple[str, str, str, str], ...]
    unit: str
    method: str
    scores: tuple[tuple[str, ...], ...]
    days: DaysChart | None
    grounds: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    run: str


@dataclass(frozen=True)
class Living:
    """One model that moves with a twin: its sections, each of which may be missing by itself."""

    model: str
    channel: str
    outlook: Outlook | Lacking
    warned: Warned | Lacking | None
    figures: Figures | Lacking | None
    trial: Trial | Lacking


def living_titles(home: Home) -> dict[str, str]:
    """Name the models that have such sections."""
    return {name: model.title for name, model in dynamic_models(home).items()}


def build_living(
    home: Home, record: TwinRecord, name: str, at: datetime, asked: str = "", said: dict[str, str] | None = None
) -> Living | Lacking:
    """Calibrate a model to an opened twin and arrange what it says; or say what it lacks.

    `asked` is the start of the id of a what-if to show, `said` what somebody typed into its form.
    """
    model = dynamic_models(home)[name]
    found = current(home, record, model)
    if isinstance(found, Missing):
        return lacking(found)
    warned = attempt("Warnings", lambda: build_warned(home, found, at)) if rules_of(model) else None
    return Living(
        model=name,
        channel=model.channels[0].name,
        outlook=attempt(model.title, lambda: _outlook(home, found, warned, at)),
        warned=warned,
        figures=attempt("Glucose figures", lambda: build_figures(found)),
        trial=attempt("Try", lambda: build_trial(home, found, asked, said or {})),
    )


def _outlook(home: Home, found: Calibrated, warned: Warned | Lacking | None, at: datetime) -> Outlook:
    forecast = warned.forecast if isinstance(warned, Warned) else look_ahead(found)
    run = warned.run if isinstance(warned, Warned) and warned.run else keep(home, found, forecast)
    limits = warned.limits if isinstance(warned, Warned) else ()
    course = forecast.courses[0]
    return Outlook(
        title=forecast.title,
        label=f"{forecast.model} {forecast.version}",
        minutes=int(course.minutes[-1]),
        at=f"{forecast.at:%Y-%m-%d %H:%M} UTC",
        charts=tuple(
            draw_course(
                _measured(found, each, forecast),
                [("expected", each)],
                forecast.at,
                limits=limits,
                seen=room_for([value for value, _ in limits]),
            )
            for each in forecast.courses[:1]
        ),
        ahead=tuple(
            (f"{course.minutes[i]:.0f}", f"{course.median[i]:.0f}", f"{course.low[i]:.0f}", f"{course.high[i]:.0f}")
            for i in range(len(course.minutes))
            if course.minutes[i] % _EVERY == 0 or i == len(course.minutes) - 1
        ),
        unit=course.unit,
        method=forecast.method,
        scores=tuple(
            (
                str(s.minutes),
                f"{s.rmse:.1f}",
                f"{s.mae:.1f}",
                f"{s.crps:.1f}",
                f"{100.0 * s.coverage:.0f} %",
                f"{s.persistence:.1f}",
                f"{100.0 * s.gain:+.0f} %",
                str(s.count),
            )
            for s in forecast.scores
        ),
        days=draw_days(forecast.days, course.unit),
        grounds=tuple((each.title, each.said, short_time(each.when) or each.basis) for each in forecast.inputs),
        notes=_notes(found, forecast, at),
        assumptions=forecast.assumptions,
        limits=forecast.limits,
        citation=forecast.citation,
        run=run[:12],
    )


def _measured(found: Calibrated, course: Course, forecast: Forecast) -> list[tuple[datetime, float]]:
    since, until = forecast.at - timedelta(hours=_MEASURED_HOURS), forecast.at + _MINUTE
    return [(r.when, r.value) for r in found.series.readings if r.channel == course.name and since <= r.when < until]


def _notes(found: Calibrated, forecast: Forecast, at: datetime) -> tuple[str, ...]:
    old = at - forecast.last
    notes = []
    if old > timedelta(hours=1):
        hours = old.total_seconds() / 3600.0
        notes.append(f"The last reading is {hours:.0f} hours old: this forecast is of the past, not of now.")
    elif old > STALE:
        notes.append(f"The last reading is {old.total_seconds() / 60.0:.0f} minutes old.")
    if found.series.unbelieved:
        notes.append(f"{len(found.series.unbelieved)} values on record were not believed and are left out.")
    return tuple(notes)

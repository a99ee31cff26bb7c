"""The figures of a glucose sensor on the page: time in ranges, what it says of control, and episodes. All measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.calibration import Calibrated
from gateway.web.section import Lacking
from twin_engine.glycaemia.report import Report, TooLittle, report_of

__all__ = ["Figures", "Part", "build_figures"]

WIDTH = 640.0
_CHANNEL = "interstitial-glucose"
_WINDOWS = (14.0, 7.0, 3.0, 1.0)  # days; the consensus asks for the first
_SHOWN = frozenset({"mean", "gmi", "cv", "sd", "gri", "lbgi", "hbgi"})
_LEVELS = {
    ("hypo", 1): "Below 70 mg/dL",
    ("hypo", 2): "Below 54 mg/dL",
    ("hyper", 1): "Above 180 mg/dL",
    ("hyper", 2): "Above 250 mg/dL",
}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """One range of the bar: its share in words, and its place."""

    name: str
    style: str
    share: str
    x: str
    width: str


@dataclass(frozen=True)
class Figures:
    """What the page says of a sensor's trace; every cell is text."""

    window: str
    measured: str
    parts: tuple[Part, ...]
    targets: tuple[tuple[str, str, str, str], ...]
    numbers: tuple[tuple[str, str, str, str], ...]
    episodes: tuple[tuple[str, str, str, str], ...]
    untold: tuple[str, ...]
    notes: tuple[str, ...]
    words: str
    width: float = WIDTH


def build_figures(found: Calibrated) -> Figures | Lacking | None:
    """Make the figures of the longest window that was measured well enough; `None` where there is no such sensor."""
    readings = [reading for reading in found.series.readings if reading.channel == _CHANNEL]
    if found.model.channels[0].name != _CHANNEL or not readings:
        return None
    minutes = [(reading.when - _EPOCH).total_seconds() / 60.0 for reading in readings]
    values = [reading.value for reading in readings]
    made = (report_of(minutes, values, days=days) for days in _WINDOWS)
    tried: Report | TooLittle | None = None
    for each in made:
        tried = each
        if isinstance(each, Report):
            return _figures(each)
    said = tried.say if isinstance(tried, TooLittle) else ""
    return Lacking("Glucose figures", (said,), "They come with more readings of a sensor; see twin glycaemia.")


def _figures(report: Report) -> Figures:
    times = report.times
    told = (
        ("Below 54", "tbr2", times.tbr2),
        ("54 to 69", "tbr1", times.tbr1),
        ("70 to 180", "tir", times.tir),
        ("181 to 250", "tar1", times.tar1),
        ("Above 250", "tar2", times.tar2),
    )
    parts, at = [], 0.0
    for name, style, share in told:
        parts.append(Part(name, style, f"{share:.1f} %", f"{at:.1f}", f"{share / 100.0 * WIDTH:.1f}"))
        at += share / 100.0 * WIDTH
    window = report.wear.window
    notes = list(report.assumptions)
    if window < _WINDOWS[0]:
        notes.insert(0, f"The consensus asks for {_WINDOWS[0]:g} days; this is of the last {window:g}.")
    first, last = (_EPOCH + timedelta(minutes=minute) for minute in (report.begin, report.end))
    return Figures(
        window=f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC",
        measured=f"{report.readings} readings, {report.wear.active:.0f} % of {window:g} days, {report.gaps} gaps",
        parts=tuple(parts),
        targets=tuple(
            (t.name, f"{t.percent:.1f} %", f"{t.compare} {t.limit:g} %", "yes" if t.met else "no")
            for t in report.targets
        ),
        numbers=tuple(
            (n.title, f"{n.value:.1f}", "" if n.unit == "1" else n.unit, n.definition)
            for n in report.numbers
            if n.name in _SHOWN
        ),
        episodes=tuple(
            (
                _LEVELS[count.kind, count.level],
                str(count.episodes),
                f"{count.a_week:.1f}",
                f"{count.minutes:.0f} min" if count.episodes else "",
            )
            for count in report.counts
        ),
        untold=tuple(f"{each.title}: not told. {each.say}" for each in report.untold if each.name in _SHOWN),
        notes=tuple(notes),
        words="Measured time in ranges, mg/dL: " + "; ".join(f"{p.name.lower()} {p.share}" for p in parts),
    )

"""The two halves of the picture of a circulation: loops of the left ventricle, and pressures over two beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.panel import Panel, axis, line, number, text, titled
from twin_engine.circulation.waveform import Portrait, Waveform
from twin_engine.model import Array

__all__ = ["MEASURED", "Cuff", "Drawn", "cut", "draw_beats", "draw_loops"]

MEASURED = "#0b5cad"
_LOOPS = (52.0, 418.0, 84.0, 382.0)  # left, right, top, bottom of the panel of loops
_BEATS = (486.0, 850.0, 84.0, 382.0)
_BETWEEN = 50.0  # panels that stand side by side
_CUFF = 22.0  # so far right of the beats stands what was measured
_OVERLAID = 2  # states whose pressures are drawn over each other
_APART = 14.0  # letters of loops, so that they can be read
_SHORT = 19  # letters of a title over a narrow panel
_PRESSURES = (("aorta", "root_pressure", 2.4), ("LV", "left_pressure", 1.6), ("LA", "left_atrial_pressure", 1.2))
_EMPTY = 100.0  # mL and mmHg on the axes where there is nothing to draw


@dataclass(frozen=True, slots=True)
class Cuff:
    """What a cuff measured, mmHg, and when, in words ("" where that is said elsewhere)."""

    systolic: float
    diastolic: float
    when: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A state with its looks and its letter ("" where it is alone)."""

    label: str
    portrait: Portrait
    colour: str
    dash: str
    letter: str

    @property
    def wave(self) -> Waveform:
        """The heart that stands for it."""
        return self.portrait.stands

    @property
    def name(self) -> str:
        """Its letter and its label."""
        return f"{self.letter} {self.label}".strip()


def draw_loops(states: Sequence[Drawn]) -> str:
    """Draw a thin loop for each heart behind, then the relations and the thick loop of each that stands for them."""
    left, right, top, bottom = _LOOPS
    every = 1 if len(states) <= _OVERLAID else 2  # with more states, half of the thin ones can still be told apart
    behind = {each.name: [w for w in each.portrait.behind[::every] if not w.collapsed] for each in states}
    standing = [each for each in states if not each.wave.collapsed]
    waves = [*(w for thin in behind.values() for w in thin), *(each.wave for each in standing)]
    panel = Panel(
        axis([0.0, *_ends(w.left_volume for w in waves)], left, right, room=0.03),
        axis([0.0, *_ends(w.left_pressure for w in waves)], bottom, top, room=0.05),
    )
    parts = [panel.frame("Left ventricle: pressure and volume", "mmHg", "volume, mL")]
    for each in states:
        loops = [line(_loop(panel, wave, 4), each.colour, 0.8, faint=0.35) for wave in behind[each.name]]
        parts += [titled(f"{each.name}: other hearts of the ensemble, simulated", *loops)] if loops else []
    parts += [] if waves else [_nothing(panel)]
    for each in standing:
        lines = [line(_relation(panel, each.wave, of), each.colour, 1.2, dash="1 4", faint=0.8) for of in (1, 2)]
        parts.append(titled(f"{each.name}: end-systolic and end-diastolic relation, simulated", *lines))
    for each in standing:
        loop = line(_loop(panel, each.wave, 2), each.colour, 2.6, dash=each.dash)
        parts.append(titled(f"{each.name}: loop of the left ventricle, simulated", loop))
    return "\n".join([*parts, *_letters(panel, standing)])


def draw_beats(states: Sequence[Drawn], measured: Cuff | None) -> str:
    """Draw pressures over two beats, and beside them what a cuff measured.

    One or two states are drawn over each other, more of them side by side on the same scales.
    """
    left, right, top, bottom = _BEATS
    waves = [each.wave for each in states if not each.wave.collapsed]
    curves = (getattr(wave, curve) for wave in waves for _, curve, _ in _PRESSURES)
    seconds = [0.0, *(float(wave.seconds[-1] - wave.seconds[0]) for wave in waves)] if waves else [0.0, 1.0]
    pressures = [0.0, *_ends(curves), *((measured.systolic, measured.diastolic) if measured else ())]
    if len(states) <= _OVERLAID:
        panel = Panel(axis(seconds, left, right), axis(pressures, bottom, top, room=0.05))
        title = "Pressures: aorta, left ventricle (LV), left atrium (LA)"
        return "\n".join([panel.frame(title, "mmHg", "time, s"), *_curves(panel, states), *_dots(panel, measured)])
    parts = []
    wide, high = (right - left - _BETWEEN) / 2.0, (bottom - top - _BETWEEN) / 2.0
    for place, each in enumerate(states):
        x, y = left + (place % 2) * (wide + _BETWEEN), top + (place // 2) * (high + _BETWEEN)
        panel = Panel(axis(seconds, x, x + wide, most=5), axis(pressures, y + high, y, most=5, room=0.05))
        unit, below = "" if place % 2 else "mmHg", "time, s" if place + 2 >= len(states) else ""
        parts += [panel.frame(cut(each.name, _SHORT), unit, below), *_curves(panel, [each])]
        parts += _dots(panel, measured if place == 0 else None)
    return "\n".join(parts)


def cut(words: str, longest: int) -> str:
    """Shorten words to so many letters."""
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _ends(curves: Iterable[Array]) -> list[float]:
    """Return the lowest and the highest values of curves."""
    return [float(end) for curve in curves for end in (curve.min(), curve.max())] or [_EMPTY]


def _loop(panel: Panel, wave: Waveform, every: int) -> str:
    """Place the first beat's loop, to the first sample of the next."""
    beat = slice(wave.begins[0], wave.begins[1] + 1, every)
    return panel.points(wave.left_volume[beat], wave.left_pressure[beat])


def _relation(panel: Panel, wave: Waveform, column: int) -> str:
    """Place the part of a relation that lies inside the frame."""
    inside = [row for row in wave.relation if panel.holds(row[0], row[column])]
    return panel.points((row[0] for row in inside), (row[column] for row in inside))


def _letters(panel: Panel, states: Sequence[Drawn]) -> list[str]:
    """Name each thick loop at its highest point; letters that would lie on each other move apart."""
    placed: list[tuple[float, float]] = []
    parts = []
    for each in states:
        peak = int(each.wave.left_pressure.argmax())
        x, y = panel.across.at(each.wave.left_volume[peak]), panel.up.at(each.wave.left_pressure[peak]) - 5.0
        while any(abs(x - a) < _APART and abs(y - b) < _APART for a, b in placed):
            x += _APART
        placed.append((x, y))
        parts.append(text(x, y, each.letter, anchor="middle", colour=each.colour, size=14, bold=True))
    return parts


def _curves(panel: Panel, states: Sequence[Drawn]) -> list[str]:
    """Draw the three pressures of states, and name those of the last."""
    parts, standing = [], [each for each in states if not each.wave.collapsed]
    for each in standing:
        seconds = each.wave.seconds - each.wave.seconds[0]
        for name, curve, width in _PRESSURES:
            points = panel.points(seconds[::2], getattr(each.wave, curve)[::2])
            parts.append(titled(f"{each.name}: {name}, simulated", line(points, each.colour, width, dash=each.dash)))
    if not standing:
        return [_nothing(panel)]
    wave, colour = standing[-1].wave, standing[-1].colour
    systole = int(np.flatnonzero(wave.left_pressure[: wave.begins[1]] > wave.left_pressure.max() / 2.0).mean())
    diastole = (wave.end_systole[0] + wave.begins[1]) // 2
    for name, at, pressure in (
        ("aorta", diastole, wave.root_pressure[diastole]),
        ("LV", systole, 0.6 * wave.left_pressure[systole]),  # inside its arch
        ("LA", systole, wave.left_atrial_pressure[systole]),
    ):
        x = panel.across.at(wave.seconds[at] - wave.seconds[0])
        parts.append(text(x, panel.up.at(pressure) - 7.0, name, anchor="middle", colour=colour))
    return parts


def _nothing(panel: Panel) -> str:
    """Say in the middle of an empty panel why it is."""
    middle = (panel.across.start + panel.across.end) / 2.0
    return text(middle, (panel.up.start + panel.up.end) / 2.0, "collapsed", anchor="middle")


def _dots(panel: Panel, measured: Cuff | None) -> list[str]:
    """Draw what a cuff measured beside the beats, as solid dots, which nothing simulated is."""
    if measured is None:
        return []
    x = panel.across.end + _CUFF
    dots = [
        f'<circle cx="{number(x)}" cy="{number(panel.up.at(value))}" r="5" fill="{MEASURED}"/>'
        for value in (measured.systolic, measured.diastolic)
    ]
    words = text(x, panel.up.end - 10.0, "cuff", anchor="middle", colour=MEASURED)
    return [titled(f"measured by cuff, {measured.systolic:g}/{measured.diastolic:g} mmHg", *dots, words)]

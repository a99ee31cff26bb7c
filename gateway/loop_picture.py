"""The picture of a circulation as SVG: the left ventricle's pressure-volume loop, and pressures over two beats.

Simulated values are lines, of which each state has its colour and dash; what a cuff measured is solid dots, in a column
of its own beside the beats. One function makes it for a file and for a page alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.loop_panels import MEASURED, Cuff, Drawn, cut, draw_beats, draw_loops
from gateway.panel import INK, clean, line, number, text
from security.errors import Misuse
from twin_engine.circulation.heart import ALIVE
from twin_engine.circulation.waveform import Portrait

__all__ = ["HEIGHT", "MOST", "WIDTH", "Cuff", "Shown", "draw"]

WIDTH, HEIGHT = 900, 520
MOST = 4  # states in one picture
_SIMULATED = "#6f2bd9"
# A colour and a dash of each state: told apart without colour, and by who cannot tell red from green.
_LOOKS = (("#6b7580", "7 4"), (_SIMULATED, ""), ("#c2500a", "12 3 3 3"), ("#111111", "3 3"))
_ALONE = ((_SIMULATED, ""),)
_FIRST_ROW, _ROW = 456.0, 17.0  # of the legend
_LABEL, _WHEN = 34, 30  # letters of a label and of a time; longer ones are cut, and whole in the description
_MEANING = (
    "Thick: the heart that stands for all. Thin: others, just as possible. "
    "Dotted: end-systolic, end-diastolic relation."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One state of a circulation, and what it is called: "before", "after dobutamine 5 ug/kg/min"."""

    label: str
    portrait: Portrait


def draw(states: Sequence[Shown], *, measured: Cuff | None = None) -> str:
    """Draw one to four states, in order, as an SVG element of 900 by 520; the first of several is the one before.

    A state whose heart has collapsed is said in words and not drawn. The same states give the same bytes. Raises
    `Misuse` on any other number of states, and on a measured value that is no number.
    """
    if not 1 <= len(states) <= MOST:
        raise Misuse(f"A picture of the circulation shows 1 to {MOST} states.", hint="Choose which to compare.")
    if measured and not (math.isfinite(measured.systolic) and math.isfinite(measured.diastolic)):
        raise Misuse("A measured pressure is no number.", hint="Leave it out.")
    many = len(states) > 1
    drawn = [
        Drawn(each.label, each.portrait, *look, "ABCD"[place] if many else "")
        for place, (each, look) in enumerate(zip(states, _LOOKS if many else _ALONE, strict=False))
    ]
    told = [f"{each.name}: {_said(each)}." for each in drawn]
    cuff = f"Measured by cuff: {measured.systolic:g}/{measured.diastolic:g} mmHg" if measured else ""
    when = f", {measured.when}" if measured and measured.when else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        "role=\"img\" font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">",
        "<title>A circulation, simulated, not measured</title>",
        f"<desc>{clean(' '.join(['Simulated, not measured.', *told, cuff + when]).strip())}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(16.0, 25.0, "Simulated, not measured", colour=_SIMULATED, size=16, bold=True),
        text(260.0, 25.0, "Two beats of a model: left ventricle (LV), left atrium (LA) and aorta", colour=INK, size=13),
        text(16.0, 46.0, _MEANING),
        draw_loops(drawn),
        draw_beats(drawn, measured),
        text(884.0, _FIRST_ROW - 22.0, f"● {cuff}{cut(when, _WHEN)}" if cuff else "", anchor="end", colour=MEASURED),
        *(_row(each, _FIRST_ROW + _ROW * place) for place, each in enumerate(drawn)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _row(state: Drawn, y: float) -> str:
    """Draw a state's row of the legend: its line, its name, its numbers."""
    sample = line(f"16.0,{number(y - 4.0)} 54.0,{number(y - 4.0)}", state.colour, 2.6, dash=state.dash)
    name = text(62.0, y, cut(state.name, _LABEL), colour=INK, bold=True)
    return f"{sample}\n{name}\n{text(320.0, y, _said(state), colour=INK)}"


def _said(state: Drawn) -> str:
    """Say the numbers of the heart that stands for a state, or that there are none; and how many collapsed."""
    gone, members = state.portrait.collapsed, state.portrait.members
    lost = f"; {gone} of {members} collapse" if gone else ""
    if state.wave.collapsed:
        return f"collapses, mean pressure below {ALIVE:g} mmHg: not drawn{lost}"
    told = state.wave.told()
    return (
        f"{told['systolic-pressure']:.0f}/{told['diastolic-pressure']:.0f} mmHg, "
        f"EF {told['ejection-fraction']:.0f} %, {told['end-diastolic-volume']:.0f} to "
        f"{told['end-systolic-volume']:.0f} mL, end-diastolic {told['end-diastolic-pressure']:.0f} mmHg{lost}"
    )

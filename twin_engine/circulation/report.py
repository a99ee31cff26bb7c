"""The evidence as tables: what each state of the circulation and each prosthesis shows, beside what is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.prostheses import PROSTHESES, Position, implanted
from twin_engine.circulation.prostheses import SOURCES as VALVE_SOURCES
from twin_engine.circulation.states import SOURCES, STATES, Reached, answered, changed, reach

__all__ = [
    "DIGITS",
    "PATIENTS",
    "Line",
    "everything",
    "markdown",
    "page",
    "ranged",
    "said",
    "state_lines",
    "valve_lines",
]

DIGITS: Final[Mapping[str, int]] = {
    "cardiac-output": 1,
    "cardiac-index": 1,
    "pulmonary-resistance": 1,
    "cardiac-power-index": 2,
    "systemic-resistance": -1,
    "aortic-mean-gradient": 1,
    "mitral-mean-gradient": 1,
}
"""Digits after the point that are printed; of the others none."""

PATIENTS: Final[Mapping[Position, str]] = {
    "aortic": "aortic-stenosis-severe",
    "mitral": "mitral-regurgitation-chronic",
}
"""Who gets a prosthesis, to see its gradient."""

_GRADIENT: Final[Mapping[Position, str]] = {"aortic": "aortic-mean-gradient", "mitral": "mitral-mean-gradient"}


@dataclass(frozen=True, slots=True)
class Line:
    """One published number beside ours, both as printed; whether ours lies inside, and whether the table says so."""

    of: str
    quantity: str
    unit: str
    ours: str
    published: str
    inside: bool
    declared: bool
    source: str
    read: str


def said(quantity: str, value: float, *, percent: bool = False) -> str:
    """Return a value with the digits that do not depend on the step of time."""
    digits = 0 if percent else DIGITS.get(quantity, 0)
    return f"{round(value, digits) + 0.0:.{max(digits, 0)}f}"


def ranged(low: float, high: float) -> str:
    """Return bounds as they are printed; an infinite one is open."""
    if not np.isfinite(low):
        return f"at most {high:g}"
    if not np.isfinite(high):
        return f"at least {low:g}"
    return f"{float(f'{low:.4g}'):g} to {float(f'{high:.4g}'):g}"


def state_lines(reached: Mapping[str, Reached]) -> list[Line]:
    """Return a line for each published number of each state, in the order of the table."""
    lines = []
    for name, state in STATES.items():
        for row in state.published:
            ours, source = reached[name].shows(row), SOURCES[row.source]
            by = "" if row.by == "value" else ", change"
            shown = said(row.quantity, ours, percent=row.by == "percent")
            inside = row.holds(ours)
            lines.append(
                Line(
                    of=state.title if state.fitted else f"{state.title} (not fitted)",
                    quantity=f"{row.quantity}{by}",
                    unit=row.unit,
                    ours=shown,
                    published=ranged(*row.bounds),
                    inside=inside,
                    declared=inside != (row.name in state.fails),
                    source=source.cite,
                    read=source.read,
                )
            )
    return lines


def valve_lines(reached: Mapping[str, Reached]) -> list[Line]:
    """Return a line for each size of each prosthesis whose gradient is published: put into `PATIENTS`, all at once."""
    lines = []
    for position, name in PATIENTS.items():
        patient, place = reached[name], list(TOLD).index(_GRADIENT[position])
        valves = [
            (each, size)
            for each in PROSTHESES
            for size in each.sizes
            if each.position == position and size.gradient is not None and size.gradient_sd is not None
        ]
        parameters = [
            changed(patient.parameters[0], implanted(position, each.name, size.size)) for each, size in valves
        ]
        _, beats = answered(patient, np.stack(parameters), minutes=1.0)
        for (each, size), ours in zip(valves, beats[:, place], strict=True):
            mean, sd, source = size.gradient or 0.0, size.gradient_sd or 0.0, VALVE_SOURCES[each.source]
            inside = bool(abs(ours - mean) <= sd)
            lines.append(
                Line(
                    of=f"{each.name}, {position}, {size.size} mm",
                    quantity=_GRADIENT[position],
                    unit="mm[Hg]",
                    ours=said(_GRADIENT[position], float(ours)),
                    published=ranged(mean - sd, mean + sd),
                    inside=inside,
                    declared=inside != size.misses,
                    source=source.cite,
                    read=source.read,
                )
            )
    return lines


def markdown(lines: Iterable[Line], what: str) -> str:
    """Return lines as a table in Markdown; its sources are numbered below it, with how far each was read."""
    told = list(lines)
    sources = list(dict.fromkeys((line.source, line.read) for line in told))
    out = [f"| {what} | quantity | unit | ours | published | inside | source |", "|---|---|---|---|---|---|---|"]
    before = ""
    for line in told:
        number = sources.index((line.source, line.read)) + 1
        verdict = "yes" if line.inside else "**no**"
        of = line.of if line.of != before else ""
        cells = (of, line.quantity, line.unit, line.ours, line.published, verdict, f"{number}, {line.read}")
        out.append(f"| {' | '.join(cells)} |")
        before = line.of
    out += ["", *(f"{i}. {cite}." for i, (cite, _) in enumerate(sources, 1)), ""]
    return "\n".join(out)


def page(reached: Mapping[str, Reached]) -> str:
    """Return both tables as they stand in docs/circulation-states.md."""
    states, valves = state_lines(reached), valve_lines(reached)
    blind = [line for line in states if line.of.endswith("(not fitted)")]
    fitted = [line for line in states if line not in blind]
    counts = (
        f"{sum(line.inside for line in of)} of {len(of)} {what}"
        for of, what in (
            (fitted, "numbers of states that were fitted to them lie inside"),
            (blind, "numbers of states that were not"),
            (valves, "gradients of prostheses, which were not"),
        )
    )
    return f"{'; '.join(counts)}.\n\n{markdown(states, 'state')}\n## Prostheses\n\n{markdown(valves, 'prosthesis')}"


def everything() -> Mapping[str, Reached]:
    """Bring a circulation into each state of the table."""
    return {name: reach(name) for name in STATES}

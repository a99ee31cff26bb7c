"""Operations beside each other in words, for the terminal and the page alike: what changes, what may go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from gateway.operations import Operations, Tried

__all__ = ["columns_of", "named_plans", "risk_rows", "rows_of", "said_suits"]

Named = Sequence[tuple[str, Tried]]

_SHOWN = (
    *("heart-rate", "systolic-pressure", "diastolic-pressure", "mean-pressure", "cardiac-output", "cardiac-index"),
    *("ejection-fraction", "end-diastolic-volume", "end-systolic-volume", "end-diastolic-pressure"),
    *("wedge-pressure", "central-venous-pressure", "mean-pulmonary-pressure", "aortic-mean-gradient"),
    *("mitral-mean-gradient", "mitral-regurgitant-volume", "rise-of-pressure", "stroke-work"),
)
_DIGITS = {"cardiac-output": 1, "cardiac-index": 1, "aortic-mean-gradient": 1, "mitral-mean-gradient": 1}


def named_plans(found: Operations) -> list[tuple[str, Tried]]:
    """Give each plan the letter that it has in the picture, where A is the heart as it is."""
    return list(zip(ascii_uppercase[1:], found.plans, strict=False))


def columns_of(named: Named) -> list[str]:
    """Return the columns of numbers that `rows_of` gives after quantity and unit."""
    return ["A, before (95 %)", *(f"{name}, {what} (95 %)" for name, _ in named for what in ("after", "change"))]


def rows_of(named: Named) -> list[list[str]]:
    """Write each quantity: its name, its unit, before, and after and by how much for each plan."""
    tables = [{row.name: row for row in plan.rows} for _, plan in named]
    rows = []
    for name in _SHOWN:
        first, digits = tables[0][name], _DIGITS.get(name, 0)
        cells = [name.replace("-", " ").capitalize(), first.unit, _span(first.before, digits)]
        for table in tables:
            cells += [_span(table[name].after, digits), _span(table[name].change, digits, "+")]
        rows.append(cells)
    return rows


def risk_rows(named: Named) -> list[list[str]]:
    """Write each risk: its title, when it counts, and the share of members before and after each plan, %."""
    tables = [{risk.name: risk for risk in plan.risks} for _, plan in named]
    rows = []
    for name, risk in {name: risk for table in reversed(tables) for name, risk in table.items()}.items():
        before = "" if risk.before is None else f"{100 * risk.before:.0f}"
        after = [f"{100 * table[name].after:.0f}" if name in table else "" for table in tables]
        rows.append([risk.title, risk.definition, before, *after])
    return rows


def said_suits(named: Named) -> list[str]:
    """Say how each new valve suits the body."""
    told = []
    for name, plan in named:
        for each in plan.suits:
            low, middle, high = each.indexed
            grades = ", ".join(f"{grade} {100 * share:.0f} %" for grade, share in each.shares.items())
            told.append(
                f"{name}, new {each.position} valve: {middle:.2f} cm2/m2 ({low:.2f} to {high:.2f}); mismatch: {grades}"
            )
    return told


def _span(span: tuple[float, float, float] | None, digits: int, sign: str = "") -> str:
    if span is None:
        return "no member lives"
    low, middle, high = (f"{round(each, digits) + 0.0:{sign}.{digits}f}" for each in span)
    return f"{middle} ({low} to {high})"

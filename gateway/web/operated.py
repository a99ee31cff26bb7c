"""Operations, on the page: a form for one or two plans in words, and what would come of them, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.calibration import Calibrated, current
from gateway.home import Home
from gateway.operations import Operations, operations_on, picture_of
from gateway.outlook import keep
from gateway.side_by_side import columns_of, named_plans, risk_rows, rows_of, said_suits
from gateway.store import SavedRun, TwinRecord
from gateway.web.kept import find_kept
from gateway.web.section import Lacking
from gateway.web.tried import differ
from security.errors import Misuse
from twin_engine import Missing
from twin_engine.circulation.prostheses import PROSTHESES
from twin_engine.dynamic import DynamicModel
from twin_engine.run import Input

__all__ = ["Operate", "Pictures", "Shown", "build_operate", "draw_again", "run_operations"]

PLANS = 2
_LONGEST_TEXT = 600
_MOST_PICTURES = 32
_OTHERS = ("mitral repair", "pump 9000 /min", "balloon 40 mL", "pacing 60 /min", "revascularisation: anterior, septal")
_KNOWN = tuple(f"{each.position} valve: {each.name} {size.size} mm" for each in PROSTHESES for size in each.sizes)


@dataclass(frozen=True)
class Shown:
    """Kept operations as the page shows them; rows of text.

    `plans` are letter, title and what collapses. `overtaken` says that they stand on other readings than are known now;
    `None` where that is not known yet.
    """

    run: str
    id: str
    at: str
    overtaken: bool | None
    plans: tuple[tuple[str, str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    risks: tuple[tuple[str, ...], ...]
    suits: tuple[str, ...]
    held: tuple[str, ...]
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]
    grounds: tuple[tuple[str, str, str], ...]
    limits: str
    citation: str
    members: int


@dataclass(frozen=True)
class Operate:
    """The form with what was typed, and the newest operations on this twin, or those that were asked for."""

    plans: tuple[tuple[int, str], ...]
    known: tuple[str, ...]
    longest: int
    shown: Shown | None


class Pictures:
    """The pictures of the last operations, by run: nothing keeps them, since what they show can be done again."""

    def __init__(self) -> None:
        self._drawn: dict[str, str] = {}

    def keep(self, run: str, picture: str) -> None:
        """Take a picture in, and let the oldest go where there are too many."""
        self._drawn[run] = picture
        while len(self._drawn) > _MOST_PICTURES:
            del self._drawn[next(iter(self._drawn))]

    def find(self, run: str) -> str:
        """Return the picture of a run, "" where it is not here."""
        return self._drawn.get(run, "")


def build_operate(kept: SavedRun | None, said: Mapping[str, str], grounds: tuple[Input, ...] | None) -> Operate:
    """Arrange form and result. `grounds` are the readings that the twin's circulation stands on now, once known.

    The form holds what was typed, else the plans that are shown, so that they can be changed.
    """
    result = msgspec.json.decode(kept.content, type=Operations) if kept else None
    titles = [plan.title for plan in result.plans] if result and not said else []
    typed = said or {f"plan{number}": title for number, title in enumerate(titles, 1)}
    return Operate(
        plans=tuple((number, typed.get(f"plan{number}", "")) for number in range(1, PLANS + 1)),
        known=(*_OTHERS, *_KNOWN),
        longest=_LONGEST_TEXT,
        shown=_show(kept.id, result, grounds) if kept and result else None,
    )


def run_operations(home: Home, found: Calibrated, said: Mapping[str, str], pictures: Pictures) -> str:
    """Do what a form asks for on a calibrated circulation, keep it and draw it; returns the id of the run.

    Raises `Misuse` and `UnknownName` where a plan cannot be read or there is none.
    """
    plans = [text for number in range(1, PLANS + 1) if (text := said.get(f"plan{number}", "").strip())]
    if not plans:
        raise Misuse("There is nothing to try.", hint="Say an operation in words, like one of the examples.")
    if any(len(text) > _LONGEST_TEXT for text in plans):
        raise Misuse("A plan is too long.", hint=f"Say it in {_LONGEST_TEXT} letters.")
    result, done = operations_on(found, plans)
    run = keep(home, found, result)
    pictures.keep(run, picture_of(found, done))
    return run


def draw_again(home: Home, record: TwinRecord, model: DynamicModel, run: str, pictures: Pictures) -> str | Lacking:
    """Draw kept operations that have no picture any more; not where they would come out otherwise now."""
    known, kept = current(home, record, model), find_kept(home, record.id, model.name, "operations", run)
    if not isinstance(known, Missing) and kept:
        before = msgspec.json.decode(kept.content, type=Operations)
        result, done = operations_on(known, [plan.title for plan in before.plans])
        if result.plans == before.plans:
            pictures.keep(kept.id, picture_of(known, done))
            return pictures.find(kept.id)
    return Lacking(
        "Picture",
        ("It is not kept, and would be another one now: readings have come since, or those that were used are older.",),
        "Try the operation again.",
    )


def _show(run: str, found: Operations, grounds: tuple[Input, ...] | None) -> Shown:
    named = named_plans(found)
    plans = found.plans
    return Shown(
        run=run[:12],
        id=run,
        at=f"{found.at:%Y-%m-%d %H:%M} UTC",
        overtaken=None if grounds is None else differ(found.inputs, grounds),
        plans=tuple((name, plan.title, plan.collapse) for name, plan in named),
        columns=tuple(columns_of(named)),
        rows=tuple(map(tuple, rows_of(named))),
        risks=tuple(map(tuple, risk_rows(named))),
        suits=tuple(said_suits(named)),
        held=tuple(dict.fromkeys(plan.held for plan in plans)),
        assumptions=tuple(dict.fromkeys((*found.assumptions, *(each for plan in plans for each in plan.assumptions)))),
        sources=tuple(
            dict.fromkeys(
                text
                for plan in plans
                for text in (
                    *(f"{risk.title}: {risk.source}" for risk in plan.risks),
                    *(f"Mismatch, {each.position} valve: {each.source}" for each in plan.suits),
                )
            )
        ),
        grounds=tuple(
            (each.title, f"{each.said} {each.unit}".strip(), each.when or each.basis) for each in found.inputs
        ),
        limits=found.limits,
        citation=found.citation,
        members=found.members,
    )

"""The evidence for operations as a page: what each does to the heart of a group, beside what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import Field, model_validator

from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.operated import Operated
from twin_engine.circulation.operating import operate
from twin_engine.circulation.operation import Operation, site
from twin_engine.circulation.operation_table import SOURCES
from twin_engine.circulation.operation_text import read_operations
from twin_engine.circulation.published import Published, Row, quantities
from twin_engine.circulation.report import Line, markdown, ranged
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.states import STATES, Reached, State, reach
from twin_engine.model import Array

__all__ = ["EVIDENCE", "PATIENTS", "Evidence", "evidence_lines", "held_against", "page"]

_EJECTION: Final = list(TOLD).index("ejection-fraction")
_SHARES: Final[Mapping[str, str]] = {
    "gain-of-5": "members that gain 5 points of ejection fraction",
    "gain-of-10": "members that gain 10 points of ejection fraction",
    "mismatch-moderate": "members with moderate mismatch",
    "mismatch-severe": "members with severe mismatch",
}


_TABLE: Final = read_table("operations")
PATIENTS: Final[Mapping[str, State]] = {row["name"]: State(**row) for row in _TABLE["patient"]}


class Share(Row):
    """A published share of patients, %, between two bounds."""

    of: Literal["gain-of-5", "gain-of-10", "mismatch-moderate", "mismatch-severe"]
    low: float
    high: float
    source: str


class Evidence(Row):
    """A plan on a patient, and what is published of it. `start` is a plan that the changes are counted from."""

    patient: str
    plan: str
    start: str | None = Field(default=None, alias="from")
    surface: float | None = None
    members: int = 32
    fitted: bool = False
    published: tuple[Published, ...] = ()
    shares: tuple[Share, ...] = ()
    fails: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _told(self) -> Evidence:
        names = {row.name for row in self.published} | {f"{share.of} {share.source}" for share in self.shares}
        if self.patient not in STATES and self.patient not in PATIENTS:
            raise ValueError(f"{self.patient} is no state and no patient")
        if not set(self.fails) <= names:
            raise ValueError(f"{self.plan}: fails what is not told")
        return self


EVIDENCE: Final = tuple(Evidence(**row) for row in _TABLE["evidence"])


def held_against(plan: Sequence[Operation]) -> str:
    """Say, for each operation of a plan, how many published numbers of its kind the model meets unfitted."""
    told = []
    for where in dict.fromkeys(map(site, plan)):
        rows = [each for each in EVIDENCE if not each.fitted and where in map(site, read_operations(each.plan))]
        count = sum(len(each.published) + len(each.shares) for each in rows)
        met = count - sum(len(each.fails) for each in rows)
        told.append(f"{where}: {met} of {count}")
    return f"Published numbers that the model meets, unfitted: {'; '.join(told)} (docs/circulation-operations.md)."


def _alike(patient: Reached, members: int, surface: float | None) -> Resting:
    """Return an ensemble whose members differ by the luck of their operation only."""
    beats = np.array([[patient.tells[name] for name in TOLD]])
    return Resting(
        hearts=np.repeat(patient.state, members, axis=0),
        parameters=np.repeat(patient.parameters, members, axis=0),
        beats=np.repeat(beats, members, axis=0),
        surface=surface or patient.surface,
    )


def _shown(row: Published, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    was, now = before[row.quantity], after[row.quantity]
    return now if row.by == "value" else now - was if row.by == "change" else 100.0 * (now / was - 1.0)


def _shared(share: Share, done: Operated) -> float:
    if share.of.startswith("gain"):
        gained = done.after[:, _EJECTION] - done.before[:, _EJECTION]
        return 100.0 * float((gained >= float(share.of.removeprefix("gain-of-"))).mean())
    grades = done.mismatch()[0].shares
    return 100.0 * (grades["severe"] if share.of == "mismatch-severe" else grades["moderate"])


def evidence_lines(reached: Mapping[str, Reached]) -> list[Line]:
    """Return a line for each published number of each plan; `reached` are the states of the table."""
    lines = []
    for each in EVIDENCE:
        patient = reached[each.patient] if each.patient in STATES else reach(PATIENTS[each.patient])
        resting = _alike(patient, each.members, each.surface)
        done = operate(resting, read_operations(each.plan))
        start = done.before if each.start is None else operate(resting, read_operations(each.start)).after
        before, after = (_tells(which, resting.surface) for which in (start, done.after))
        title = (STATES[each.patient] if each.patient in STATES else PATIENTS[each.patient]).title.partition(" (")[0]
        of = f"{title}: {each.start or ''}{' to ' if each.start else ''}{each.plan}"
        for row in each.published:
            ours, percent = _shown(row, before, after), row.by == "percent"
            name = row.quantity if row.by == "value" else f"{row.quantity}, change"
            inside, fails = row.holds(ours), row.name in each.fails
            unit = "points" if row.unit == "%" and not percent and row.by == "change" else row.unit
            lines.append(_line(of, each, name, unit, ours, row.bounds, inside=inside, fails=fails, source=row.source))
        for share in each.shares:
            ours, inside = _shared(share, done), share.low <= _shared(share, done) <= share.high
            bounds, name = (share.low, share.high), _SHARES[share.of]
            fails = f"{share.of} {share.source}" in each.fails
            lines.append(_line(of, each, name, "%", ours, bounds, inside=inside, fails=fails, source=share.source))
    return lines


def _tells(rows: Array, surface: float) -> dict[str, float]:
    return quantities(rows[:, : len(TOLD)].mean(axis=0), surface)


def _line(
    of: str,
    each: Evidence,
    name: str,
    unit: str,
    ours: float,
    bounds: tuple[float, float],
    *,
    inside: bool,
    fails: bool,
    source: str,
) -> Line:
    digits = 0 if abs(ours) >= _WHOLE else 1
    return Line(
        of=f"{of} (fitted)" if each.fitted else of,
        quantity=name,
        unit=unit,
        ours=f"{round(ours, digits) + 0.0:.{digits}f}",
        published=ranged(*bounds),
        inside=inside,
        declared=inside != fails,
        source=SOURCES[source].cite,
        read=SOURCES[source].read,
    )


_WHOLE = 100.0


def page(lines: Sequence[Line]) -> str:
    """Return `evidence_lines` as they stand in docs/circulation-operations.md."""
    blind = [line for line in lines if not line.of.endswith("(fitted)")]
    fitted = len(lines) - len(blind)
    inside = sum(line.inside for line in blind)
    counts = f"{inside} of {len(blind)} published numbers that nothing was fitted to lie inside"
    other = f"{fitted} more stand beside a speed that was chosen for one of them"
    return f"{counts}; {other}.\n\n{markdown(lines, 'operation')}"

"""Operations on a stored twin: its circulation before and after one or several plans, side by side, kept as a run.

What a plan would do is no observation of a patient, not even a simulated one: it goes to an EHR as risks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.calibrated import Calibrated
from gateway.loop_picture import Cuff, Shown, draw
from security.errors import Misuse
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.operated import Mismatch, Operated, Span
from twin_engine.circulation.operating import operate
from twin_engine.circulation.operation_report import held_against
from twin_engine.circulation.operation_text import read_operations
from twin_engine.circulation.resting import Resting, resting_of
from twin_engine.circulation.waveform import portrait, stand_in
from twin_engine.run import Input

__all__ = ["Moved", "Operations", "Risked", "Tried", "operations_on", "picture_of", "resting_in"]

_OBESE = 30.0  # kg/m2


class Moved(msgspec.Struct, frozen=True):
    """One quantity before and after: low, median and high of the middle 95 %, and of each member's change.

    `after` and `change` are absent where no member lives.
    """

    name: str
    unit: str
    before: tuple[float, float, float]
    after: tuple[float, float, float] | None
    change: tuple[float, float, float] | None


class Risked(msgspec.Struct, frozen=True):
    """What may go wrong, as a share of the members before (absent where there was nothing to count) and after."""

    name: str
    title: str
    definition: str
    before: float | None
    after: float
    source: str


class Suited(msgspec.Struct, frozen=True):
    """How a new valve suits the body: effective orifice over body surface, cm2/m2, and shares of members by grade."""

    position: str
    indexed: tuple[float, float, float]
    shares: dict[str, float]
    source: str


class Tried(msgspec.Struct, frozen=True):
    """What comes of one plan. `dead` is the share of members that collapse; `collapse` states it, "" where none does.

    `held` says how many of the published numbers of such operations the model meets.
    """

    title: str
    rows: tuple[Moved, ...]
    risks: tuple[Risked, ...]
    suits: tuple[Suited, ...]
    dead: float
    collapse: str
    assumptions: tuple[str, ...]
    held: str


class Operations(msgspec.Struct, frozen=True, tag="operations"):
    """Plans of operations on one circulation, each beside the same state before; all simulated."""

    model: str
    title: str
    version: str
    settings: dict[str, str]
    at: datetime
    plans: tuple[Tried, ...]
    inputs: tuple[Input, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    seed: int
    members: int


def resting_in(found: Calibrated) -> Resting:
    """Return the ensemble at rest of a calibrated circulation; raises `Misuse` for another model."""
    if not isinstance(found.model, Circulation):
        raise Misuse("Only the circulation can be operated on.", hint="Leave --model out, or say circulation.")
    return resting_of(found.model, found.track.ensemble)


def operations_on(found: Calibrated, plans: Sequence[str]) -> tuple[Operations, tuple[Operated, ...]]:
    """Do each plan on the same ensemble, with the same luck; several operations of one plan are joined with "and".

    Raises `Misuse` and `UnknownName` as `read_operations` and `operate`.
    """
    read = [read_operations(plan) for plan in plans]
    if not read:
        raise Misuse("There is no plan.", hint='Say one, like "aortic valve: Edwards SAPIEN 3 26 mm".')
    resting = resting_in(found)
    obese = is_obese(found.inputs)
    done = tuple(operate(resting, plan, seed=found.track.seed, obese=obese) for plan in read)
    result = Operations(
        model=found.model.name,
        title=found.model.title,
        version=found.model.version,
        settings=found.model.settings,
        at=found.track.at,
        plans=tuple(map(_tried, done)),
        inputs=found.grounds,
        assumptions=found.assumptions,
        limits=found.model.card.limits,
        citation=found.model.citation,
        seed=found.track.seed,
        members=found.track.members,
    )
    return result, done


def is_obese(inputs: Mapping[str, float]) -> bool:
    """Say whether mismatch is graded as in obese patients (VARC-3: body mass index of 30 and more)."""
    return inputs["body-weight"] / (inputs["body-height"] / 100.0) ** 2 >= _OBESE


def picture_of(found: Calibrated, done: Sequence[Operated] = ()) -> str:
    """Draw a circulation as it is, and after each plan, as SVG; what the cuff told is in it."""
    resting = resting_in(found)
    stands = stand_in(resting.beats)
    before = portrait(resting.hearts, resting.parameters, resting.beats, member=stands)
    states = [Shown("before" if done else "at rest", before)]
    for each in done:
        beats = each.after[:, : resting.beats.shape[1]]
        label = " and ".join(operation.words for operation in each.plan)
        states.append(Shown(label, portrait(each.hearts, each.parameters, beats, member=stands)))
    return draw(states, measured=_cuff(found))


def _cuff(found: Calibrated) -> Cuff | None:
    told = {each.name: each for each in found.grounds}
    systolic, diastolic = told.get("measured-systolic-pressure"), told.get("measured-diastolic-pressure")
    if systolic is None or diastolic is None:
        return None
    return Cuff(systolic.value, diastolic.value, systolic.when[:10])


def _tried(done: Operated) -> Tried:
    return Tried(
        title=" and ".join(operation.words for operation in done.plan),
        rows=tuple(
            Moved(
                each.name,
                each.unit,
                (each.before.low, each.before.median, each.before.high),
                _three(each.after),
                _three(each.change),
            )
            for each in done.compared()
        ),
        risks=tuple(Risked(*each) for each in done.risks()),
        suits=tuple(
            Suited(
                each.position, (each.indexed.low, each.indexed.median, each.indexed.high), _by_grade(each), each.source
            )
            for each in done.mismatch()
        ),
        dead=done.dead,
        collapse=done.collapse,
        assumptions=done.assumptions,
        held=held_against(done.plan),
    )


def _by_grade(suits: Mismatch) -> dict[str, float]:
    return {str(grade): share for grade, share in suits.shares.items()}


def _three(span: Span | None) -> tuple[float, float, float] | None:
    return None if span is None else (span.low, span.median, span.high)

"""From a kept run of plans to proposals: what each plan may bring is a RiskAssessment, and never an Observation.

Only who asks for it, run by run, gets a hypothesis into the outbox: trying is no finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from gateway.deliver.proposal import OVERTAKEN, Proposed, inputs_for, propose_to, sources_of
from gateway.home import Home
from gateway.medication import Medication
from gateway.operations import Operations, Tried
from gateway.store import SavedRun, TwinRecord
from mappers.outbound import Result, ResultOutput
from security.errors import Misuse
from twin_engine.circulation.candidate import Candidate

__all__ = ["propose_plans"]

_DAY: Final = 1440  # minutes: policy; the state after a plan stands for the hours and the day behind it
_TOLD: Final = {  # the quantity that a risk is about, and its decimals
    "aortic-gradient": ("aortic-mean-gradient", 0),
    "mitral-gradient": ("mitral-mean-gradient", 0),
    "low-pressure": ("mean-pressure", 0),
    "low-output": ("cardiac-index", 1),
    "congestion": ("wedge-pressure", 0),
    "suction": ("end-diastolic-pressure", 0),
}
_DIGITS: Final = {"cardiac-index": 1}


class _Tag(msgspec.Struct):
    type: str = "run"


@dataclass(frozen=True)
class _Plan:
    """One plan of a kept run: what it is called, what may come of it, and what that takes for granted."""

    title: str
    risks: tuple[ResultOutput, ...]
    assumptions: tuple[str, ...]


def propose_plans(home: Home, record: TwinRecord, run: str) -> list[Proposed]:
    """Turn the plans of a kept run (its id, or the beginning of it) into one proposal each for each EHR.

    Raises `UnknownName` where there is no such run, `Misuse` where it is of another twin, holds no plans that can be
    written back, or puts none forward.
    """
    saved = home.store.run(run)
    if saved.twin != record.id:
        raise Misuse("This run is of another twin.", hint="Name the twin that it was made for.")
    kept = _read(saved)
    if saved.twin_version != record.version:
        return [Proposed(saved.model, "", "", (), OVERTAKEN.format("try the plan"))]
    plans = _operations(kept) if isinstance(kept, Operations) else _medicines(kept)
    sources = sources_of(kept.inputs)
    return [
        propose_to(
            home,
            record,
            saved,
            source,
            partial(_result, home, saved, kept, plan, number),
            f"plan {number}",
            kind="plan",
        )
        for number, plan in enumerate(plans)
        for source in sources
    ]


_Kept = Operations | Medication


def _read(saved: SavedRun) -> _Kept:
    tag = msgspec.json.decode(saved.content, type=_Tag).type
    if tag == "operations":
        return msgspec.json.decode(saved.content, type=Operations)
    if tag == "medication-comparison":
        return msgspec.json.decode(saved.content, type=Medication)
    raise Misuse(
        "This run holds no operations and no medicines.",
        hint="Name one that twin operate or twin medicate kept; answers are proposed without --run.",
    )


def _result(
    home: Home, saved: SavedRun, kept: Operations | Medication, plan: _Plan, number: int, target: str
) -> Result:
    return Result(
        model=kept.model,
        version=kept.version,
        title=kept.title,
        citation=kept.citation,
        limits=kept.limits,
        made_at=saved.created,
        valid_at=kept.at.isoformat(),
        inputs=tuple(inputs_for(home, kept.inputs, target)),
        outputs=plan.risks,
        assumptions=(*plan.assumptions, *kept.assumptions),
        run=home.blind.of("plan", f"{saved.id} {number}"),
        hypothesis=plan.title,
    )


def _risk(name: str, title: str, share: float, rationale: str) -> ResultOutput:
    return ResultOutput(
        name=name,
        title=title,
        kind="risk",
        code=None,
        value=Decimal(repr(share)),
        unit="1",
        horizon_years=None,
        outcome=None,
        decimals=0,
        horizon_minutes=_DAY,
        rationale=rationale,
    )


def _operations(kept: Operations) -> list[_Plan]:
    return [
        _Plan(plan.title, tuple(_of_operation(plan, kept.members)), (plan.held, *plan.assumptions))
        for plan in kept.plans
    ]


def _of_operation(plan: Tried, members: int) -> Iterator[ResultOutput]:
    for risk in plan.risks:
        said = [f"{round(risk.after * members)} of {members} simulated circulations: {risk.definition}."]
        if risk.before is not None:
            said.append(f"Before: {round(risk.before * members)} of {members}.")
        if risk.name in _TOLD:
            name, digits = _TOLD[risk.name]
            [row] = [each for each in plan.rows if each.name == name]
            after = "no member lives" if row.after is None else _span(row.after, digits)
            said.append(f"{_spelt(name)}: {_span(row.before, digits)} {row.unit} before; after: {after}.")
        yield _risk(risk.name, risk.title, risk.after, " ".join(said))


def _medicines(kept: Medication) -> list[_Plan]:
    told = kept.comparison
    if told.verdict != "compared":
        raise Misuse("This comparison puts no medicine forward.", hint="There is nothing of it to write back.")
    best = told.candidates[0]
    title = " + ".join(f"{part.title} {part.dose:g} {part.unit}" for part in best.parts)
    assumed = (f"Assumed to be absent: {', '.join(told.assumed)}.",) if told.assumed else ()
    return [_Plan(title, tuple(_of_medicine(kept, best)), (told.said, *told.notes, *best.notes, *assumed))]


def _of_medicine(kept: Medication, best: Candidate) -> Iterator[ResultOutput]:
    nothing, members = kept.comparison.nothing, kept.members
    for bound in kept.comparison.objective.bounds:
        name, (low, high) = bound.quantity, (bound.low, bound.high)
        outside = " or ".join(
            [*([f"below {low:g}"] if low is not None else []), *([f"above {high:g}"] if high is not None else [])]
        )
        share, digits = best.outside[name], _DIGITS.get(name, 0)
        said = f"{round(share * members)} of {members} simulated circulations."
        if name in best.told:
            first, now = nothing.told[name], best.told[name]
            said += f" {_spelt(name)}: {first.median:.{digits}f} before, {now.median:.{digits}f} after "
            said += f"(middle 90 %: {now.low:.{digits}f} to {now.high:.{digits}f})."
        yield _risk(f"outside-{name}", f"{_spelt(name)} {outside}", share, said)
    missed = 1.0 - best.inside
    was = round((1.0 - nothing.inside) * members)
    said = f"{round(missed * members)} of {members} simulated circulations; before: {was}."
    yield _risk("off-target", f"Not at the declared targets: {kept.comparison.objective.title}", missed, said)


def _spelt(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _span(span: tuple[float, float, float], digits: int) -> str:
    low, middle, high = (f"{round(each, digits) + 0.0:.{digits}f}" for each in span)
    return f"{middle} (middle 95 %: {low} to {high})"

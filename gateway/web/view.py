"""What the page of a twin shows, as plain values; the template only sets them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway import __version__
from gateway.home import Home
from gateway.simulation import answers_of
from gateway.store import TwinRecord
from gateway.web.chart import Chart, Dot, draw
from gateway.web.section import Lacking
from gateway.wording import (
    not_computed,
    output_interval,
    output_value,
    said_name,
    said_value,
    short_time,
    source_of_input,
)
from mappers.facts import Fact, Quantity, Refusal
from mappers.ledger import REASONS
from twin_engine import Missing, Run

__all__ = ["Cells", "View", "answer_cells", "build_view"]

_ROWS = 400
_CHARTS = 8
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_STALE_DAYS = 365

Cells = dict[str, object]


@dataclass(frozen=True)
class View:
    """All that the page says. Strings are plain text; the template escapes them."""

    id: str
    short: str
    version: int
    heading: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]
    timeline: tuple[Cells, ...]
    fact_count: int
    more: int
    drawn: int
    runs: tuple[Cells, ...]
    missing: tuple[Cells, ...]
    refusals: tuple[Cells, ...]
    software: str = __version__


def build_view(
    home: Home,
    record: TwinRecord,
    lacks: Sequence[Missing | Lacking],
    at: datetime,
    *,
    drawn: Collection[str] = (),
    apart: Collection[str] = (),
) -> View:
    """Arrange an opened twin for the page. Nobody is named: age and sex must do until there is a login.

    Measurements named in `drawn` have a picture of their own and are neither drawn nor listed again; models named in
    `apart` have a section of their own.
    """
    facts = sorted(record.facts, key=_when, reverse=True)
    shown = [fact for fact in facts if fact.kind != "measurement" or fact.name not in drawn]
    saved: dict[str, Run] = {}
    for kept, run in answers_of(home, record.id, record):
        saved.setdefault(kept.model, run)
    return View(
        id=record.id,
        short=record.id[:8],
        version=record.version,
        heading=_heading(facts, record.id),
        sources=tuple(sorted({r.source for r in record.resources})),
        notes=tuple(_notes(facts, at)),
        charts=tuple(_charts(shown, {i.name for run in saved.values() for i in run.inputs})),
        timeline=tuple(_row(f) for f in shown[:_ROWS]),
        fact_count=len(facts),
        more=max(0, len(shown) - _ROWS),
        drawn=len(facts) - len(shown),
        runs=tuple(answer_cells(run) for name, run in saved.items() if name not in apart),
        missing=tuple(_lack(each) for each in lacks),
        refusals=tuple(_refusal(r) for r in record.refusals),
    )


def _when(fact: Fact) -> datetime:
    return fact.when.earliest if fact.when else _EARLIEST


def _heading(facts: Iterable[Fact], twin: str) -> str:
    told: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        if fact.kind == "demographic" and fact.name in ("sex", "birth-date"):
            told[fact.name].add(said_value(fact.value))
    sex = " or ".join(sorted(told["sex"])) or "sex not known"
    born = " or ".join(sorted(told["birth-date"])) or "not known"
    return f"{sex.capitalize()}, born {born}"


def _notes(facts: Sequence[Fact], at: datetime) -> Iterable[str]:
    births = {said_value(f.value) for f in facts if f.kind == "demographic" and f.name == "birth-date"}
    if len(births) > 1:
        yield f"The sources give {len(births)} different birth dates; models that need an age will not run."
    newest = max((_when(f) for f in facts if f.kind == "measurement"), default=None)
    if newest is not None and (at - newest).days > _STALE_DAYS:
        yield f"The newest measurement is of {newest.date()}: what follows describes the past."


def _charts(facts: Iterable[Fact], used: Collection[str]) -> Iterable[Chart]:
    """Draw what was measured more than once: first what the models use, then what was measured most."""
    series: dict[tuple[str, str], list[Dot]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact.value, Quantity) and fact.when and fact.name and not fact.value.comparator:
            series[fact.name, fact.value.unit].append(_dot(fact, fact.value))
    longest = sorted(series.items(), key=lambda item: (item[0][0] in used, len(item[1])), reverse=True)
    for (name, unit), points in [s for s in longest if len(s[1]) > 1][:_CHARTS]:
        yield draw(name.replace("-", " "), unit, points)


def _dot(fact: Fact, value: Quantity) -> Dot:
    when = fact.when.text if fact.when else ""
    return Dot(_when(fact), float(value.value), f"{said_value(value)}, {when}, {', '.join(fact.sources)}")


def _row(fact: Fact) -> Cells:
    return {
        "kind": fact.kind,
        "told": fact.when.text if fact.when else "",
        "when": short_time(fact.when.text) if fact.when else "",
        "what": said_name(fact),
        "value": said_value(fact.value),
        "status": fact.status,
        "source": ", ".join(fact.sources),
    }


def answer_cells(run: Run) -> Cells:
    """Arrange the answer of a model; every cell is text."""
    outputs = []
    for output in run.outputs:
        value, unit = output_value(output)
        title = f"{output.title}: {output.category}" if output.category else output.title
        outputs.append({"title": title, "value": value, "unit": unit, "interval": output_interval(output)})
    inputs = [
        {
            "title": i.title,
            "value": i.said,
            "unit": "" if i.unit in ("1", "a") else i.unit,
            "told": i.when,
            "when": short_time(i.when),
            "source": source_of_input(run, i.name),
        }
        for i in run.inputs
    ]
    return {
        "title": run.title,
        "model": run.model,
        "version": run.version,
        "valid_at": short_time(run.valid_at),
        "outputs": outputs,
        "inputs": inputs,
        "not_computed": [f"Not computed, {names}: {why}" for names, why in not_computed(run)],
        "remarks": run.remarks,
        "assumptions": run.assumptions,
        "limits": run.limits,
        "citation": run.citation,
    }


def _lack(found: Missing | Lacking) -> Cells:
    told = found.say if isinstance(found, Missing) else (*found.sentences, found.hint)
    return {"title": found.title, "sentences": tuple(sentence for sentence in told if sentence)}


def _refusal(refusal: Refusal) -> Cells:
    return {
        "reason": refusal.reason,
        "meaning": REASONS[refusal.reason],
        "resource": f"{refusal.origin.resource} {refusal.origin.path}".strip(),
        "source": refusal.origin.source,
    }

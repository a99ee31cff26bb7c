"""From kept runs to proposals in the outbox: FHIR resources that are ready to send, and not agreed to yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial

from gateway.approval_settings import Kind
from gateway.deliver.draft import Draft
from gateway.deliver.guide import profiles_of
from gateway.deliver.proposed import Proposed, put_forward, takes_of
from gateway.deliver.review import review
from gateway.home import Home
from gateway.simulation import answers_of, audit_reference
from gateway.store import SavedRun, TwinRecord
from gateway.wording import said_value
from mappers import as_fhir_version
from mappers.facts import Origin, Quantity
from mappers.outbound import Result, ResultInput, ResultOutput
from twin_engine import Input, Output, Run

__all__ = ["OVERTAKEN", "Proposed", "inputs_for", "patient_in", "propose", "propose_to", "result_of", "sources_of"]

OVERTAKEN = "the twin has newer facts than this run: {} again"


def propose(home: Home, record: TwinRecord) -> list[Proposed]:
    """Turn the newest run of each model into one proposal for each EHR that its facts came from.

    A run that newer facts have overtaken is left out, and so are sources that cannot be written to: each with its
    reason. Proposing the same run again changes nothing. What it takes the place of, and has not left, stays here.
    """
    newest: dict[str, tuple[SavedRun, Run]] = {}
    for saved, run in answers_of(home, record.id, record):
        newest.setdefault(saved.model, (saved, run))
    found = []
    for saved, run in newest.values():
        if saved.twin_version != record.version:
            found.append(Proposed(saved.model, "", "", (), OVERTAKEN.format("run twin simulate")))
            continue
        for source in sources_of(run.inputs):
            if outputs := _worth_writing(run):
                result = partial(result_of, home, saved, run, outputs)
                found.append(propose_to(home, record, saved, source, result))
            else:
                found.append(Proposed(saved.model, source, "", (), "nothing in it has a code and was not measured"))
    review(home, record.id)
    return found


def sources_of(inputs: Sequence[Input]) -> list[str]:
    """Name the sources that told what a result stands on. Who tells nothing but sex and age of it is not told of it."""
    facts = [fact for each in inputs for fact in each.facts]
    return sorted({s for f in facts for s in ((f.origin.source,) if f.kind == "demographic" else f.sources)})


def propose_to(
    home: Home,
    record: TwinRecord,
    saved: SavedRun,
    source: str,
    result: Callable[[str], Result],
    part: str = "",
    *,
    kind: Kind | None = None,
) -> Proposed:
    """Put what `result` makes of a run for one EHR into the outbox, or say why it cannot be written there.

    `part` tells one proposal from another of the same run; `kind` is what it tells, where that is not in its outputs.
    """
    known = home.settings.sources.get(source)
    patient = patient_in(record, source)
    last = home.store.last_pull(source)
    version = as_fhir_version(last.fhir_version) if last else None
    if known is None or not known.base_url or not known.write or not patient or version is None:
        why = (
            "the source is a folder"
            if known is None or not known.base_url
            else "twin.toml says write = false"
            if not known.write
            else "the source's own Patient is not known"
            if not patient
            else "its FHIR version is not known"
        )
        return Proposed(saved.model, source, "", (), why)
    made = result(source)
    return put_forward(
        home,
        record,
        source,
        saved.id,
        delivery=home.blind.of("delivery", f"{saved.id} {source}{f' {part}' if part else ''}"),
        model=saved.model,
        kind=kind or ("risk" if made.risks else "observation"),
        draft=Draft(
            made, version, patient, profiles=tuple(sorted(profiles_of(home, source))), organization=known.organization
        ),
        takes=takes_of(home, source),
    )


def patient_in(record: TwinRecord, source: str) -> str:
    """Find the reference of the twin's Patient in a source; the first where there are several charts."""
    keys = (r.key for r in record.resources if r.source == source and r.key.startswith("Patient/"))
    return min(keys, default="")


def _worth_writing(run: Run) -> tuple[Output, ...]:
    """Choose what an EHR can use: what a code says, and of which no measured value went in.

    An EHR that told a heart rate is not told it back, and nobody finds an Observation without a code.
    """
    told = {fact.name for each in run.inputs for fact in each.facts if fact.kind == "measurement"}
    return tuple(each for each in run.outputs if each.name not in told and (each.kind == "risk" or each.code))


def result_of(home: Home, saved: SavedRun, run: Run, outputs: tuple[Output, ...], target: str) -> Result:
    """Write a kept run, with some of its outputs, as a result for an EHR; with no target, for nobody's."""
    return Result(
        model=run.model,
        version=run.version,
        title=run.title,
        citation=run.citation,
        limits=run.limits,
        made_at=saved.created,
        valid_at=run.valid_at,
        inputs=tuple(inputs_for(home, run.inputs, target)),
        outputs=tuple(map(_output, outputs)),
        assumptions=(*run.assumptions, *run.remarks),
        run=saved.id,
    )


def inputs_for(home: Home, inputs: Sequence[Input], target: str) -> Iterator[ResultInput]:
    """List the facts that a result stands on, each once: the target's by its own references, others absolute."""
    told: set[str] = set()
    for each in inputs:
        for fact in each.facts:
            origin = next((one for one in fact.origins if one.source == target), fact.origin)
            reference = _reference(home, origin, target)
            if reference and reference not in told:
                told.add(reference)
                yield ResultInput(
                    name=each.name,
                    title=each.title,
                    value=said_value(fact.value) if not isinstance(fact.value, Quantity) else f"{fact.value.value:f}",
                    unit=fact.value.unit if isinstance(fact.value, Quantity) else "",
                    when=fact.when.text if fact.when else "",
                    reference=reference,
                    source=origin.source,
                    local=origin.source == target,
                )


def _reference(home: Home, origin: Origin, target: str) -> str:
    absolute = audit_reference(home, origin)
    known = home.settings.sources.get(origin.source)
    base = f"{known.base_url}/" if known and known.base_url else ""
    if origin.source == target:
        return absolute.removeprefix(base)
    return absolute if base else ""  # a file has no address that an EHR could follow


def _output(output: Output) -> ResultOutput:
    return ResultOutput(
        name=output.name,
        title=output.title,
        kind=output.kind,
        code=output.code,
        value=Decimal(repr(output.value)),
        unit=output.unit,
        horizon_years=int(output.horizon_years) if output.horizon_years else None,
        outcome=output.outcome,
        decimals=max(output.decimals - 2, 0) if output.kind == "risk" else output.decimals,
        low=None if output.low is None else Decimal(repr(output.low)),
        high=None if output.high is None else Decimal(repr(output.high)),
    )

"""Run a model on a stored twin, and keep the run with the twin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from gateway.consented import consented, rests_on_record
from gateway.home import Home, now
from gateway.proof import proven_types
from gateway.resting import Ensembles
from gateway.store import SavedRun, TwinRecord
from mappers.facts import Origin
from security.audit import read_event, run_event
from security.errors import BadSettings, Misuse, UnknownName
from security.reidentification import Reidentify
from twin_engine import Missing, Profile, Run, TwinModel, models, simulate
from twin_engine.dynamic import DynamicModel

__all__ = [
    "answering_models",
    "answers_of",
    "audit_reference",
    "closed_kinds",
    "load_run",
    "models_of",
    "open_twin",
    "proven_kinds",
    "run_id",
    "run_model",
]

_LISTS = {
    "condition": frozenset({"Condition"}),
    "medication": frozenset({"MedicationRequest", "MedicationOrder", "MedicationStatement"}),
}
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


class _Tag(msgspec.Struct):
    """What kind of result a kept run is."""

    type: str = "run"


def models_of(home: Home) -> Mapping[str, TwinModel]:
    """Return the models that this home may use, each with the settings that twin.toml gives it."""
    known = dict(models(home.settings.trusted_models))
    for name, told in home.settings.models.items():
        if name not in known:
            raise UnknownName("model", name, known)
        known[name] = _configured(known[name], told)
    return known


def answering_models(home: Home) -> Mapping[str, TwinModel]:
    """Return the models that give one answer; those that follow readings are calibrated (`gateway.calibration`)."""
    return {name: model for name, model in models_of(home).items() if _answers(model)}


def _answers(model: TwinModel) -> bool:
    return not isinstance(model, DynamicModel) or not model.follows


def _configured(model: TwinModel, told: Mapping[str, str]) -> TwinModel:
    settings = model.settings
    if unknown := set(told) - set(settings):
        raise BadSettings(
            f"twin.toml: the model {model.name} has no setting {min(unknown)}.",
            hint=f"It has: {', '.join(sorted(settings)) or 'none'}.",
        )
    try:
        return type(model)(**{name: type(getattr(model, name))(value) for name, value in told.items()})
    except ValueError as error:
        raise BadSettings(f"twin.toml: a setting of the model {model.name} is not usable.", hint=f"{error}.") from error


def open_twin(home: Home, twin: str, as_of: datetime | None = None, *, leave: Reidentify | None = None) -> TwinRecord:
    """Read a twin for a person: recorded first, then read. `twin` may be the beginning of an id.

    It has what the patient's consents allow for the purpose of twin.toml (`gateway.consented`). Raises `Denied` where
    that is nothing.
    """
    found = home.store.find_twin(twin)
    home.store.append_audit([read_event(home.access(patient=found))])
    record = home.store.twin_record(found, as_of, leave=leave)
    return consented(home, record, ask=None if as_of is None else lambda: home.store.twin_record(found))


def closed_kinds(home: Home, record: TwinRecord) -> frozenset[str]:
    """Say of which kinds the twin's lists are proven whole: every source of theirs certified them (`gateway.proof`).

    For a twin as it was known at a past instant, what was certified later proves nothing. Of a record that who asks may
    have a part of, no list is whole.
    """
    if record.partial:
        return frozenset()
    return proven_kinds(home, {resource.source for resource in record.resources}, record.as_of)


def proven_kinds(home: Home, sources: Iterable[str], as_of: datetime | None = None) -> frozenset[str]:
    """Say it for the sources of a twin."""
    told = [proven_types(home.store, source, as_of) for source in sources]
    return frozenset(
        kind
        for kind, types in _LISTS.items()
        if told and all(types & asked and types & asked <= whole for asked, whole in told)
    )


def run_model(
    home: Home,
    record: TwinRecord,
    name: str,
    *,
    at: datetime | None = None,
    assume_absent: bool = False,
    online: bool = False,
) -> tuple[Run | Missing, str]:
    """Run one model and keep the run; return it and its id ("" where data is missing: then there is nothing to keep).

    The id is a keyed hash of the twin, the model and all that the result rests on, without the moment of asking: the
    same facts give the same run, and so the same identifiers at the EHR. With `online`, a kept ensemble is moved on by
    the readings that came since, where the model can; the result then depends on the path, and says so.
    """
    known = models_of(home)
    if name not in known:
        raise UnknownName("model", name, known)
    if not _answers(known[name]):
        raise Misuse("This model moves in time and gives no single answer.", hint="Use twin forecast or twin what-if.")
    moment = (at or now()).replace(microsecond=0)
    profile = Profile(tuple(record.facts), moment, closed_kinds(home, record), assume_absent)
    start = Ensembles(home, record, keep=at is None and record.as_of is None and not record.partial, online=online)
    result = simulate(known[name], profile, start=start)
    label = f"{result.model}@{result.version}"
    if isinstance(result, Missing):
        failed = home.access(patient=record.id, outcome="4", reason="missing-data")
        home.store.append_audit([run_event(failed, run="none", model=label)])
        return result, ""
    if start.notes:
        result = msgspec.structs.replace(result, remarks=(*start.notes, *result.remarks))
    run = run_id(home, record.id, result)
    used = (audit_reference(home, o) for each in result.inputs for fact in each.facts for o in fact.origins)
    event = run_event(
        home.access(patient=record.id, what=tuple(dict.fromkeys(u for u in used if u))), run=run, model=label
    )
    home.store.save_run(run, record.id, name, record.version, msgspec.json.encode(result), now=now(), events=[event])
    return result, run


def run_id(home: Home, twin: str, run: Run) -> str:
    """Name a run by a keyed hash of the twin and of all that the result rests on, without the moment of asking."""
    return home.blind.of("run", _essence(twin, run))


def audit_reference(home: Home, origin: Origin) -> str:
    """Name a resource version for the audit log; "" where the source gave no id that a reference can hold."""
    if not _FHIR_ID.fullmatch(origin.id) or not origin.type.isalpha():
        return ""
    known = home.settings.sources.get(origin.source)
    base = f"{known.base_url}/" if known and known.base_url else ""
    version = f"/_history/{origin.version}" if _FHIR_ID.fullmatch(origin.version) else ""
    return f"{base}{origin.type}/{origin.id}{version}"


def answers_of(home: Home, twin: str, record: TwinRecord | None = None) -> list[tuple[SavedRun, Run]]:
    """Open the kept answers of a twin, newest first. Forecasts and what-ifs are no answers and are left out.

    So are those that stand on what is not in `record`, where consents leave a part of it only.
    """
    runs = [saved for saved in home.store.runs(twin) if record is None or rests_on_record(record, saved.content)]
    kept = [(saved, msgspec.json.decode(saved.content, type=_Tag).type) for saved in runs]
    return [(saved, load_run(saved)) for saved, tag in kept if tag == "run"]


def load_run(saved: SavedRun) -> Run:
    """Read a kept run back."""
    return msgspec.json.decode(saved.content, type=Run)


def _essence(twin: str, run: Run) -> str:
    inputs = [
        (
            each.name,
            each.said,
            each.unit,
            each.basis,
            each.when,
            [(f.origin.source, f.origin.resource, f.origin.version) for f in each.facts],
        )
        for each in run.inputs
    ]
    outputs = [(output.name, repr(output.value)) for output in run.outputs]
    parts = (twin, run.model, run.version, run.settings, run.seed, run.members, inputs, outputs, run.assumptions)
    return msgspec.json.encode(parts, order="sorted").decode()
